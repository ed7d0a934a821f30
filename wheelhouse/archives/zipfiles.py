"""Judges a zip before a byte of it is kept: every reader must see the same entries.

The central directory is read by the standard library, then held against each local header
(APPNOTE.TXT 4.3), since readers that differ here are how archives smuggle. What it lets
through has unique, relative, portable names, no links or devices, honest sizes and CRCs.
"""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from wheelhouse.archives.judging import FILLERS, LEAVE_OUT, Ceilings, Judge, printable
from wheelhouse.problem import Problem

LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
END_RECORD = struct.Struct("<4sHHHHIIH")
DIRECTORY_HEADER = struct.Struct("<4s24xHHH12x")
ZIP64_END_RECORD = struct.Struct("<4sQHHIIQQQQ")
ZIP64_LOCATOR = struct.Struct("<4sIQI")
IN_ZIP64 = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
"""What the fields of the end record say where the zip64 one holds the true value."""
ENCRYPTED, DESCRIPTOR, STRONG_ENCRYPTION, MASKED = 0x1, 0x8, 0x40, 0x2000
KNOWN = 0x2 | 0x4 | DESCRIPTOR | 0x800
"""Bits of an entry that readers agree on (APPNOTE 4.4.4): how hard it was deflated, that sizes
follow it, that names are UTF-8. Some refuse what others read with one of the rest (0x20)."""
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
CHUNK_BYTES = 1 << 18
LONGEST_DESCRIPTOR = 24
LONGEST_COMMENT = 0xFFFF
DIRECTORY_BYTES = 1024
"""Of the directory for each entry that there may be; ordinary tools need about 150."""
MOST_EXTRA_BYTES = 4096
"""Of extra fields in a local header: zipalign fills up to a page."""
ZIP64, UNICODE_PATH = 0x0001, 0x7075
"""Tags of extra fields."""


type Sink = Callable[[zipfile.ZipInfo, Iterator[bytes]], None]
"""Given each file of the archive and its bytes, in the same pass that checks them."""


def discard(entry: zipfile.ZipInfo, chunks: Iterator[bytes]) -> None:
    """Read the bytes of `entry` and keep nothing."""
    for _ in chunks:
        pass


def judge_zip(path: Path, *, name: str, ceilings: Ceilings, sink: Sink = discard) -> list[Problem]:
    """Return every fault of the zip at `path`; `name` is what people call it.

    `sink` is given each file once the headers are found to be good. Where problems come
    back, whatever it kept must be thrown away.
    """
    judge = Judge(name)
    with path.open("rb") as stream:
        size = path.stat().st_size
        if not judge_directory(judge, stream, ceilings, size=size):
            return judge.told()
        try:
            archive = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            judge.fault("not-a-zip", f"it cannot be read as a zip: {error}")
            return judge.told()
        with archive:
            _judge_end(judge, archive, stream, size=size)
            _judge_entry_names(judge, archive.infolist(), ceilings)
            _judge_kinds(judge, archive.infolist(), ceilings)
            _judge_layout(judge, archive, stream)
            if not judge.problems:
                _judge_contents(judge, archive, stream, sink)
    return judge.told()


def files_of(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the entries of a judged archive that are files, in the archive's order."""
    return (entry for entry in archive.infolist() if not entry.is_dir())


def judge_directory(judge: Judge, stream: BinaryIO, ceilings: Ceilings, *, size: int) -> bool:
    """Count the entries of the directory before the standard library makes an object of each.

    Where no directory can be found nothing is said: ZipFile will say it.
    """
    found = _directory(stream, size=size)
    if found is None:
        return True
    start, length = found
    most = ceilings.entries * DIRECTORY_BYTES
    if length > most:
        judge.fault("too-large", f"a directory of {length} bytes; the limit is {most}")
        return False
    stream.seek(start)
    if _count(stream.read(length), most=ceilings.entries) > ceilings.entries:
        judge.fault("too-many-entries", f"more than {ceilings.entries} entries")
        return False
    return True


def _directory(stream: BinaryIO, *, size: int) -> tuple[int, int] | None:
    """Return start and length of the directory where zipfile looks for it, None for none."""
    stream.seek(max(0, size - END_RECORD.size - LONGEST_COMMENT))
    begin, tail = stream.tell(), stream.read()
    at = len(tail) - END_RECORD.size
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or at + END_RECORD.size > len(tail):
        return None
    end, length = begin + at, END_RECORD.unpack_from(tail, at)[5]
    before = end - ZIP64_LOCATOR.size - ZIP64_END_RECORD.size
    if before >= 0:
        stream.seek(before)
        longer = ZIP64_END_RECORD.unpack(stream.read(ZIP64_END_RECORD.size))
        if stream.read(4) == b"PK\6\7" and longer[0] == b"PK\6\6":
            end, length = before, longer[8]
    return (end - length, length) if length <= end else None


def _count(directory: bytes, *, most: int) -> int:
    """Return how many entries `directory` has, or one more than `most`."""
    count = at = 0
    while at + DIRECTORY_HEADER.size <= len(directory) and count <= most:
        signature, name, extra, comment = DIRECTORY_HEADER.unpack_from(directory, at)
        if signature != b"PK\1\2":
            break
        at += DIRECTORY_HEADER.size + name + extra + comment
        count += 1
    return count


def _judge_end(judge: Judge, archive: zipfile.ZipFile, stream: BinaryIO, *, size: int) -> None:
    """Hold the end record against the file: nothing before, between or after, one count."""
    at = size - END_RECORD.size - len(archive.comment)
    stream.seek(max(0, at))
    end = stream.read(END_RECORD.size)
    if len(end) < END_RECORD.size or end[:4] != b"PK\5\6":
        judge.fault("data-after-end", "there is data after the end record")
        return
    if b"PK" in archive.comment:
        judge.fault("archive-in-comment", "its comment looks like another archive")
    told: tuple[int, ...] = END_RECORD.unpack(end)[1:7]
    longer = _zip64_end(judge, stream, before=at)
    if longer is not None:
        at -= ZIP64_END_RECORD.size + ZIP64_LOCATOR.size
    if any(
        field not in (true, top)
        for field, true, top in zip(told, longer or told, IN_ZIP64, strict=True)
    ):
        judge.fault("zip64", "its two end records say different things")
    disk, start_disk, here, count, directory_bytes, start = longer or told
    if disk or start_disk or here != count:
        judge.fault("multi-disk", "it says that it is a part of a set of archives")
    if count != len(archive.infolist()):
        judge.fault("lying-count", f"it says {count} entries and has {len(archive.infolist())}")
    if start + directory_bytes != at or start != archive.start_dir:
        judge.fault("data-before-start", "there is data before or between its parts")


def _zip64_end(judge: Judge, stream: BinaryIO, *, before: int) -> tuple[int, ...] | None:
    """Return the six fields of the zip64 end record right before `before`; None for none.

    Tools write one for what they stream, however small (APPNOTE 4.3.14 and 4.3.15).
    """
    at = before - ZIP64_END_RECORD.size - ZIP64_LOCATOR.size
    if at < 0:
        return None
    stream.seek(at)
    end = ZIP64_END_RECORD.unpack(stream.read(ZIP64_END_RECORD.size))
    locator = ZIP64_LOCATOR.unpack(stream.read(ZIP64_LOCATOR.size))
    if locator[0] != b"PK\6\7":
        return None
    if (end[0], end[1], *locator[1:]) != (b"PK\6\6", ZIP64_END_RECORD.size - 12, 0, at, 1):
        judge.fault("zip64", "its zip64 end record is not where, or what, it should be")
    return end[4:]


def _judge_entry_names(judge: Judge, entries: list[zipfile.ZipInfo], ceilings: Ceilings) -> None:
    for entry in entries:
        if entry.orig_filename != entry.filename:
            judge.fault("control-character", "the name has a NUL", entry=entry.orig_filename)
    judge.names([entry.filename for entry in entries], ceilings)


def _judge_kinds(judge: Judge, entries: list[zipfile.ZipInfo], ceilings: Ceilings) -> None:
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if total > ceilings.unpacked_bytes:
        limit = ceilings.unpacked_bytes
        judge.fault("too-large", f"{total} bytes unpacked; the limit is {limit}", mend=LEAVE_OUT)
    if total > 1 << 20 and total > ceilings.ratio * max(packed, 1):
        most = max(entries, key=lambda entry: entry.file_size)
        what = (
            f"{total} bytes unpacked out of {packed}, more than {ceilings.ratio:.0f}:1; "
            f"the largest is {printable(most.filename)} with {most.file_size}"
        )
        judge.fault("bomb-ratio", what, mend=FILLERS)
    for entry in entries:
        _judge_kind(judge, entry, ceilings)


def _judge_kind(judge: Judge, entry: zipfile.ZipInfo, ceilings: Ceilings) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if entry.flag_bits & (ENCRYPTED | STRONG_ENCRYPTION | MASKED):
        judge.fault("encrypted", "it is encrypted", entry=name, mend="remove the password")
    elif entry.flag_bits & ~KNOWN:
        _judge_odd_bits(judge, entry.flag_bits, name=name)
    if entry.compress_type not in METHODS:
        judge.fault("odd-compression", "it is neither stored nor deflated", entry=name)
    if kind == stat.S_IFLNK:
        judge.fault("link", "it is a symbolic link", entry=name, mend="put the file itself there")
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        judge.fault("device", "it is a device, pipe or socket", entry=name, mend="leave it out")
    elif kind == stat.S_IFDIR and not entry.is_dir():
        judge.fault("odd-kind", "it is a folder by mode and a file by name", entry=name)
    if mode & (stat.S_ISUID | stat.S_ISGID):
        judge.fault("set-id", "it has the set-uid or set-gid bit", entry=name)
    if entry.is_dir() and entry.file_size:
        judge.fault("odd-kind", "it is a folder with content", entry=name)
    if entry.file_size > ceilings.entry_bytes:
        what = f"{entry.file_size} bytes unpacked; the limit is {ceilings.entry_bytes}"
        judge.fault("too-large", what, entry=name, mend=LEAVE_OUT)


def _judge_odd_bits(judge: Judge, bits: int, *, name: str) -> None:
    what = f"it has a bit set that readers of zips do not agree on ({bits & ~KNOWN:#x})"
    judge.fault("odd-bits", what, entry=name, mend="pack it with another tool")


def _judge_layout(judge: Judge, archive: zipfile.ZipFile, stream: BinaryIO) -> None:
    """Hold each local header against the directory; entries must follow without a gap."""
    reached = 0
    entries = sorted(archive.infolist(), key=lambda e: e.header_offset)
    starts = [entry.header_offset for entry in entries]
    for entry, following in zip(entries, [*starts[1:], archive.start_dir], strict=False):
        if entry.header_offset < reached:
            judge.fault("overlapping", "it shares bytes with another entry", entry=entry.filename)
            return
        if entry.header_offset > reached:
            judge.fault("hidden-data", "there is data before it", entry=entry.filename)
            return
        end = _entry_end(judge, entry, stream, following=following)
        if end is None:
            return
        reached = end
    if reached < archive.start_dir:
        judge.fault("hidden-data", "there is data before the directory")
    elif reached > archive.start_dir:
        judge.fault("overlapping", "the last entry runs into the directory")


def _entry_end(
    judge: Judge, entry: zipfile.ZipInfo, stream: BinaryIO, *, following: int
) -> int | None:
    """Return where the entry ends, or None where its local header says something else.

    `following` is where the next entry, or the directory, begins.
    """
    stream.seek(entry.header_offset)
    header = stream.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        judge.fault("no-local-header", "its local header is missing", entry=entry.filename)
        return None
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL_HEADER.unpack(
        header
    )
    raw = stream.read(name_length)
    extra = stream.read(extra_length)
    if extra_length > MOST_EXTRA_BYTES:
        what = f"{extra_length} bytes of extra fields; the limit is {MOST_EXTRA_BYTES}"
        judge.fault("hidden-data", what, entry=entry.filename)
        return None
    if raw.decode("utf-8" if flags & 0x800 else "cp437", "replace") != entry.orig_filename:
        judge.fault("two-names", "its local header has another name", entry=entry.filename)
    if _other_name(extra, raw) or _other_name(entry.extra, raw):
        judge.fault("two-names", "an extra field gives it another name", entry=entry.filename)
    if method != entry.compress_type or (flags ^ entry.flag_bits) & (ENCRYPTED | DESCRIPTOR):
        judge.fault("two-kinds", "its local header says another format", entry=entry.filename)
    if packed == size == 0xFFFFFFFF:
        packed, size = _zip64_sizes(extra, packed=packed, size=size)
    if flags & ~(KNOWN | ENCRYPTED | STRONG_ENCRYPTION | MASKED | entry.flag_bits):
        _judge_odd_bits(judge, flags, name=entry.filename)
    deferred = bool(flags & DESCRIPTOR)
    if not _is_true((crc, packed, size), entry, deferred=deferred):
        judge.fault("lying-size", "its local header says another size", entry=entry.filename)
    end = entry.header_offset + LOCAL_HEADER.size + name_length + extra_length + entry.compress_size
    if not deferred:
        return end
    stream.seek(end)
    descriptor = stream.read(min(max(0, following - end), LONGEST_DESCRIPTOR + 1))
    if descriptor not in _descriptors(entry):
        what = "what follows its content is not the descriptor that it announces"
        judge.fault("no-descriptor", what, entry=entry.filename)
    return end + len(descriptor)


def _is_true(told: tuple[int, int, int], entry: zipfile.ZipInfo, *, deferred: bool) -> bool:
    """Return whether a local header says the truth, or 0 where a descriptor says it later."""
    true = (entry.CRC, entry.compress_size, entry.file_size)
    return all(
        field == right or (deferred and field == 0) for field, right in zip(told, true, strict=True)
    )


def _other_name(extra: bytes, raw: bytes) -> bool:
    """Return whether a Unicode Path field gives the entry another name (APPNOTE 4.6.9)."""
    names = (field[5:] for tag, field in _fields(extra) if tag == UNICODE_PATH)
    return any(name != raw for name in names)


def _zip64_sizes(extra: bytes, *, packed: int, size: int) -> tuple[int, int]:
    """Return the sizes that the zip64 extra field of a local header holds (APPNOTE 4.5.3)."""
    for tag, field in _fields(extra):
        if tag == ZIP64 and len(field) >= 16:
            size, packed = struct.unpack_from("<QQ", field)
            return packed, size
    return packed, size


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each extra field."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        yield tag, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _descriptors(entry: zipfile.ZipInfo) -> list[bytes]:
    """Return each right data descriptor: with or without signature, 32 or 64 bits (4.3.9)."""
    fields = (entry.CRC, entry.compress_size, entry.file_size)
    forms = ["<IQQ"] if max(fields) > 0xFFFFFFFF else ["<III", "<IQQ"]
    records = [struct.pack(form, *fields) for form in forms]
    return [signature + record for record in records for signature in (b"PK\7\10", b"")]


def _judge_contents(judge: Judge, archive: zipfile.ZipFile, stream: BinaryIO, sink: Sink) -> None:
    """Unpack everything into `sink`: each file is what the directory says, to the last byte."""
    for entry in files_of(archive):
        try:
            sink(entry, _content(entry, stream))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            judge.fault("damaged", f"it cannot be unpacked: {error}", entry=entry.filename)


def _content(entry: zipfile.ZipInfo, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the content of `entry`; raise BadZipFile unless it is all of it, and right.

    The standard library stops at the size that it was told. A reader from the front stops
    where the compressed stream ends, so the two have to be one place.
    """
    stream.seek(entry.header_offset + LOCAL_HEADER.size - 4)
    name_length, extra_length = struct.unpack("<HH", stream.read(4))
    stream.seek(name_length + extra_length, os.SEEK_CUR)
    size, crc = 0, 0
    unpack = _inflated if entry.compress_type == zipfile.ZIP_DEFLATED else _stored
    for chunk in unpack(stream, entry.compress_size):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        if size > entry.file_size:
            break
        yield chunk
    if size != entry.file_size:
        raise zipfile.BadZipFile("it has another size than it says")
    if crc != entry.CRC:
        raise zipfile.BadZipFile("it has another CRC than it says")


def _stored(stream: BinaryIO, left: int) -> Iterator[bytes]:
    """Yield `left` bytes as they are."""
    while left:
        chunk = stream.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise EOFError("the file ends within it")
        left -= len(chunk)
        yield chunk


def _inflated(stream: BinaryIO, packed: int) -> Iterator[bytes]:
    """Yield what `packed` bytes inflate to, a chunk at a time however small they are."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    for raw in _stored(stream, packed):
        waiting = raw
        while waiting and not inflating.eof:
            yield inflating.decompress(waiting, CHUNK_BYTES)
            waiting = inflating.unconsumed_tail
        if inflating.eof and (waiting or inflating.unused_data):
            raise zipfile.BadZipFile("there is data after its compressed stream")
    while rest := inflating.decompress(inflating.unconsumed_tail, CHUNK_BYTES):
        yield rest
    if not inflating.eof:
        raise zipfile.BadZipFile("its compressed stream has no end")
