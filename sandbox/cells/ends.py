"""The channel and streams between a cell and us: made in pairs, one end for each."""

import contextlib
import os
import socket
from collections.abc import Generator

from frozen.values import frozen
from sandbox.kernel.process import HostUser


@frozen
class Ends:
    """Both ends of a cell's channel and standard streams; the cell's are closed once given."""

    channel: socket.socket
    stdout_fd: int
    stderr_fd: int
    theirs: tuple[int, int, int]
    """Channel, stdout, stderr: the descriptors that the cell gets."""
    inodes: tuple[int, int, int]
    """Theirs, to know them again by."""


@contextlib.contextmanager
def ends(user: HostUser | None = None) -> Generator[Ends]:
    """Make the channel and pipes of one cell; close the cell's ends on leaving.

    The pipes are of the cell's user, who may then open /dev/stdout, which is the pipe (pipe(7)).
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    # Before anything can be sent: credentials are attached when a message is sent (unix(7)).
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    try:
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
    except OSError:  # no descriptors left: give back the two
        os.close(out_read)
        os.close(out_write)
        raise
    if user is not None:
        os.fchown(out_write, user.uid, user.gid)
        os.fchown(err_write, user.uid, user.gid)
    os.set_blocking(out_read, False)
    os.set_blocking(err_read, False)
    try:
        yield Ends(
            channel=ours,
            stdout_fd=out_read,
            stderr_fd=err_read,
            theirs=(theirs.fileno(), out_write, err_write),
            inodes=(_inode(theirs.fileno()), _inode(out_write), _inode(err_write)),
        )
    except BaseException:
        ours.close()
        os.close(out_read)
        os.close(err_read)
        raise
    finally:
        theirs.close()
        os.close(out_write)
        os.close(err_write)


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino
