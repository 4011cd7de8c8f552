"""Where a study lies and who is using it: network file systems, writability, and whether a process
still lives.
"""

import os
from functools import cache
from pathlib import Path

from cimbo.errors import BadInput
from cimbo.processes import start_time

# SQLite's write-ahead log shares memory between processes and needs locks that work. On these kinds of file systems both
# are certain. A list of what is not would never be complete: new network and cloud mounts come up every year.
# fmt: off
LOCAL_KINDS = frozenset([
    "apfs", "aufs", "bcachefs", "btrfs", "devtmpfs", "ecryptfs", "exfat", "ext2", "ext3", "ext4",
    "f2fs", "fuse.ntfs-3g", "fuseblk", "hfs", "hfsplus", "iso9660", "jfs", "msdos", "nilfs2",
    "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "shiftfs", "squashfs", "tmpfs",
    "udf", "ufs", "vfat", "xfs", "zfs",
])
# fmt: on
VOUCHED_KINDS = (
    "CIMBO_LOCAL_FILE_SYSTEMS"  # further kinds that a user vouches for, separated by commas
)


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that an absolute ``path`` lies on, from the text of
    /proc/self/mountinfo; or ''.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # The longest mount point wins, and of two on the same point the later one, which covers the
        # earlier.
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]
    return kind


def not_local(path: Path) -> str | None:
    """The kind of the file system that ``path`` lies on, unless it is known to be local.

    Linux only; elsewhere always None.
    """
    mountinfo = Path("/proc/self/mountinfo")
    kind = file_system(path, mountinfo.read_text(errors="replace")) if mountinfo.exists() else ""
    vouched = {name.strip() for name in os.environ.get(VOUCHED_KINDS, "").split(",")}
    return None if not kind or kind in LOCAL_KINDS | vouched else kind


def refuse_network(path: Path) -> None:
    """Raises BadInput unless ``path`` lies on a local file system: elsewhere a crash could cost the
    study.
    """
    kind = not_local(path)
    if kind:
        raise BadInput(
            path,
            f"is on a file system ({kind}) that is not known to be local, where SQLite cannot keep a study safe",
            "put it on a local disk (for instance --study /tmp/study.db, one process there, workers through "
            "--backend dask) and copy it here when it is closed; or, if it is a disk of this machine, set "
            f"{VOUCHED_KINDS}={kind}",
        )


def refuse_read_only(path: Path) -> None:
    """Raises BadInput when ``path`` (or, before it exists, its folder) cannot be written."""
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK):
            what = "the folder is read-only" if place == path.parent else "is read-only"
            raise BadInput(path, what, "make it writable, or copy the study to where you may write")


def identity() -> str:
    """Names this process for as long as the machine runs: ``boot/namespace/pid/start``; '' where
    that is unknown.
    """
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{boot}/{namespace}/{pid}/{start_time(pid)}"


def dead(name: str) -> bool:
    """Whether the process that called itself ``name`` is certainly gone: killed or ended.

    False when it lives and also when nobody can tell: it ran on another machine, before a reboot or
    in another container (which look alike from here), or there is no /proc.
    """
    started = _started_here(name)
    return started is not None and started != name.split("/")[3]


def alive(name: str) -> bool:
    """Whether the process that called itself ``name`` certainly lives, on this machine and in this
    container.
    """
    started = _started_here(name)
    return started is not None and started == name.split("/")[3]


def _started_here(name: str) -> str | None:
    """When the process that now has the pid of ``name`` started ('' for none); None where that
    cannot be known.
    """
    mine, parts = identity().split("/"), name.split("/")
    if len(mine) != 4 or len(parts) != 4 or not parts[2].isdigit() or parts[:2] != mine[:2]:
        return None
    return start_time(int(parts[2]))
