"""File systems that offer no locks, as some mounts of NFS: the errors by which they say so."""

import errno
from typing import Final

# These stand once, because a failed lock means "another process has it" everywhere else.
_WITHOUT_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""EBADF: NFS makes the lock one of bytes, and then refuses it for a folder or a file opened for reading."""


def lacks_locks(error: OSError) -> bool:
    """Whether the system refused a lock because the file system offers none. The file may be writable."""
    return error.errno in _WITHOUT_LOCKS
