"""Where a study lies and who is using it: network file systems, writability, whether a process still lives."""

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
# An environment variable: further kinds that a user vouches for, separated by commas.
VOUCHED_KINDS = "CIMBO_LOCAL_FILE_SYSTEMS"


def file_system(path: Path, mounts: str) -> str:
    """Find the type of the file system that ``path`` lies on.

    Args:
        path: An absolute path; it need not exist.
        mounts: The text of /proc/self/mountinfo.

    Returns:
        The type as the kernel names it, such as ``ext4``; '' where no mount point is above
        ``path``.
    """
    longest = -1
    kind = ""
    # A line: number, parent, device, root, mount point, options, ... - type, source, ... (proc(5))
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = _mount_point(fields[4])
        # The longest mount point wins, and of two on the same point the later one, which covers the
        # earlier.
        if path.is_relative_to(point) and len(point.parts) >= longest:
            longest = len(point.parts)
            kind = right.split(" ")[0]
    return kind


def _mount_point(field: str) -> Path:
    """A mount point from mountinfo, in which blanks, tabs and backslashes are written as octal numbers."""
    return Path(field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))


def not_local(path: Path) -> str | None:
    """Return the kind of the file system that ``path`` lies on, unless it is known to be local.

    Known to be local are `LOCAL_KINDS`, and those that the user lists in ``CIMBO_LOCAL_FILE_SYSTEMS``.

    Args:
        path: An absolute path; it need not exist.

    Returns:
        The kind, such as ``nfs4``; None where it is local, where it is unknown, and on anything but
        Linux.
    """
    mountinfo = Path("/proc/self/mountinfo")
    if not mountinfo.exists():
        return None
    kind = file_system(path, mountinfo.read_text(errors="replace"))
    if not kind or kind in LOCAL_KINDS | _vouched_kinds():
        return None
    return kind


def _vouched_kinds() -> set[str]:
    """Kinds of file systems that the user says are local."""
    names = os.environ.get(VOUCHED_KINDS, "").split(",")
    return set(map(str.strip, names))


def refuse_network(path: Path) -> None:
    """Refuse a place that is not known to be local: elsewhere a crash could cost the study.

    Args:
        path: An absolute path; it need not exist.

    Raises:
        BadInput: ``path`` lies on a file system that is not known to be local.
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
    """Refuse a place where a study cannot be written.

    Args:
        path: The study file; it need not exist.

    Raises:
        BadInput: The file or its folder is there and cannot be written. SQLite needs both: the log
            lies beside the file.
    """
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK):
            what = "is read-only"
            if place == path.parent:
                what = "the folder is read-only"
            raise BadInput(path, what, "make it writable, or copy the study to where you may write")


def identity() -> str:
    """Name this process in a way that no other process ever has.

    Returns:
        ``boot/namespace/pid/start``. Boot and namespace of process numbers tell machines and
        containers apart; the time of its start tells it from later processes of the same number. ''
        where these are unknown, as on a system without /proc.
    """
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    """As ``identity``; kept by process number, which changes with a fork."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{boot}/{namespace}/{pid}/{start_time(pid)}"


def dead(name: str) -> bool:
    """Tell whether the process that called itself ``name`` is certainly gone: killed or ended.

    Args:
        name: What `identity` returned in that process.

    Returns:
        False when it lives, and also when nobody can tell: it ran on another machine, before a
        reboot or in another container (which look alike from here), or there is no /proc.
    """
    started = _started_here(name)
    return started is not None and started != name.split("/")[3]


def alive(name: str) -> bool:
    """Tell whether the process that called itself ``name`` certainly lives.

    Args:
        name: What `identity` returned in that process.

    Returns:
        True where it lives on this machine and in this container; False also when nobody can tell.
    """
    started = _started_here(name)
    return started is not None and started == name.split("/")[3]


def _started_here(name: str) -> str | None:
    """Start time of the process that now has the number in ``name``.

    Args:
        name: What `identity` returned in some process.

    Returns:
        As in ``name``; '' where no process has this number. None where it cannot be known: the name is
        of another machine, boot or container.
    """
    this_process = identity().split("/")
    parts = name.split("/")  # boot, namespace, pid, start: see identity
    if len(this_process) != 4 or len(parts) != 4 or parts[:2] != this_process[:2]:
        return None
    pid = parts[2]
    if not pid.isdigit():
        return None
    return start_time(int(pid))
