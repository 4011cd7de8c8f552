"""Where a study lies and who is using it: network file systems, writability, and whether a process still lives."""

import os
from functools import cache
from pathlib import Path

from cimbo.errors import BadInput

# SQLite's write-ahead log shares memory between processes and needs locks that work; over a network neither is certain.
NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ncpfs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "pvfs2",
        "orangefs",
    ]
    + ["acfs", "panfs", "wekafs", "glusterfs"]
    + [
        f"fuse.{name}"
        for name in ("sshfs", "glusterfs", "ceph", "s3fs", "gcsfuse", "rclone", "mfs", "beegfs")
    ]
)


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that an absolute ``path`` lies on, from the text of /proc/self/mountinfo; or ''."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(fields[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # The longest mount point wins, and of two on the same point the later one, which covers the earlier.
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]
    return kind


def on_network(path: Path) -> str | None:
    """The name of the network file system that ``path`` lies on, or None. Linux only; elsewhere always None."""
    mountinfo = Path("/proc/self/mountinfo")
    kind = file_system(path, mountinfo.read_text(errors="replace")) if mountinfo.exists() else ""
    return kind if kind in NETWORK else None


def refuse_network(path: Path) -> None:
    """Raises BadInput when ``path`` lies on a network file system, where a crash could cost the study."""
    kind = on_network(path)
    if kind:
        raise BadInput(
            path,
            f"is on a network file system ({kind}), where SQLite cannot keep a study safe",
            "put it on a local disk (for instance --study /tmp/study.db, one process there, workers through "
            "--backend dask) and copy it here when it is closed",
        )


def refuse_read_only(path: Path) -> None:
    """Raises BadInput when ``path`` (or, before it exists, its folder) cannot be written."""
    for place in (path, path.parent):
        if place.exists() and not os.access(place, os.W_OK):
            what = "the folder is read-only" if place == path.parent else "is read-only"
            raise BadInput(path, what, "make it writable, or copy the study to where you may write")


def identity() -> str:
    """Names this process for as long as the machine runs: ``boot/namespace/pid/start``; '' where that is unknown."""
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{boot}/{namespace}/{pid}/{_started(pid)}"


def dead(name: str) -> bool:
    """Whether the process that called itself ``name`` is certainly gone: killed, ended, or from before a reboot.

    False when it lives and also when nobody can tell (another container, no /proc): then its lease must expire.
    """
    mine = identity()
    if not name or not mine:
        return False
    parts = name.split("/")
    if len(parts) != 4 or not parts[2].isdigit():
        return False
    boot, namespace, pid, started = parts
    if boot != mine.split("/")[0]:
        return True
    if namespace != mine.split("/")[1]:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    # Field 22 of stat, counted after the command's name, which may itself hold spaces and brackets. A pid that was
    # given to another process has another start; a zombie is as dead as a missing one.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
