"""Judges a carrier, in a judge: first its envelope, then, once that is trusted, its wheels."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.archives.tarfiles import Headers, TarRefusedError
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.problem import Problem, Problems, shown

ENVELOPE = "carrier.dsse.json"
PAYLOAD = "payload"
MOST_ENVELOPE_BYTES = 64 * 1024 * 1024
MOST_SIGNATURES = 100
CHUNK_BYTES = 1 << 20


@frozen
class Sealed:
    """What an envelope says beside its payload, which is in a file; nobody has checked it yet."""

    payload_type: str
    signatures: tuple[tuple[str, str], ...]
    """Key id and signature (base64)."""


SEALED = Judgement(
    target="wheelhouse.carrier.carrier_judging:judge_envelope",
    returns=TypeAdapter(Sealed),
    budget=Budget(memory_mb=1024),
)
CARRIED = Judgement(
    target="wheelhouse.carrier.carrier_judging:judge_wheels",
    returns=TypeAdapter(bool),
    budget=Budget(cpu_s=60, wall_s=300, file_mb=4096),
)


def judge_envelope(source: str, *, folder: str) -> tuple[Sealed | None, list[Problem]]:
    """Read the first entry of the carrier; leave its payload in `folder`."""
    try:
        with _opened(source) as archive:
            first = archive.next()
            if first is None or first.name != ENVELOPE or first.size > MOST_ENVELOPE_BYTES:
                return None, [
                    _fault("not-a-carrier", f"it does not begin with {ENVELOPE}", ENVELOPE)
                ]
            stream = archive.extractfile(first)
            told = json.loads(stream.read() if stream else b"")
        Path(folder, PAYLOAD).write_bytes(base64.b64decode(told["payload"], validate=True))
        signatures = [(str(one["keyid"]), str(one["sig"])) for one in told["signatures"]]
        return Sealed(
            payload_type=shown(str(told["payloadType"])),
            signatures=tuple(signatures[:MOST_SIGNATURES]),
        ), []
    except (tarfile.TarError, EOFError, TarRefusedError) as error:
        return None, [_fault("not-a-carrier", f"it cannot be read: {error}", Path(source).name)]
    except (ValueError, KeyError, TypeError) as error:
        what = f"its envelope cannot be read: {shown(str(error))}"
        return None, [_fault("not-a-carrier", what, ENVELOPE)]


def judge_wheels(
    source: str, *, folder: str, told: Mapping[str, Mapping[str, Any]]
) -> tuple[bool | None, list[Problem]]:
    """Write the wheels that the signed manifest names to `folder`; tell what else there is.

    `told` has size and digest of each wheel by its file name.
    """
    try:
        with _opened(source) as archive:
            problems = _unpack(archive, told, Path(folder))
    except (tarfile.TarError, EOFError, TarRefusedError) as error:
        return None, [_fault("not-a-carrier", f"it cannot be read: {error}", Path(source).name)]
    return (None, problems) if problems else (True, [])


def _unpack(
    archive: tarfile.TarFile, told: Mapping[str, Mapping[str, Any]], folder: Path
) -> list[Problem]:
    problems = Problems()
    left = dict(told)
    for member in archive:
        filename = member.name.removeprefix("wheels/")
        if member.name == ENVELOPE and member.isreg():
            continue
        facts = left.pop(filename, None)
        stream = archive.extractfile(member) if member.isreg() else None
        if facts is None or stream is None or "/" in filename:
            what = "the manifest does not name it"
            problems.add(_fault("not-in-manifest", what, shown(member.name)))
        elif (
            member.size != facts["size_bytes"]
            or _write(stream, folder / filename) != facts["sha256"]
        ):
            problems.add(_fault("hash-mismatch", "it is not what the manifest says", filename))
    for filename in left:
        problems.add(_fault("missing-file", "the manifest names it and it is not there", filename))
    return problems.told()


class _Followed(io.RawIOBase):
    """Reads a tar whose headers are looked at before tarfile gets them."""

    def __init__(self, stream: BinaryIO):
        super().__init__()
        self._stream, self._headers = stream, Headers()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes. Raises TarRefusedError."""
        chunk = self._stream.read(size)
        self._headers.follow(chunk)
        return chunk


@contextmanager
def _opened(source: str) -> Generator[tarfile.TarFile]:
    with (
        Path(source).open("rb") as stream,
        tarfile.open(fileobj=_Followed(stream), mode="r|", errorlevel=2) as archive,
    ):
        yield archive


def _write(stream: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as target:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    return f"sha256:{digest.hexdigest()}"


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "export it again on the other side (`fumehood wheelhouse export`)"
    return Problem(code=code, what=what, where=where, mend=mend)
