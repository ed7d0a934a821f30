"""What an import left open or shared, taken from the held process: each fork has its own of it.

Locks and shared memory of multiprocessing, empty pipes, event loops, files that are only read or
have no name: a fork gets the same at the same place, as the import left it. What cannot be had
again stays, and the version runs cold for it (fitness.py looks from outside; nobody believes what
is done here).
"""

from __future__ import annotations

import os
import stat

from ...kernel import syscalls
from . import loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_READ, _WRITE = 1, 2
_SHARED, _PRIVATE, _FIXED, _ANONYMOUS = 0x01, 0x02, 0x10, 0x20
_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC, _FIONREAD = 1, 3, 1030, 0x541B
_KEPT_FLAGS = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
_O_PATH = 0o10000000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_MOST_BYTES = 16 << 20
"""Of shared memory: each fork copies it at its start."""


class Renewed:
    """Memory, pipes and files of one import, to be had anew by each of its forks."""

    def __init__(self) -> None:
        self._memory: list[_Mapping] = []
        self._nameless: dict[int, tuple[bytes, list[tuple[int, int]]]] = {}
        """Content of files without a name, by inode, and the descriptors of each with its flags."""
        self._pipes: list[tuple[tuple[int, int], tuple[int, int]]] = []
        self._files: list[tuple[int, str, int, int]] = []
        self._loops = loops.Loops()

    def take_down(self, *, apart_from: Iterable[int]) -> None:
        """Close what can be opened again, and make memory private that others would share."""
        try:
            numbers = {int(name) for name in os.listdir("/proc/self/fd")} - set(apart_from)
            mappings = _shared_mappings()
        except OSError:  # Landlock lets nobody look into /proc where there are no namespaces
            return
        for number in sorted(numbers):
            try:
                self._note(number, numbers)
            except OSError:  # the listing's own
                continue
        self._loops.choose(set(self._taken()))
        for number in self._taken():
            os.close(number)
        if sum(mapping.size for mapping in mappings) <= _MOST_BYTES:
            self._memory = [mapping for mapping in mappings if _replaced(mapping, _PRIVATE)]

    def put_back(self) -> None:
        """Have all of it again, in a fork. Raises OSError."""
        for ends in self._pipes:
            made = [self._aside(opened) for opened in os.pipe()]
            for opened, (number, flags) in zip(made, ends):  # noqa: B905 – not in 3.9
                _put(opened, number, flags)
        for number, path, flags, offset in self._files:
            opened = self._aside(os.open(path, flags))
            if offset:
                os.lseek(opened, offset, os.SEEK_SET)
            _put(opened, number, flags)
        self._loops.put_back_sockets(self._aside, _put)
        files = {inode: self._made_anew(inode) for inode in self._nameless}
        self._loops.put_back_polls(self._aside, _put)
        for mapping in self._memory:
            if not _replaced(mapping, _SHARED, fd=files.get(mapping.inode, -1)):
                raise OSError("memory cannot be shared anew")

    def _aside(self, opened: int) -> int:
        """Move a descriptor to where none of the package's is, whose number it may have got."""
        free = syscalls.do("fcntl", opened, _F_DUPFD_CLOEXEC, max(self._taken()) + 1)
        os.close(opened)
        return free

    def _taken(self) -> list[int]:
        """Return the descriptors that are closed, and had again."""
        taken = [end[0] for pipe in self._pipes for end in pipe]
        taken += [end[0] for _, ends in self._nameless.values() for end in ends]
        return taken + [file[0] for file in self._files] + self._loops.numbers

    def _made_anew(self, inode: int) -> int:
        """Make a file without a name again; return one of its descriptors."""
        content, ends = self._nameless[inode]
        made = self._aside(os.open(os.environ["TMPDIR"], os.O_TMPFILE | os.O_RDWR, 0o600))
        os.write(made, content)
        for number, flags in ends[1:]:
            os.dup2(made, number, inheritable=not flags & os.O_CLOEXEC)
        _put(made, *ends[0])
        return ends[0][0]

    def _note(self, number: int, numbers: set[int]) -> None:
        """Note how a descriptor can be had again, if it can."""
        status, flags = os.fstat(number), _flags(number)
        if flags & _O_PATH:
            return
        if stat.S_ISFIFO(status.st_mode):
            self._note_pipe(number, flags, status, numbers)
            return
        path = os.readlink("/proc/self/fd/%d" % (number,))
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
            if status.st_size <= _MOST_BYTES:
                content = os.pread(number, status.st_size, 0)
                self._nameless.setdefault(status.st_ino, (content, []))[1].append((number, flags))
        elif stat.S_ISREG(status.st_mode):
            there = os.stat(path)
            is_same = (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)
            if is_same and flags & os.O_ACCMODE == os.O_RDONLY:
                offset = os.lseek(number, 0, os.SEEK_CUR)
                self._files.append((number, path, flags, offset))
        elif path in _DEVICES:
            self._files.append((number, path, flags, 0))
        else:
            self._loops.note(number, flags)

    def _note_pipe(
        self, number: int, flags: int, status: os.stat_result, numbers: set[int]
    ) -> None:
        """Note a pipe by its end to read from, if there is just one of each, and nothing in it."""
        if flags & os.O_ACCMODE != os.O_RDONLY or _unread(number):
            return
        ends = [other for other in numbers if _is_same(other, status)]
        writers = [end for end in ends if _flags(end) & os.O_ACCMODE == os.O_WRONLY]
        if len(ends) == 2 and len(writers) == 1:
            self._pipes.append(((number, flags), (writers[0], _flags(writers[0]))))


def _is_same(number: int, status: os.stat_result) -> bool:
    try:
        there = os.fstat(number)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)


def _flags(number: int) -> int:
    """Return how a descriptor was opened (F_GETFL and F_GETFD, fcntl(2))."""
    kept = syscalls.do("fcntl", number, _F_GETFL) & (_KEPT_FLAGS | _O_PATH)
    return kept | (os.O_CLOEXEC if syscalls.do("fcntl", number, _F_GETFD) else 0)


def _unread(number: int) -> int:
    room = syscalls.Room(4)
    syscalls.do("ioctl", number, _FIONREAD, room.pointer)
    return room.numbers[0]


def _put(opened: int, number: int, flags: int) -> None:
    """Move a descriptor to the number that the package knows it by."""
    os.dup2(opened, number, inheritable=not flags & os.O_CLOEXEC)
    os.close(opened)
    if flags & os.O_NONBLOCK:
        os.set_blocking(number, False)


class _Mapping:
    """A piece of shared memory: of the file with that inode, or of none."""

    def __init__(self, address: int, size: int, offset: int, inode: int) -> None:
        self.address, self.size, self.offset, self.inode = address, size, offset, inode


def _shared_mappings() -> list[_Mapping]:
    """Return the writable memory that forks would share, but what is of a file with a name.

    POSIX semaphores are such, of a file that was removed at once (sem_overview(7)).
    """
    found: list[_Mapping] = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            place, rights, offset, _device, inode, *path = line.split()
            is_nameless = not path or path[-1] == "(deleted)"
            if rights.startswith("rw") and rights.endswith("s") and is_nameless:
                start, end = (int(part, 16) for part in place.split("-"))
                found.append(_Mapping(start, end - start, int(offset, 16), int(inode)))
    return found


def _replaced(mapping: _Mapping, kind: int, *, fd: int = -1) -> bool:
    """Put fresh memory of that kind, or of a file, in the place of other, with what is in it."""
    address, size = mapping.address, mapping.size
    aside = syscalls.in_the_library("mmap", 0, size, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    if aside < 0:
        return False
    syscalls.in_the_library("memcpy", aside, address, size)
    how = kind | _FIXED | (_ANONYMOUS if fd < 0 else 0)
    offset = 0 if fd < 0 else mapping.offset
    is_there = (
        syscalls.in_the_library("mmap", address, size, _READ | _WRITE, how, fd, offset) == address
    )
    if is_there:
        syscalls.in_the_library("memcpy", address, aside, size)
    syscalls.in_the_library("munmap", aside, size)
    return is_there
