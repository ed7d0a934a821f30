"""A name that is the house's own comes from the house, whatever an index has of that name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.index_server import index_of
from support.wheels import UPLOADED, make_wheel

from packages.errors import LockFailed
from packages.grant import Grant
from packages.index import Index
from packages.locker import Locker
from packages.policy import LockPolicy
from packages.requirements import Requirements
from sandbox.command import Interpreter
from wheelhouse.store import Origin, Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Wants = Callable[[str], Requirements]

FETCHED = Origin(kind="fetched", at=UPLOADED.at, by="ana", index="https://index.example/simple/")
BUILT = replace(UPLOADED, kind="built")


@pytest.fixture
def theirs(tmp_path: Path) -> Wheelhouse:
    """What the index has: a higher version of a name that is ours, and something that we lack."""
    house = Wheelhouse(tmp_path / "theirs")
    house.add(make_wheel(tmp_path, "internal", "99.0"), origin=UPLOADED)
    house.add(make_wheel(tmp_path, "public", requires=["internal"]), origin=UPLOADED)
    return house


@pytest.mark.parametrize("origin", [UPLOADED, BUILT], ids=["uploaded", "built"])
async def test_a_name_of_the_house_is_not_even_asked_for(
    origin: Origin,
    theirs: Wheelhouse,
    locker: Locker,
    wants: Wants,
    interpreter: Interpreter,
    opened: Grant,
    tmp_path: Path,
) -> None:
    locker.house.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=origin)
    with index_of(theirs) as served:
        through = replace(locker, index=Index(url=served.url))
        locking = await through.lock(
            wants("internal | public"), interpreter=interpreter, grant=opened
        )
    assert [(p.name, p.version) for p in locking.lock.packages] == [
        ("internal", "1.0"),
        ("public", "1.0"),
    ]
    assert not [path for path in served.asked if "internal" in path]
    assert [p.origin for p in locking.lock.packages] == [origin.kind, "fetched"]
    assert f'origin = "{origin.kind}"' in locking.lock.text


async def test_a_name_on_the_admins_list_is_the_houses_before_there_is_any(
    theirs: Wheelhouse, locker: Locker, wants: Wants, interpreter: Interpreter, opened: Grant
) -> None:
    listed = replace(locker, policy=LockPolicy(house_names=("inter*",)))
    with index_of(theirs) as served:
        through = replace(listed, index=Index(url=served.url))
        with pytest.raises(LockFailed) as failed:
            await through.lock(wants("public"), interpreter=interpreter, grant=opened)
    assert "internal" in str(failed.value)
    assert not [path for path in served.asked if "internal" in path]


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
async def test_a_name_first_seen_in_both_places_is_told(
    is_open: bool,  # noqa: FBT001
    theirs: Wheelhouse,
    locker: Locker,
    wants: Wants,
    interpreter: Interpreter,
    opened: Grant,
    closed: Grant,
    tmp_path: Path,
) -> None:
    """The index's came first, by another package, and the admin's own was uploaded after it."""
    locker.house.add(make_wheel(tmp_path / "won", "internal", "99.0"), origin=FETCHED)
    locker.house.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=UPLOADED)
    with index_of(theirs) as served:
        through = replace(locker, index=Index(url=served.url))
        asked = {"interpreter": interpreter, "grant": opened if is_open else closed}
        with pytest.raises(LockFailed) as failed:
            await through.lock(wants("internal"), **asked)  # type: ignore[arg-type]
        (problem,) = failed.value.problems
        assert (problem.code, problem.where) == ("two-origins", "internal")
        shared = replace(through, policy=LockPolicy(shared_names=("internal",)))
        locking = await shared.lock(wants("internal"), **asked)  # type: ignore[arg-type]
    assert [(p.version, p.origin) for p in locking.lock.packages] == [("99.0", "fetched")]


async def test_an_authors_lock_brings_no_other_origin_either(
    theirs: Wheelhouse,
    locker: Locker,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    opened: Grant,
) -> None:
    add("internal", "1.0")
    (wheel,) = theirs.find("internal")
    text = (
        'lock-version = "1.0"\ncreated-by = "an author"\n\n[[packages]]\nname = "internal"\n'
        f'version = "99.0"\nwheels = [{{ path = "{wheel.filename}", '
        f'hashes = {{ sha256 = "{wheel.hex_digest}" }} }}]\n'
    )
    with index_of(theirs) as served:
        through = replace(locker, index=Index(url=served.url))
        with pytest.raises(LockFailed) as failed:
            await through.lock(
                wants("internal"), interpreter=interpreter, grant=opened, author_lock=text
            )
    assert [p.code for p in failed.value.problems] == ["two-origins"]
    assert served.asked == []
    assert [w.version for w in locker.house.find("internal")] == ["1.0"]
