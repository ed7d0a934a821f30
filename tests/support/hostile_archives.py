"""Hostile archives, each built by a function that is named after what is wrong with it.

They are not kept as files: most are binary junk, and a function says better what was done.
Each entry of HOSTILE names the problem that must be found.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable

from support.bundles import EXTRACT, bundle_files, manifest, tarred, zipped

type Build = Callable[[], bytes]


def with_names(*names: str, content: bytes = b"x") -> Build:
    """Return a builder of a right bundle with further entries called `names`."""

    def build() -> bytes:
        target = io.BytesIO(zipped(bundle_files()).getvalue())
        with zipfile.ZipFile(target, "a") as archive:
            for name in names:
                entry = zipfile.ZipInfo("placeholder")
                entry.filename = entry.orig_filename = name
                archive.writestr(entry, content)
        return target.getvalue()

    return build


def with_mode(name: str, mode: int, content: bytes = b"/etc/passwd") -> Build:
    """Return a builder of a bundle with an entry of file type and mode `mode`."""

    def build() -> bytes:
        target = io.BytesIO(zipped(bundle_files()).getvalue())
        with zipfile.ZipFile(target, "a") as archive:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, content)
        return target.getvalue()

    return build


def patched(find: bytes, replace: bytes, *, which: int = 0) -> Build:
    """Return a builder that alters the bytes of a right bundle at the n-th place of `find`."""

    def build() -> bytes:
        data = plain()
        at = -1
        for _ in range(which + 1):
            at = data.index(find, at + 1)
        return data[:at] + replace + data[at + len(replace) :]

    return build


def plain() -> bytes:
    """Return a right bundle, stored rather than deflated, so that its bytes can be altered."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("manifest.json", manifest())
        archive.writestr("extract.py", EXTRACT)
        archive.writestr("victim.txt", b"A" * 64)
    return target.getvalue()


def nul_in_name() -> bytes:
    return plain().replace(b"victim.txt", b"victim\0txt")


def two_names() -> bytes:
    data = plain()
    at = data.index(b"victim.txt")
    return data[:at] + b"hidden.txt" + data[at + 10 :]


def lying_local_size() -> bytes:
    data = bytearray(plain())
    at = data.index(b"victim.txt") - 30
    struct.pack_into("<I", data, at + 22, 6400)
    return bytes(data)


def lying_central_size() -> bytes:
    data = bytearray(plain())
    at = data.index(b"victim.txt", data.index(b"PK\1\2")) - 46
    struct.pack_into("<I", data, at + 24, 6400)
    return bytes(data)


def lying_count() -> bytes:
    data = bytearray(plain())
    at = data.rindex(b"PK\5\6")
    struct.pack_into("<HH", data, at + 8, 1, 1)
    return bytes(data)


def zip64_end(**lies: int) -> bytes:
    """Return a right bundle with a zip64 end record, as streaming tools write it, but `lies`."""
    data = plain()
    at = data.rindex(b"PK\5\6")
    _, _, _, here, count, length, start, _ = struct.unpack("<4sHHHHIIH", data[at:])
    right = {"here": here, "count": count, "length": length, "start": start, "at": at, "extra": 44}
    told = right | lies
    sizes = (told["here"], told["count"], told["length"], told["start"])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", told["extra"], 45, 45, 0, 0, *sizes)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, told["at"], 1)
    return data[:at] + record + locator + data[at:]


def zip64_locator_alone() -> bytes:
    """The end record leaves the start to a zip64 record that is not there."""
    data = bytearray(plain())
    struct.pack_into("<I", data, data.rindex(b"PK\5\6") + 16, 0xFFFFFFFF)
    return bytes(data)


def streamed() -> bytes:
    """Return a right bundle as a tool writes it that cannot seek back: with descriptors."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    target = Pipe()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", manifest())
        archive.writestr("extract.py", EXTRACT)
    return target.getvalue()


def descriptor_lies() -> bytes:
    """A reader from the front is told another size than a reader of the directory."""
    data = bytearray(streamed())
    struct.pack_into("<I", data, data.index(b"PK\7\10") + 12, 1)
    return bytes(data)


def name_in_extra_field() -> bytes:
    """Info-ZIP and newer Pythons take the name from the extra field, others do not."""
    target = io.BytesIO(plain())
    with zipfile.ZipFile(target, "a") as archive:
        entry = zipfile.ZipInfo("readme.txt")
        field = b"\1" + struct.pack("<I", zlib.crc32(b"readme.txt")) + b"../readme.txt"
        entry.extra = struct.pack("<HH", 0x7075, len(field)) + field
        archive.writestr(entry, b"x")
    return target.getvalue()


def cut_extra_field() -> bytes:
    """A local zip64 field that says it is longer than the header has room for."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("manifest.json", manifest())
        with archive.open(zipfile.ZipInfo("extract.py"), "w", force_zip64=True) as file:
            file.write(EXTRACT)
    data = bytearray(target.getvalue())
    at = data.index(b"extract.py") + len("extract.py")
    struct.pack_into("<HH", data, at, 0x9999, 12)
    struct.pack_into("<HH", data, at + 16, 1, 16)
    return bytes(data)


def with_deflated(alter: Callable[[bytes], bytes]) -> Build:
    """Return a builder of a bundle with an entry whose compressed stream was altered."""

    def build() -> bytes:
        content = b"what the directory's readers see"
        packing = zlib.compressobj(9, wbits=-15)
        packed = alter(packing.compress(content) + packing.flush())
        target = io.BytesIO(plain())
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr("notes.txt", packed)
            entry = archive.getinfo("notes.txt")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.CRC, entry.file_size = zlib.crc32(content), len(content)
        data = bytearray(target.getvalue())
        told = (8, *data[data.index(b"notes.txt") - 20 :][:4], entry.CRC, len(packed), len(content))
        struct.pack_into("<HBBBBIII", data, data.index(b"notes.txt") - 22, *told)
        return bytes(data)

    return build


def without_end(packed: bytes) -> bytes:
    """Clear the bit that says that the first block is the last."""
    return bytes([packed[0] & ~1, *packed[1:]])


def encrypted() -> bytes:
    data = bytearray(plain())
    for header in (data.index(b"victim.txt") - 24, data.rindex(b"victim.txt") - 38):
        data[header] |= 1
    return bytes(data)


def with_bit(bit: int, *, central: bool = True) -> Callable[[], bytes]:
    """Set a bit of an entry in its local header, and in the directory too."""

    def build() -> bytes:
        data = bytearray(plain())
        headers = (data.index(b"victim.txt") - 24, data.rindex(b"victim.txt") - 38)
        for header in headers[: 1 + central]:
            flags = int.from_bytes(data[header : header + 2], "little") | bit
            data[header : header + 2] = flags.to_bytes(2, "little")
        return bytes(data)

    return build


def odd_compression() -> bytes:
    target = io.BytesIO(plain())
    with zipfile.ZipFile(target, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("odd.txt", b"B" * 500)
    return target.getvalue()


def overlapping() -> bytes:
    """Two directory entries that point at one local header (the better zip bomb)."""
    data = plain()
    start = data.index(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    directory = data[start:end]
    at = directory.index(b"victim.txt") - 46
    extra = directory[at:].replace(b"victim.txt", b"victim.tx2")
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 4, 4, len(directory) + len(extra), start, 0)
    return data[:start] + directory + extra + tail


def hidden_data() -> bytes:
    """Bytes between two entries that no reader shows."""
    data = plain()
    second = data.index(b"PK\3\4", 4)
    shifted = bytearray(data[:second] + b"#" * 100 + data[second:])
    at = 0
    while (at := shifted.find(b"PK\1\2", at + 1)) > 0:
        offset = struct.unpack_from("<I", shifted, at + 42)[0]
        if offset:
            struct.pack_into("<I", shifted, at + 42, offset + 100)
    end = shifted.rindex(b"PK\5\6")
    start = struct.unpack_from("<I", shifted, end + 16)[0]
    struct.pack_into("<I", shifted, end + 16, start + 100)
    return bytes(shifted)


def bomb_by_ratio() -> bytes:
    return zipped(bundle_files({"zeros.bin": bytes(64 * 1024 * 1024)})).getvalue()


def bomb_by_count() -> bytes:
    return zipped(bundle_files({f"many/{n}.txt": b"" for n in range(5_100)})).getvalue()


def archive_in_comment() -> bytes:
    target = io.BytesIO(plain())
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"PK\3\4 and what else a reader from the front would see"
    return target.getvalue()


def end_record_in_comment() -> bytes:
    """Readers that search for the end record find another one than readers that do not."""
    target = io.BytesIO(plain())
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = plain()[-300:]
    return target.getvalue()


def tar_with(members: Iterable[tuple[str, bytes, str, int]], *, linked_to: str = "") -> Build:
    """Return a builder of a bundle as tar.gz with (name, type, content, mode) members."""

    def build() -> bytes:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w:gz") as archive:
            for path, content in bundle_files().items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            for name, kind, content, mode in members:
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.linkname = kind, mode, linked_to
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content.encode()))
        return target.getvalue()

    return build


def tar_with_trailing_data() -> bytes:
    inner = gzip.decompress(tarred(bundle_files()).getvalue())
    return gzip.compress(inner + b"another archive" * 10)


def tar_truncated() -> bytes:
    return tarred(bundle_files({"big.bin": bytes(range(256)) * 400})).getvalue()[:-300]


def tar_bomb() -> bytes:
    return tarred(bundle_files({"zeros.bin": bytes(48 * 1024 * 1024)})).getvalue()


REGULAR, LINK = tarfile.REGTYPE, tarfile.SYMTYPE

HOSTILE: dict[str, tuple[str, Build]] = {
    "parent path": ("parent-path", with_names("../evil.py")),
    "parent path in the middle": ("parent-path", with_names("a/../../evil.py")),
    "parent path at the end": ("parent-path", with_names("a/..")),
    "absolute path": ("absolute-path", with_names("/etc/cron.d/evil")),
    "drive letter": ("absolute-path", with_names("C:/evil.py")),
    "backslashes": ("backslash", with_names("..\\evil.py")),
    "unc path": ("backslash", with_names("\\\\host\\share\\evil.py")),
    "dot part": ("odd-path", with_names("a/./evil.py")),
    "empty part": ("odd-path", with_names("a//evil.py")),
    "windows device": ("windows-name", with_names("con.txt")),
    "trailing dot": ("windows-name", with_names("extract.py.")),
    "alternate stream": ("windows-name", with_names("extract.py:hidden")),
    "nul in a name": ("control-character", nul_in_name),
    "newline in a name": ("control-character", with_names("a\nb.py")),
    "right-to-left override": ("control-character", with_names("a\u202eyp.txt")),
    "zero-width space": ("control-character", with_names("ex\u200btract.py")),
    "decomposed letters": ("not-normalised", with_names("cafe\u0301.txt")),
    "long name": ("long-path", with_names("d/" * 10 + "x" * 300)),
    "too deep": ("too-deep", with_names("/".join("abcdefghij" * 4) + "/x")),
    "duplicate entry": ("duplicate-entry", with_names("extract.py")),
    "case collision": ("name-collision", with_names("EXTRACT.py")),
    "folder case collision": ("name-collision", with_names("lib/a.py", "LIB/b.py")),
    "compatibility collision": ("name-collision", with_names("file.txt", "\ufb01le.txt")),
    "file and folder at once": ("name-collision", with_names("thing", "thing/inner.py")),
    "symbolic link": ("link", with_mode("link", 0o120777)),
    "character device": ("device", with_mode("null", 0o020666, b"")),
    "fifo": ("device", with_mode("pipe", 0o010644, b"")),
    "socket": ("device", with_mode("socket", 0o140644, b"")),
    "set-uid": ("set-id", with_mode("tool", 0o104755)),
    "bomb by ratio": ("bomb-ratio", bomb_by_ratio),
    "bomb by count": ("too-many-entries", bomb_by_count),
    "overlapping entries": ("overlapping", overlapping),
    "hidden data": ("hidden-data", hidden_data),
    "local header has another name": ("two-names", two_names),
    "local header has another size": ("lying-size", lying_local_size),
    "directory has another size": ("lying-size", lying_central_size),
    "end record has another count": ("lying-count", lying_count),
    "zip64 end record has another count": ("zip64", lambda: zip64_end(here=2, count=2)),
    "zip64 end record has another start": ("zip64", lambda: zip64_end(start=0)),
    "zip64 end record is elsewhere": ("zip64", lambda: zip64_end(at=4)),
    "zip64 end record hides data": ("zip64", lambda: zip64_end(extra=45)),
    "zip64 end record is missing": ("data-before-start", zip64_locator_alone),
    "descriptor has another size": ("no-descriptor", descriptor_lies),
    "extra field has another name": ("two-names", name_in_extra_field),
    "extra field is cut off": ("lying-size", cut_extra_field),
    "data after the compressed stream": ("damaged", with_deflated(lambda packed: packed + b"more")),
    "compressed stream without an end": ("damaged", with_deflated(without_end)),
    "damaged content": ("damaged", patched(b"A" * 8, b"B" * 8)),
    "encrypted": ("encrypted", encrypted),
    "odd compression": ("odd-compression", odd_compression),
    "patched data": ("odd-bits", with_bit(0x20)),
    "patched data, says its local header alone": ("odd-bits", with_bit(0x20, central=False)),
    "a reserved bit": ("odd-bits", with_bit(0x8000)),
    "data after the end": ("data-after-end", lambda: plain() + b"trailing"),
    "data before the start": ("data-before-start", lambda: b"#!/bin/sh\n" + plain()),
    "two archives in one": ("data-before-start", lambda: plain() + plain()),
    "archive in the comment": ("archive-in-comment", archive_in_comment),
    "end record in the comment": ("data-before-start", end_record_in_comment),
    "truncated": ("not-a-zip", lambda: plain()[:-40]),
    "not an archive": ("not-a-zip", lambda: b"hello, this is text"),
    "empty": ("not-a-zip", lambda: b""),
    "tar: parent path": ("parent-path", tar_with([("../evil.py", REGULAR, "x", 0o644)])),
    "tar: absolute path": ("absolute-path", tar_with([("/evil.py", REGULAR, "x", 0o644)])),
    "tar: symbolic link": ("link", tar_with([("l", LINK, "", 0o644)], linked_to="/etc/passwd")),
    "tar: hard link": (
        "link",
        tar_with([("l", tarfile.LNKTYPE, "", 0o644)], linked_to="extract.py"),
    ),
    "tar: device": ("device", tar_with([("d", tarfile.CHRTYPE, "", 0o644)])),
    "tar: fifo": ("device", tar_with([("f", tarfile.FIFOTYPE, "", 0o644)])),
    "tar: set-uid": ("set-id", tar_with([("tool", REGULAR, "x", 0o4755)])),
    "tar: duplicate": ("duplicate-entry", tar_with([("extract.py", REGULAR, "x", 0o644)])),
    "tar: case collision": ("name-collision", tar_with([("EXTRACT.PY", REGULAR, "x", 0o644)])),
    "tar: bomb": ("bomb-ratio", tar_bomb),
    "tar: trailing data": ("data-after-end", tar_with_trailing_data),
    "tar: truncated": ("damaged", tar_truncated),
}
