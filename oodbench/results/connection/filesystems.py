"""Which filesystem a path is on: SQLite's locks do not hold on those of a network."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

NETWORK_OVERRIDE = "OODBENCH_SQLITE_ON_NETWORK"
"""The environment variable that allows it: for those who know that one machine alone uses it."""

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK = re.compile(
    r"acfs|afpfs|afs|beegfs|ceph|cifs|coda|davfs|fhgfs|gfs2?|glusterfs|gpfs|lustre(_lite)?|ncpfs|"
    r"nfs[34]?|ocfs2|orangefs|panfs|pvfs2|smb[23]|smbfs|wekafs"
)
"""Filesystems that several machines write to, as the kernel calls them."""

NETWORK_FUSE = re.compile(
    r"fuse(blk)?\.(beegfs|ceph|ceph-fuse|cifs|davfs2|dfuse|gcsfuse|glusterfs|goofys|juicefs|moosefs|"
    r"mfs|mount-s3|rclone|s3fs|seaweedfs|smbnetfs|sshfs)"
)
"""Those in user space."""


@dataclass(frozen=True)
class Mount:
    """A mounted filesystem.

    Attributes:
        point: The folder at which it is mounted.
        kind: Kind, such as ``ext4`` or ``nfs4``.
    """

    point: str
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether other machines may write to it too."""
        return any(kinds.fullmatch(self.kind) for kinds in (NETWORK, NETWORK_FUSE))


def network_mount(path: Path) -> Mount | None:
    """The network filesystem that ``path`` is on; None if it is on none, or that is allowed."""
    if os.environ.get(NETWORK_OVERRIDE, "") not in ("", "0"):
        return None
    try:
        text = MOUNTINFO.read_text(errors="surrogateescape")
    except OSError:  # no Linux
        return None
    mount = mount_of(path.resolve(), text)
    return mount if mount is not None and mount.is_network else None


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """The mount that an absolute path is on: the deepest one, and of equal ones the latest.

    Args:
        path: It need not exist.
        mountinfo: The content of ``/proc/self/mountinfo``, see ``man 5 proc``.
    """
    found = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 5 or not rest[0]:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        deepest = found is None or len(point) >= len(found.point)
        if deepest and path.is_relative_to(point):
            found = Mount(point, rest[0])
    return found
