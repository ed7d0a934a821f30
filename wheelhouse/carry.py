"""Carrying wheels across an air gap: one signed archive out, checked whole on the way in.

A carrier is a tar of the wheels, as they are, with `manifest.json` (names, sizes, digests,
origins) and its DSSE envelope in front. Whoever imports it trusts a key, not a medium.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from wheelhouse.durable import flush_folder
from wheelhouse.errors import CarrierRefused, WheelRefused
from wheelhouse.problem import Problem
from wheelhouse.signing import sign, verify_signed
from wheelhouse.store import Origin, Wheel, Wheelhouse

PAYLOAD_TYPE = "application/vnd.fumehood.carrier+json"
ENVELOPE = "carrier.dsse.json"
MOST_ENVELOPE_BYTES = 64 * 1024 * 1024
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What an import came to: what is new here, what was here before, and whose key it was."""

    added: tuple[Wheel, ...]
    known: tuple[Wheel, ...]
    keyid: str


def export_wheels(
    house: Wheelhouse, wheels: Iterable[Wheel], *, to: Path, private_key_pem: bytes, at: datetime
) -> int:
    """Write `wheels` to one signed archive at `to`; return how many they are.

    The archive appears whole or not at all.
    """
    chosen = sorted(wheels, key=lambda wheel: wheel.filename)
    manifest = {
        "schema": SCHEMA,
        "made_at": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "wheels": [wheel.to_dict() for wheel in chosen],
    }
    payload = json.dumps(manifest, sort_keys=True).encode()
    envelope = sign(payload, payload_type=PAYLOAD_TYPE, private_key_pem=private_key_pem)
    with tempfile.NamedTemporaryFile(prefix=f".{to.name}.", dir=to.parent, delete=False) as aside:
        try:
            with tarfile.open(fileobj=aside, mode="w") as archive:
                _add(archive, ENVELOPE, io.BytesIO(envelope), len(envelope))
                for wheel in chosen:
                    with house.path(wheel).open("rb") as stream:
                        _add(archive, f"wheels/{wheel.filename}", stream, wheel.size_bytes)
            aside.flush()
            Path(aside.name).replace(to)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
    flush_folder(to.parent)
    return len(chosen)


def import_wheels(
    house: Wheelhouse,
    source: Path,
    *,
    public_keys_pem: list[bytes],
    clock: Callable[[], datetime],
    by: str,
) -> Carried:
    """Check the archive at `source` and add its wheels, each judged anew.

    Raises CarrierRefused with every fault; then nothing of it is in the house.
    """
    with tempfile.TemporaryDirectory(prefix="fumehood-import-") as folder, _opened(source) as tar:
        signed = verify_signed(
            _envelope(tar), payload_type=PAYLOAD_TYPE, public_keys_pem=public_keys_pem
        )
        told = _told(signed.payload)
        problems = _unpack(tar, told, Path(folder))
        if problems:
            raise CarrierRefused(*problems)
        known = {wheel.sha256 for wheel in house.wheels()}
        added: list[Wheel] = []
        for filename, facts in told.items():
            origin = _origin(facts, by=by, at=clock(), keyid=signed.keyid)
            try:
                wheel = house.add(Path(folder) / filename, origin=origin)
                is_yanked = facts["yanked"] is not None and wheel.sha256 not in known
                added.append(house.yank(wheel, reason=facts["yanked"]) if is_yanked else wheel)
            except WheelRefused as refused:
                problems += refused.problems
    if problems:
        for wheel in added:
            if wheel.sha256 not in known:
                house.remove(wheel)
        raise CarrierRefused(*problems)
    return Carried(
        added=tuple(wheel for wheel in added if wheel.sha256 not in known),
        known=tuple(wheel for wheel in added if wheel.sha256 in known),
        keyid=signed.keyid,
    )


@contextmanager
def _opened(source: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(source, mode="r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise CarrierRefused(
            _fault("not-a-carrier", f"it cannot be read: {error}", source.name)
        ) from error


def _envelope(archive: tarfile.TarFile) -> bytes:
    first = archive.next()
    if first is None or first.name != ENVELOPE or first.size > MOST_ENVELOPE_BYTES:
        raise CarrierRefused(
            _fault("not-a-carrier", f"it does not begin with {ENVELOPE}", ENVELOPE)
        )
    stream = archive.extractfile(first)
    return stream.read() if stream else b""


def _told(payload: bytes) -> dict[str, dict[str, Any]]:
    """Return what the signed manifest says of each wheel, by file name."""
    try:
        manifest = json.loads(payload)
        if manifest["schema"] != SCHEMA:
            raise ValueError(f"schema {manifest['schema']}")
        return {wheel["filename"]: wheel for wheel in manifest["wheels"]}
    except (ValueError, KeyError, TypeError) as error:
        what = f"its manifest cannot be read: {error}"
        raise CarrierRefused(_fault("not-a-carrier", what, ENVELOPE)) from error


def _unpack(
    archive: tarfile.TarFile, told: dict[str, dict[str, Any]], folder: Path
) -> list[Problem]:
    """Write the wheels that the manifest names to `folder`; return what is wrong with the rest."""
    problems: list[Problem] = []
    left = dict(told)
    for member in archive:
        filename = member.name.removeprefix("wheels/")
        if member.name == ENVELOPE and member.isreg():
            continue
        facts = left.pop(filename, None)
        stream = archive.extractfile(member) if member.isreg() else None
        if facts is None or stream is None or "/" in filename:
            problems.append(_fault("not-in-manifest", "the manifest does not name it", member.name))
        elif (
            member.size != facts["size_bytes"]
            or _write(stream, folder / filename) != facts["sha256"]
        ):
            problems.append(_fault("hash-mismatch", "it is not what the manifest says", filename))
    for filename in left:
        problems.append(
            _fault("missing-file", "the manifest names it and it is not there", filename)
        )
    return problems


def _write(stream: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as target:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            target.write(chunk)
    return f"sha256:{digest.hexdigest()}"


def _origin(facts: dict[str, Any], *, by: str, at: datetime, keyid: str) -> Origin:
    """Return the wheel's origin, with its way here noted."""
    told = facts["origin"]
    note = f"carried here, signed by {keyid[:16]}; before that {told['kind']} by {told['by']}"
    return Origin(kind=told["kind"], at=at, by=by, index=told["index"], note=note)


def _add(archive: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, stream)


def _fault(code: str, what: str, where: str) -> Problem:
    mend = "export it again on the other side (`fumehood wheelhouse export`)"
    return Problem(code=code, what=what, where=where, mend=mend)
