"""Wheels cross an air gap in one signed archive, and nothing unsigned or altered gets in."""

import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.wheels import UPLOADED, make_wheel

from wheelhouse.carrier.carry import Carried, export_wheels, import_wheels
from wheelhouse.errors import CarrierRefused
from wheelhouse.store import Wheelhouse

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def key_pair() -> tuple[bytes, bytes]:
    """Return a fresh (private, public) key as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


PRIVATE, PUBLIC = key_pair()


@pytest.fixture
def carrier(tmp_path: Path) -> Path:
    """An archive of two wheels, signed."""
    house = Wheelhouse(tmp_path / "there")
    for name in ("demo", "other"):
        house.add(make_wheel(tmp_path / "made", name), origin=UPLOADED)
    path = tmp_path / "carrier.tar"
    assert export_wheels(house, house.wheels(), to=path, private_key_pem=PRIVATE, at=AT) == 2
    return path


def bring(path: Path, here: Wheelhouse, *, key: bytes = PUBLIC) -> Carried:
    return import_wheels(here, path, public_keys_pem=[key], clock=lambda: AT, by="ben")


def refused(path: Path, tmp_path: Path, *, key: bytes = PUBLIC) -> set[str]:
    here = Wheelhouse(tmp_path / "here")
    with pytest.raises(CarrierRefused) as refusal:
        bring(path, here, key=key)
    assert list(here.wheels()) == []
    return {problem.code for problem in refusal.value.problems}


def test_what_is_exported_is_imported_with_its_way_noted(carrier: Path, tmp_path: Path) -> None:
    here = Wheelhouse(tmp_path / "here")
    carried = bring(carrier, here)
    assert [wheel.filename for wheel in carried.added] == [
        "demo-1.0-py3-none-any.whl",
        "other-1.0-py3-none-any.whl",
    ]
    origin = carried.added[0].origin
    assert (origin.kind, origin.at, origin.by) == ("uploaded", AT, "ben")
    assert "before that uploaded by ana" in origin.note
    again = bring(carrier, here)
    assert (again.added, again.known) == ((), carried.added)


def test_a_key_that_is_not_trusted_brings_nothing_in(carrier: Path, tmp_path: Path) -> None:
    assert refused(carrier, tmp_path, key=key_pair()[1]) == {"bad-signature"}


def altered(carrier: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy of `carrier` whose members `change` has altered."""
    with tarfile.open(carrier) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    change(members)
    path = carrier.with_name("altered.tar")
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


DEMO = "wheels/demo-1.0-py3-none-any.whl"


def swap(members: dict[str, bytes]) -> None:
    members[DEMO] = bytes(len(members[DEMO]))


def drop(members: dict[str, bytes]) -> None:
    del members[DEMO]


def smuggle(members: dict[str, bytes]) -> None:
    members["wheels/extra-1.0-py3-none-any.whl"] = b"x"


def climb(members: dict[str, bytes]) -> None:
    members["wheels/../../evil"] = b"x"


def unseal(members: dict[str, bytes]) -> None:
    members["carrier.dsse.json"] = members["carrier.dsse.json"].replace(
        b'"payload": "', b'"payload": "A'
    )


def open_up(members: dict[str, bytes]) -> None:
    del members["carrier.dsse.json"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (swap, "hash-mismatch"),
        (drop, "missing-file"),
        (smuggle, "not-in-manifest"),
        (climb, "not-in-manifest"),
        (unseal, "bad-signature"),
        (open_up, "not-a-carrier"),
    ],
)
def test_an_altered_archive_brings_nothing_in(
    change: Callable[[dict[str, bytes]], None], code: str, carrier: Path, tmp_path: Path
) -> None:
    assert refused(altered(carrier, change), tmp_path) == {code}


def test_a_truncated_archive_brings_nothing_in(carrier: Path, tmp_path: Path) -> None:
    carrier.write_bytes(carrier.read_bytes()[:3000])
    assert refused(carrier, tmp_path) & {"not-a-carrier", "missing-file", "hash-mismatch"}


def test_what_was_yanked_there_is_yanked_here(tmp_path: Path) -> None:
    there, here = Wheelhouse(tmp_path / "there"), Wheelhouse(tmp_path / "here")
    wheel = there.add(make_wheel(tmp_path / "made", "demo"), origin=UPLOADED)
    there.yank(wheel, reason="it leaks")
    path = tmp_path / "carrier.tar"
    export_wheels(there, there.wheels(), to=path, private_key_pem=PRIVATE, at=AT)
    carried = bring(path, here)
    assert [one.yanked for one in (*carried.added, *here.wheels())] == ["it leaks"] * 2
