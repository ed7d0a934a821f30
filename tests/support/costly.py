"""Small inputs that cost whoever read them much: time, memory, or both, out of all proportion.

Each is (code of the problem that it is refused with, or "" where it is right; how to build it).
They are kept as small as shows the growth, so that the suite stays quick.
"""

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from support.bundles import bundle_files, manifest, tarred, zipped
from support.wheels import pack_wheel, wheel_files

type Build = Callable[[], bytes]
type BuildWheel = Callable[[Path], Path]

FEW, MANY = 2_000, 30_000
BLANKS = 60_000


def names(*paths: str) -> Build:
    """Return a builder of a bundle as zip with an empty file at each of `paths`."""
    return lambda: zipped(bundle_files(dict.fromkeys(paths, b""))).getvalue()


def files(**held: bytes | str) -> Build:
    """Return a builder of a bundle with some files in place: `requirements_txt=…`."""
    named = {name.replace("_txt", ".txt").replace("_json", ".json"): held[name] for name in held}
    return lambda: zipped(bundle_files(named)).getvalue()


def header(name: str, *, kind: bytes, size: int = 0) -> bytes:
    """Return one header of a tar."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.USTAR_FORMAT)


def padded(content: bytes) -> bytes:
    """Return `content` filled up to whole blocks."""
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def before_a_bundle(parts: Callable[[], Iterator[bytes]]) -> Build:
    """Return a builder of a tar.gz with `parts` before the entries of a right bundle."""

    def build() -> bytes:
        right = gzip.decompress(tarred(bundle_files()).getvalue())
        return gzip.compress(b"".join([*parts(), right]), compresslevel=6)

    return build


def metadata(
    kind: bytes, content: Callable[[], bytes], *, times: int = 1, members: int = 1
) -> Build:
    """Return a builder of a tar.gz with headers that hold metadata of a file."""

    def parts() -> Iterator[bytes]:
        said = content()
        for _ in range(times):
            yield header("././@LongLink", kind=kind, size=len(said)) + padded(said)
        for number in range(members):
            yield header(f"file{number}", kind=tarfile.REGTYPE)

    return before_a_bundle(parts)


def records(*pairs: tuple[str, str]) -> bytes:
    """Return records of pax: `length key=value`, the length of itself too."""
    made = b""
    for key, value in pairs:
        rest = f" {key}={value}\n".encode()
        length = len(rest) + len(str(len(rest)))
        length = len(rest) + len(str(length))
        made += str(length).encode() + rest
    return made


def many_records() -> bytes:
    return b"".join(records((f"k{number}", "v" * 20)) for number in range(20_000))


def sparse_map() -> bytes:
    pairs = ",".join(f"{number},1" for number in range(40_000))
    return records(("GNU.sparse.map", pairs), ("GNU.sparse.size", "1"))


def a_directory_of_many() -> bytes:
    """A zip whose directory has 60,000 entries of 46 bytes, without names."""
    entry = b"PK\1\2" + bytes(42)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, BLANKS, BLANKS, BLANKS * len(entry), 0, 0)
    return entry * BLANKS + end


def blank_includes() -> bytes:
    lines = "-r blank.txt\n" * 4_000
    return files(requirements_txt=lines, blank_txt="\n" * 250_000)()


def include_problems() -> bytes:
    wrong = "".join(f"{'!' * 90}{number}\n" for number in range(FEW))
    lines = "".join(f"-r more{number}.txt\n" for number in range(20))
    held = {f"more{number}_txt": wrong for number in range(20)}
    return files(requirements_txt=lines, **held)()


def many_keys() -> bytes:
    text = "{" + ", ".join(f'"k{number}": 1, "k{number}": 2' for number in range(5_000)) + "}"
    return files(manifest_json=text)()


def many_includes() -> bytes:
    held = {f"f{number}_txt": f"-r f{number + 1}.txt\n" for number in range(1_500)}
    return files(requirements_txt="-r f0.txt\n", **held)()


def deep_names() -> bytes:
    """Names that are as deep as may be, each below folders of its own."""
    return names(*(f"{number}/" + "d/" * 29 + "x" for number in range(FEW)))()


BUNDLES: dict[str, tuple[str, Build]] = {
    "tar: a name of 15,000 folders": (
        "odd-kind",
        metadata(tarfile.GNUTYPE_LONGNAME, lambda: b"d/" * MANY),
    ),
    "zip: two names of 15,000 folders": ("long-path", names("d/" * MANY + "x", "d/" * MANY + "y")),
    "zip: 2,000 names as deep as may be": ("too-many-entries", deep_names),
    "tar: a global pax header": ("odd-kind", metadata(tarfile.XGLTYPE, many_records, members=FEW)),
    "tar: a pax header of 20,000 records": ("odd-kind", metadata(tarfile.XHDTYPE, many_records)),
    "tar: a sparse map": ("odd-kind", metadata(tarfile.XHDTYPE, sparse_map)),
    "tar: a small sparse map": (
        "odd-kind",
        metadata(tarfile.XHDTYPE, lambda: records(("GNU.sparse.map", "0,1,2,1"))),
    ),
    "tar: a size by pax": (
        "odd-kind",
        metadata(tarfile.XHDTYPE, lambda: records(("size", "99999"))),
    ),
    "tar: a long name of 10 MB": (
        "odd-kind",
        metadata(tarfile.GNUTYPE_LONGNAME, lambda: b"n" * 10_000_000),
    ),
    "tar: 2,000 long links in a chain": (
        "odd-kind",
        metadata(tarfile.GNUTYPE_LONGLINK, lambda: b"target\0", times=FEW),
    ),
    "tar: 2,000 pax headers in a chain": (
        "odd-kind",
        metadata(tarfile.XHDTYPE, lambda: records(("comment", "x")), times=FEW),
    ),
    "zip: a directory of 60,000 entries": ("too-many-entries", a_directory_of_many),
    "requirements: a blank file 4,000 times": ("", blank_includes),
    "requirements: problems in each of 20 files": ("bad-requirement", include_problems),
    "requirements: 1,500 files, each in the next": ("include-too-deep", many_includes),
    "requirements: a line of 250,000 blanks": (
        "bad-requirement",
        files(requirements_txt="a" + " " * 60_000 + "!"),
    ),
    "requirements: 30,000 options on a line": (
        "unknown-option",
        files(requirements_txt="a" + " -x" * 20_000),
    ),
    "requirements: 4,000 parentheses": (
        "bad-requirement",
        files(requirements_txt="a; " + "(" * FEW + "python_version>'3'" + ")" * FEW),
    ),
    "manifest: 5,000 keys, each twice": ("repeated-key", many_keys),
    "manifest: 30,000 unknown fields": (
        "unknown-field",
        files(manifest_json=manifest(**{f"u{n}": 1 for n in range(15_000)})),
    ),
    "manifest: an unknown field of 200 kB": (
        "unknown-field",
        files(manifest_json=manifest(**{"ab" * 100_000: 1})),
    ),
    "manifest: 100,000 lists in each other": ("bad-json", files(manifest_json="[" * 100_000)),
    "manifest: a number of 5,000 digits": (
        "bad-json",
        files(manifest_json='{"schema": ' + "1" * 5_000 + "}"),
    ),
    "module: 100,000 signs before a number": (
        "syntax-error",
        lambda: zipped(bundle_files({"deep.py": "x = " + "-" * 100_000 + "1"})).getvalue(),
    ),
}


def wheel(*, filename: str = "demo-1.0-py3-none-any.whl", **facts: object) -> BuildWheel:
    """Return a builder of a wheel that is wrong in one respect."""

    def build(folder: Path) -> Path:
        return pack_wheel(folder, filename, wheel_files("demo", "1.0", **facts))  # type: ignore[arg-type]

    return build


def recorded(record: str) -> BuildWheel:
    """Return a builder of a wheel with another RECORD."""
    name = "demo-1.0-py3-none-any.whl"
    return lambda folder: pack_wheel(folder, name, wheel_files("demo", "1.0"), record=record)


TAGS = ".".join(f"t{number}" for number in range(20))
WHEELS: dict[str, tuple[str, BuildWheel]] = {
    "a RECORD of 1,500,000 lines about one file": (
        "bad-record",
        recorded("demo.py,sha256=x,1\n" * 1_500_000),
    ),
    "a RECORD of one row with 500,000 fields": (
        "bad-record",
        recorded(",".join(map(str, range(500_000)))),
    ),
    "a RECORD of 500,000 lines about files that are not there": (
        "bad-record",
        recorded("".join(f"{number},,\n" for number in range(500_000))),
    ),
    "a RECORD of rows with two fields": ("bad-record", recorded("one\u2028,two\n" * 1000)),
    "an entry point with 60,000 blanks": (
        "bad-entry-point",
        wheel(entry_points="[console_scripts]\na = b:c" + " " * BLANKS + "!"),
    ),
    "a line of 60,000 blanks before a word": (
        "bad-entry-point",
        wheel(entry_points="[console_scripts]\nx" + " " * BLANKS + "y"),
    ),
    "30,000 lines that are no entry points": (
        "bad-entry-point",
        wheel(entry_points="[console_scripts]\n" + "a\n" * MANY),
    ),
    "an entry point of 30,000 lines": (
        "bad-entry-point",
        wheel(entry_points="[console_scripts]\na = b:c\n" + " x\n" * MANY),
    ),
    "an entry point for 300 kB": (
        "bad-dist-info",
        wheel(entry_points="[other]\n" + "a = b:c\n" * 40_000),
    ),
    "8,000 tags": (
        "bad-wheel-name",
        wheel(filename=f"demo-1.0-{TAGS}-{TAGS}-{TAGS}.whl"),
    ),
    "a requirement with 60,000 blanks": (
        "bad-metadata",
        wheel(requires=["a" + " " * BLANKS + "!"]),
    ),
    "a requirement with 2,000 parentheses": (
        "bad-metadata",
        wheel(requires=["a; " + "(" * FEW + "python_version>'3'" + ")" * FEW]),
    ),
    "30,000 requirements": ("bad-metadata", wheel(requires=["a"] * MANY)),
    "a Python of 30,000 bounds": (
        "bad-metadata",
        wheel(requires_python=",".join(["!=3"] * MANY)),
    ),
    "a version of 5,000 digits": ("bad-metadata", wheel(requires=["a>=" + "1" * 5_000])),
}
LOCK = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'
LOCKS: dict[str, tuple[str, str]] = {
    "a key of 20,000 parts": ("bad-lock", LOCK + ".".join(["a"] * 20_000) + " = 1"),
    "a quoted key of 20,000 parts": ("bad-lock", LOCK + ".".join(['"a"'] * 20_000) + " = 1"),
    "a key of 20,000 parts in a table": (
        "bad-lock",
        LOCK + "x = { " + " . ".join(["a"] * 20_000) + " = 1 }",
    ),
    "a table of 20,000 parts": ("bad-lock", LOCK + "[" + ".".join(["a"] * 20_000) + "]"),
    "100,000 lists in each other": ("bad-lock", LOCK + "x = " + "[" * 100_000),
    "a number of 5,000 digits": ("bad-lock", LOCK + "x = " + "1" * 5_000),
    "6,000 packages": (
        "bad-lock",
        LOCK.replace("packages = []\n", "")
        + "".join(f'[[packages]]\nname = "p{n}"\nversion = "1"\n' for n in range(6_000)),
    ),
}


def snapshot_of(*advisories: bytes) -> bytes:
    """Return a zip of advisories."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(advisories):
            archive.writestr(f"{number}.json", content)
    return target.getvalue()


def advisory(*touched: str, identity: str = "PYSEC-1") -> bytes:
    """Return an advisory against each of the distributions."""
    affected = [
        {"package": {"ecosystem": "PyPI", "name": name}, "versions": ["1.0"]} for name in touched
    ]
    return json.dumps({"id": identity, "affected": affected, "details": "x" * 5_000}).encode()


SNAPSHOTS: dict[str, tuple[str, Build]] = {
    "an advisory that names 5,000": (
        "not-an-osv-snapshot",
        lambda: snapshot_of(advisory(*(f"n{number}" for number in range(5_000)))),
    ),
    "100,000 lists in each other": ("too-costly", lambda: snapshot_of(b"[" * 100_000)),
    "a number of 5,000 digits": ("not-an-osv-snapshot", lambda: snapshot_of(b"1" * 5_000)),
    "a name of 5,000 letters": (
        "",
        lambda: snapshot_of(advisory("n" * 5_000), advisory("demo", identity="PYSEC-2")),
    ),
    "a directory of 60,000 entries": ("not-an-osv-snapshot", a_directory_of_many),
}
