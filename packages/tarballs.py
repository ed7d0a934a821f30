"""Judges a tar.gz by the same rules as a zip: regular files and folders, honest and portable."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from wheelhouse.judging import FILLERS, LEAVE_OUT, Ceilings, Judge
from wheelhouse.paths import path_faults
from wheelhouse.problem import Problem

CHUNK_BYTES = 1 << 18

type Sink = Callable[[tarfile.TarInfo, Iterator[bytes]], None]


class _TooMuchError(Exception):
    """The stream unpacks to more than it may."""


class _Bounded(io.RawIOBase):
    """Reads a gzip stream up to `most` bytes; unpacking is bounded before it happens."""

    def __init__(self, stream: gzip.GzipFile, most: int):
        super().__init__()
        self.stream, self.left = stream, most

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes. Raises _TooMuchError past the bound."""
        chunk = self.stream.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(chunk)
        if self.left < 0:
            raise _TooMuchError
        return chunk


def judge_tarball(path: Path, *, name: str, ceilings: Ceilings, sink: Sink) -> list[Problem]:
    """Return every fault of the tar.gz at `path`; good files are given to `sink` as they come.

    Where problems come back, whatever `sink` kept must be thrown away.
    """
    judge = Judge(name)
    most = min(ceilings.unpacked_bytes, int(max(path.stat().st_size, 5120) * ceilings.ratio))
    names: list[str] = []
    try:
        with gzip.open(path) as unzipped:
            bounded = _Bounded(unzipped, most + ceilings.entries * 1024)
            with tarfile.open(fileobj=bounded, mode="r|", errorlevel=2) as archive:
                _judge_members(judge, archive, names, ceilings, sink)
            while chunk := bounded.read(CHUNK_BYTES):
                if chunk.strip(b"\0"):
                    judge.fault("data-after-end", "there is data after the end of the archive")
                    break
    except _TooMuchError:
        judge.fault("bomb-ratio", f"it unpacks to more than {most} bytes", mend=FILLERS)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        judge.fault("damaged", f"it cannot be unpacked: {error}")
    judge.names(names, ceilings)
    return judge.problems


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
