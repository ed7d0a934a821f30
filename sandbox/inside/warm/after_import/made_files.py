"""What an import has left in its scratch (HOME, /tmp, /dev/shm), for each fork to have."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FILES, MOST_BYTES = 500, 8 << 20
"""More is not copied into every fork: such a version runs cold."""


class TooMuch(Exception):
    """The import has left more than forks are given copies of; `word` says of what."""

    def __init__(self, text: str, *, word: str = "") -> None:
        super().__init__(text)
        self.word = word


class Made:
    """A folder, a file or a link: its path, its mode, and what is in it."""

    def __init__(self, path: bytes, mode: int, content: bytes) -> None:
        self.path, self.mode, self.content = path, stat.S_IMODE(mode), content
        self.is_folder, self.is_link = stat.S_ISDIR(mode), stat.S_ISLNK(mode)


def below(folder: str) -> list[Made]:
    """Return what is there, folders before what is in them. Raises TooMuch."""
    found: list[Made] = []
    size = 0
    for path, mode in _walk(folder):
        if stat.S_ISLNK(mode):
            content = os.fsencode(os.readlink(path))
        elif stat.S_ISREG(mode):
            size += os.lstat(path).st_size
            if size > MOST_BYTES:
                text = "preload left more than %d MiB in files" % (MOST_BYTES >> 20,)
                raise TooMuch(text, word="files")
            with open(path, "rb") as file:
                content = file.read()
        elif stat.S_ISDIR(mode):
            content = b""
        else:  # a copy of it would be no copy: who has the one end could not talk with the other
            raise TooMuch("preload left a socket, a FIFO or a device: " + path)
        found.append(Made(os.fsencode(path), mode, content))
        if len(found) > MOST_FILES:
            raise TooMuch("preload left more than %d files" % (MOST_FILES,))
    return found


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        mode = os.lstat(path).st_mode
        yield path, mode
        if stat.S_ISDIR(mode):
            yield from _walk(path)
