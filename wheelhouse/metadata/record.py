"""RECORD: every file of a wheel with its digest and size, judged against the archive."""

import base64
import csv
import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping

from frozen.values import frozen
from wheelhouse.problem import Problem, Problems, shown

MOST_LINES_OF_A_FILE = 2
"""One is right; 1.5 million lines about nothing were 70 kB of wheel, 7 s and 400 MB."""
MOST_ROW_CHARS = 65_536
ROW = re.compile(r"[^\n]*\n|[^\n]+")
UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
STRONG = ("sha256", "sha384", "sha512")
MOST_FAULTS = 20
"""That are kept of a RECORD which is wrong; how many more there are is told."""


@frozen
class RecordLine:
    """One line of RECORD. `sha256` is urlsafe base64 without padding, or empty."""

    path: str
    algorithm: str
    digest: str
    size: int | None


def read_record(text: str, *, most: int | None = None) -> list[RecordLine]:
    """Return the lines of a RECORD file (PEP 376), `most` of them at most.

    Raises ValueError where it is malformed or longer.
    """
    # Here, since most of our processes read no RECORD, and the import is 15 ms.
    from installer.records import InvalidRecordEntry, parse_record_file  # noqa: PLC0415

    rows = parse_record_file(_rows(text))
    lines: list[RecordLine] = []
    try:
        for path, digest, size in rows:
            if len(lines) == most:
                raise ValueError(f"it has more than {most} lines, which is more than the wheel has")
            lines.append(_line(path, digest, size))
    except InvalidRecordEntry as error:
        raise ValueError("; ".join(error.issues)[:200]) from error
    return lines


def _rows(text: str) -> Iterator[str]:
    """Yield each row as it is read: a list of all would be there before they are counted.

    A name may have U+2028 in it, at which splitlines() would end it.
    """
    for row in ROW.finditer(text):
        if row.end() - row.start() > MOST_ROW_CHARS:
            raise ValueError(f"it has a line of more than {MOST_ROW_CHARS} characters")
        yield row[0]


def record_digest(content: bytes, *, algorithm: str = "sha256") -> str:
    """Return the digest of `content` as RECORD spells it."""
    return spelled(hashlib.new(algorithm, content).digest())


def spelled(raw: bytes) -> str:
    """Return a raw digest as RECORD spells it: urlsafe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def judge_record(
    archive: zipfile.ZipFile, folder: str, filename: str, *, digests: Mapping[str, str]
) -> tuple[tuple[str, ...], list[Problem]]:
    """Hold RECORD against the archive; return what is wrong in it, and what is not to be borne.

    Wheels are published with a wrong RECORD (furo 2022.12.7 changed its LICENSE afterwards), and
    pip and uv install them: the SHA-256 of the whole wheel vouches for every byte. So its faults
    are for people to see, and only a RECORD that cannot be read is a problem. `digests` has the
    SHA-256 of each file, in RECORD's spelling, as it was unpacked.
    """
    where = f"{filename}: {folder}/RECORD"
    try:
        most = MOST_LINES_OF_A_FILE * len(archive.filelist)
        lines = read_record(archive.read(f"{folder}/RECORD").decode("utf-8"), most=most)
    except (ValueError, AssertionError, csv.Error) as error:
        return (), [_fault("bad-record", f"it cannot be read: {error}", where)]
    faults = Problems(most=MOST_FAULTS)
    for what in _faults(archive, lines, folder, digests):
        faults.add(Problem(code="wrong-record", what=shown(what, most=300), where="", mend=""))
    return tuple(fault.what for fault in faults.told()), []


def _faults(
    archive: zipfile.ZipFile, lines: list[RecordLine], folder: str, digests: Mapping[str, str]
) -> Iterator[str]:
    """Yield each thing that RECORD says and that is not so, as a sentence."""
    unsigned = {f"{folder}/{name}" for name in UNSIGNED}
    named = {line.path: line for line in lines}
    if len(named) != len(lines):
        yield "it names a file twice"
    present = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    for path in sorted(present.keys() - named.keys() - unsigned):
        yield f"{path} is in the wheel, not in RECORD"
    for path in sorted(named.keys() - present.keys()):
        yield f"{path} is in RECORD, not in the wheel"
    for path in sorted(named.keys() & present.keys() - unsigned):
        if what := _fault_of_line(archive, present[path], named[path], digests[path]):
            yield f"{path} {what}"


def _fault_of_line(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, line: RecordLine, sha256: str
) -> str:
    if line.algorithm not in STRONG:
        return "has no digest of sha256 or better"
    if line.size is not None and line.size != entry.file_size:
        return "has another size than RECORD says"
    if line.algorithm != "sha256":
        sha256 = _digest_of_entry(archive, entry, algorithm=line.algorithm)
    return "" if sha256 == line.digest else "is not what RECORD says"


def _digest_of_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, algorithm: str) -> str:
    running = hashlib.new(algorithm)
    with archive.open(entry) as stream:
        while chunk := stream.read(1 << 18):
            running.update(chunk)
    return spelled(running.digest())


def _line(path: str, digest: str, size: str) -> RecordLine:
    algorithm, _, value = digest.partition("=")
    return RecordLine(
        path=path, algorithm=algorithm, digest=value.rstrip("="), size=int(size) if size else None
    )


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "fetch the wheel again from a place you trust, or ask its author to build it anew"
    return Problem(code=code, what=what, where=where, mend=mend)
