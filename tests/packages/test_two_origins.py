"""A name that is the house's own comes from the house, whatever an index has of that name."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.index_server import index_of
from support.wheels import UPLOADED, make_wheel

from packages.bundle.requirements import Requirements
from packages.errors import FetchFailed, LockFailed
from packages.index.index import Index
from packages.lock.grant import Grant
from packages.lock.lock import Locked, make_lock
from packages.lock.locker import Locker
from packages.lock.mirror import Mirror
from packages.lock.policy import LockPolicy
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
    locker.wheelhouse.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=origin)
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
    listed = replace(locker, policy=LockPolicy(wheelhouse_names=("inter*",)))
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
    locker.wheelhouse.add(make_wheel(tmp_path / "won", "internal", "99.0"), origin=FETCHED)
    locker.wheelhouse.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=UPLOADED)
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
    assert [w.version for w in locker.wheelhouse.find("internal")] == ["1.0"]


def mirror_of(house: Wheelhouse, url: str, interpreter: Interpreter, **rules: object) -> Mirror:
    return Mirror(
        wheelhouse=house,
        index=Index(url=url),
        clock=lambda: UPLOADED.at,
        python=interpreter.executable,
        by="ana",
        policy=LockPolicy(**rules),
    )


TARGETS = {"pythons": ["3.12"], "platforms": ["manylinux_2_28_x86_64"]}


async def test_a_mirror_takes_the_names_of_the_house_from_the_house_alone(
    theirs: Wheelhouse, house: Wheelhouse, wants: Wants, interpreter: Interpreter, tmp_path: Path
) -> None:
    house.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=UPLOADED)
    with index_of(theirs) as served:
        mirror = mirror_of(house, served.url, interpreter)
        done = await mirror.mirror(wants("public"), **TARGETS)
    assert [wheel.name for wheel in done.fetched] == ["public"] and done.already_here == 1
    assert [wheel.version for wheel in house.find("internal")] == ["1.0"]
    assert not [path for path in served.asked if "internal" in path]


async def test_a_mirror_does_not_ask_an_index_for_what_the_admin_keeps_from_it(
    theirs: Wheelhouse, house: Wheelhouse, wants: Wants, interpreter: Interpreter
) -> None:
    with index_of(theirs) as served:
        mirror = mirror_of(house, served.url, interpreter, wheelhouse_names=("inter*",))
        with pytest.raises(LockFailed) as failed:
            await mirror.mirror(wants("public"), **TARGETS)
    assert "internal" in str(failed.value) and not list(house.wheels())
    assert not [path for path in served.asked if "internal" in path]


async def test_a_mirror_of_a_lock_takes_no_name_of_the_house_from_the_index(
    theirs: Wheelhouse, house: Wheelhouse, interpreter: Interpreter, tmp_path: Path
) -> None:
    house.add(make_wheel(tmp_path / "ours", "internal", "1.0"), origin=UPLOADED)
    (foreign,) = theirs.find("internal")
    locked = Locked(
        name="internal",
        version="99.0",
        wheel=foreign.filename,
        sha256=foreign.sha256,
        size_bytes=foreign.size_bytes,
    )
    lock = make_lock([locked], python_minor="3.12").text
    with index_of(theirs) as served:
        mirror = mirror_of(house, served.url, interpreter)
        with pytest.raises(LockFailed) as failed:
            await mirror.mirror(None, lock=lock, **TARGETS)
    assert [problem.code for problem in failed.value.problems] == ["two-origins"]
    assert served.asked == [] and [w.version for w in house.wheels()] == ["1.0"]


@pytest.mark.parametrize("bound", ["wheels", "wheels_mb"])
@pytest.mark.parametrize("where", ["index", "house", "mirror"])
async def test_all_wheels_of_a_lock_together_are_bounded(
    bound: str,
    where: str,
    locker: Locker,
    wants: Wants,
    interpreter: Interpreter,
    opened: Grant,
    tmp_path: Path,
) -> None:
    theirs = Wheelhouse(tmp_path / "theirs")
    for name in ("one", "two", "three"):
        wheel = make_wheel(
            tmp_path, name, files={f"{name}.py": random.Random(name).randbytes(500_000)}
        )
        theirs.add(wheel, origin=UPLOADED)
        if where == "house":
            locker.wheelhouse.add(wheel, origin=UPLOADED)
    policy = LockPolicy(**{bound: {"wheels": 2, "wheels_mb": 1}[bound]})
    asked = wants("one | two | three")
    with index_of(theirs) as served:
        bounded = replace(locker, index=Index(url=served.url), policy=policy)
        mirror = mirror_of(
            locker.wheelhouse, served.url, interpreter, **{bound: getattr(policy, bound)}
        )
        with pytest.raises((LockFailed, FetchFailed)) as failed:
            if where == "mirror":
                await mirror.mirror(asked, **TARGETS)
            else:
                await bounded.lock(asked, interpreter=interpreter, grant=opened)
    assert {problem.code for problem in failed.value.problems} == {"too-costly"}
    assert f"lock.{bound})" in str(failed.value)
    assert sum(wheel.size_bytes for wheel in locker.wheelhouse.wheels()) < 2_000_000
