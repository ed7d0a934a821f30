"""Carrying wheels across an air gap: one signed archive out, checked whole on the way in.

A carrier is a tar of the wheels, as they are, with `manifest.json` (names, sizes, digests,
origins) and its DSSE envelope in front. Whoever imports it trusts a key, not a medium.
"""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from frozen.values import frozen
from wheelhouse.carrier.carrier_judging import (
    CARRIED,
    ENVELOPE,
    MOST_ENVELOPE_BYTES,
    PAYLOAD,
    SEALED,
)
from wheelhouse.carrier.signing import Signed, sign, verify_signed
from wheelhouse.durable import flush_folder
from wheelhouse.errors import CarrierRefused, WheelRefused
from wheelhouse.problem import Problem
from wheelhouse.store import Origin, Wheel, Wheelhouse
from wheelhouse.times import rfc3339

PAYLOAD_TYPE = "application/vnd.fumehood.carrier+json"
SCHEMA = 1


@frozen
class Carried:
    """What an import came to: what is new here, what was here before, and whose key it was."""

    added: tuple[Wheel, ...]
    known: tuple[Wheel, ...]
    keyid: str


def export_wheels(
    wheelhouse: Wheelhouse,
    wheels: Iterable[Wheel],
    *,
    to: Path,
    private_key_pem: bytes,
    at: datetime,
) -> int:
    """Write `wheels` to one signed archive at `to`; return how many they are.

    The archive appears whole or not at all.
    """
    chosen = sorted(wheels, key=lambda wheel: wheel.filename)
    manifest = {
        "schema": SCHEMA,
        "made_at": rfc3339(at),
        "wheels": [wheel.to_dict() for wheel in chosen],
    }
    payload = json.dumps(manifest, sort_keys=True).encode()
    envelope = sign(payload, payload_type=PAYLOAD_TYPE, private_key_pem=private_key_pem)
    with tempfile.NamedTemporaryFile(prefix=f".{to.name}.", dir=to.parent, delete=False) as aside:
        try:
            with tarfile.open(fileobj=aside, mode="w") as archive:
                _add(archive, ENVELOPE, io.BytesIO(envelope), len(envelope))
                for wheel in chosen:
                    with wheelhouse.path(wheel).open("rb") as stream:
                        _add(archive, f"wheels/{wheel.filename}", stream, wheel.size_bytes)
            aside.flush()
            Path(aside.name).replace(to)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise
    flush_folder(to.parent)
    return len(chosen)


def import_wheels(
    wheelhouse: Wheelhouse,
    source: Path,
    *,
    public_keys_pem: list[bytes],
    clock: Callable[[], datetime],
    by: str,
) -> Carried:
    """Check the archive at `source` and add its wheels, each judged anew.

    Raises CarrierRefused with every fault; then nothing of it is in the house.
    """
    with tempfile.TemporaryDirectory(prefix="fumehood-import-") as name:
        folder = Path(name)
        signed = _signed(wheelhouse, source, folder=folder, public_keys_pem=public_keys_pem)
        told = _told(signed.payload)
        _unpack(wheelhouse, source, told, folder=folder)
        known = {wheel.sha256 for wheel in wheelhouse.wheels()}

        def origin(facts: dict[str, Any]) -> Origin:
            return _origin(facts, by=by, at=clock(), keyid=signed.keyid)

        added = _add_all(wheelhouse, folder, told, origin=origin, known=known)
    return Carried(
        added=tuple(wheel for wheel in added if wheel.sha256 not in known),
        known=tuple(wheel for wheel in added if wheel.sha256 in known),
        keyid=signed.keyid,
    )


def _add_all(
    wheelhouse: Wheelhouse,
    folder: Path,
    told: dict[str, dict[str, Any]],
    *,
    origin: Callable[[dict[str, Any]], Origin],
    known: set[str],
) -> list[Wheel]:
    """Add every wheel, or none. Raises CarrierRefused with the faults of all of them."""
    added: list[Wheel] = []
    problems: list[Problem] = []
    try:
        for filename, facts in told.items():
            try:
                added.append(wheelhouse.add(folder / filename, origin=origin(facts)))
            except WheelRefused as refused:
                problems += refused.problems
                continue
            if facts["yanked"] is not None and added[-1].sha256 not in known:
                added[-1] = wheelhouse.yank(added[-1], reason=facts["yanked"])
        if problems:
            raise CarrierRefused(*problems)
    except BaseException:
        for wheel in added:
            if wheel.sha256 not in known:
                wheelhouse.remove(wheel)
        raise
    return added


def _signed(
    wheelhouse: Wheelhouse, source: Path, *, folder: Path, public_keys_pem: list[bytes]
) -> Signed:
    """Return the manifest of a carrier, which one of the keys signed. Raises CarrierRefused."""
    sealed, problems = wheelhouse.judges.judge(
        SEALED, about=source.name, source=str(source.resolve()), folder=str(folder.resolve())
    )
    if sealed is None or problems:
        raise CarrierRefused(*problems)
    descriptor = os.open(folder / PAYLOAD, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        payload = stream.read(MOST_ENVELOPE_BYTES)
    (folder / PAYLOAD).unlink()
    return verify_signed(
        payload,
        told_type=sealed.payload_type,
        signatures=sealed.signatures,
        payload_type=PAYLOAD_TYPE,
        public_keys_pem=public_keys_pem,
    )


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
    wheelhouse: Wheelhouse, source: Path, told: dict[str, dict[str, Any]], *, folder: Path
) -> None:
    """Write the wheels that the manifest names to `folder`. Raises CarrierRefused."""
    wanted = {
        name: {"size_bytes": facts["size_bytes"], "sha256": facts["sha256"]}
        for name, facts in told.items()
    }
    _, problems = wheelhouse.judges.judge(
        CARRIED,
        about=source.name,
        budget=CARRIED.budget.for_input(source.stat().st_size),
        source=str(source.resolve()),
        folder=str(folder.resolve()),
        told=wanted,
    )
    if problems:
        raise CarrierRefused(*problems)


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
