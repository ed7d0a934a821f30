"""Judges a tar.gz by the same rules as a zip: regular files and folders, honest and portable."""

import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from wheelhouse.archives.judging import FILLERS, LEAVE_OUT, Ceilings, Judge
from wheelhouse.archives.paths import path_faults
from wheelhouse.archives.tarfiles import Headers, TarRefusedError
from wheelhouse.problem import Problem

CHUNK_BYTES = 1 << 18
PACKED_BYTES = 1 << 16
GZIP = 16 + zlib.MAX_WBITS
MOST_MEMBERS = 10_000
"""Of a gzip stream: some tools write one for each 64 KiB."""

type Sink = Callable[[tarfile.TarInfo, Iterator[bytes]], None]


class _TooMuchError(Exception):
    """The stream unpacks to more than it may."""


class _Bounded(io.RawIOBase):
    """Reads a gzip stream up to `most` bytes, and looks at the tar's headers on the way.

    Unpacking is bounded before it happens. GzipFile would read a header's name byte by byte.
    """

    def __init__(self, packed: BinaryIO, most: int):
        super().__init__()
        self.left = most
        self.headers = Headers()
        self._packed = packed
        self._inflating = zlib.decompressobj(GZIP)
        self._waiting = b""
        self._members = 1

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes. Raises _TooMuchError past the bound."""
        wanted = min(size, self.left + 1) if size >= 0 else self.left + 1
        chunk = b""
        while wanted and not chunk:
            if self._inflating.eof and not self._next_member():
                return b""
            raw = self._waiting or self._packed.read(PACKED_BYTES)
            if not raw:
                raise EOFError("the compressed stream has no end")
            chunk = self._inflating.decompress(raw, wanted)
            self._waiting = self._inflating.unconsumed_tail or self._inflating.unused_data
        self.left -= len(chunk)
        if self.left < 0:
            raise _TooMuchError
        self.headers.follow(chunk)
        return chunk

    def _next_member(self) -> bool:
        """Begin the next member of the stream, if there is one; zeros may follow the last."""
        while not self._waiting.lstrip(b"\0"):
            self._waiting = self._packed.read(PACKED_BYTES)
            if not self._waiting:
                return False
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise _TooMuchError
        self._waiting = self._waiting.lstrip(b"\0")
        self._inflating = zlib.decompressobj(GZIP)
        return True


def judge_tarball(path: Path, *, name: str, ceilings: Ceilings, sink: Sink) -> list[Problem]:
    """Return every fault of the tar.gz at `path`; good files are given to `sink` as they come.

    Where problems come back, whatever `sink` kept must be thrown away.
    """
    judge = Judge(name)
    most = min(ceilings.unpacked_bytes, int(max(path.stat().st_size, 5120) * ceilings.ratio))
    names: list[str] = []
    try:
        with path.open("rb") as packed:
            bounded = _Bounded(packed, most + ceilings.entries * 1024)
            with tarfile.open(fileobj=bounded, mode="r|", errorlevel=2) as archive:
                _judge_members(judge, archive, names, ceilings, sink)
            while chunk := bounded.read(CHUNK_BYTES):
                if chunk.strip(b"\0"):
                    judge.fault("data-after-end", "there is data after the end of the archive")
                    break
    except _TooMuchError:
        judge.fault("bomb-ratio", f"it unpacks to more than {most} bytes", mend=FILLERS)
    except TarRefusedError as refused:
        judge.fault(refused.code, str(refused), mend=refused.mend)
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        judge.fault("damaged", f"it cannot be unpacked: {error}")
    judge.names(names, ceilings)
    return judge.told()


def _judge_members(
    judge: Judge, archive: tarfile.TarFile, names: list[str], ceilings: Ceilings, sink: Sink
) -> None:
    for member in archive:
        member.name = member.name.removeprefix("./")
        if member.name in ("", ".") and member.isdir():
            continue
        names.append(member.name + ("/" if member.isdir() else ""))
        if len(names) > ceilings.entries:
            return
        _judge_member(judge, member, ceilings)
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None and not judge.problems and not path_faults(member.name):
            with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                sink(member, _chunks(content))  # what collides is found by name, below


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(CHUNK_BYTES):
        yield chunk


def _judge_member(judge: Judge, member: tarfile.TarInfo, ceilings: Ceilings) -> None:
    name = member.name
    if member.issym() or member.islnk():
        judge.fault("link", "it is a link", entry=name, mend="put the file itself there")
    elif not member.isreg() and not member.isdir():
        judge.fault(
            "device", "it is a device, pipe or special file", entry=name, mend="leave it out"
        )
    elif member.issparse():
        judge.fault("odd-kind", "it is a sparse file", entry=name)
    if member.mode & 0o6000:
        judge.fault("set-id", "it has the set-uid or set-gid bit", entry=name)
    if member.size > ceilings.entry_bytes:
        what = f"{member.size} bytes unpacked; the limit is {ceilings.entry_bytes}"
        judge.fault("too-large", what, entry=name, mend=LEAVE_OUT)
