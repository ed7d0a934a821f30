"""The house says what rotted, what lacks something and what nobody uses."""

import time
from pathlib import Path

from support.wheels import UPLOADED, make_wheel

from wheelhouse.metadata.target import make_target, platforms_of
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.unpacked import unpack, unpacked_folder
from wheelhouse.upkeep import ABANDONED_AFTER_S, prune, verify

LINUX = make_target("3.12", platforms=platforms_of("manylinux_2_28_x86_64"))
WINDOWS = make_target("3.12", platforms=["win_amd64"])


def house_of(
    tmp_path: Path, *wheels: tuple[str, dict[str, object]]
) -> tuple[Wheelhouse, list[Wheel]]:
    house = Wheelhouse(tmp_path / "house")
    made = [make_wheel(tmp_path / "made", name, **facts) for name, facts in wheels]  # type: ignore[arg-type]
    return house, [house.add(path, origin=UPLOADED) for path in made]


def test_a_house_in_order_has_no_problems(tmp_path: Path) -> None:
    house, _ = house_of(tmp_path, ("outer", {"requires": ["inner>=1"]}), ("inner", {}))
    assert verify(house, targets=[LINUX]) == []


def test_a_dependency_that_is_missing_for_a_target_is_told(tmp_path: Path) -> None:
    house, _ = house_of(
        tmp_path,
        ("outer", {"requires": ["inner>=1", "absent; sys_platform == 'linux'", "old>=2"]}),
        ("inner", {"tag": "cp312-cp312-manylinux_2_17_x86_64"}),
        ("old", {}),
    )
    told = {p.where: p for p in verify(house, targets=[LINUX])}
    assert {name: p.code for name, p in told.items()} == {
        "absent": "not-in-wheelhouse",
        "old": "no-version-satisfies",
    }
    assert "which outer needs" in told["absent"].what
    assert "--python 3.12 --platform manylinux_2_28_x86_64" in told["absent"].mend
    on_windows = {p.where: p.code for p in verify(house, targets=[WINDOWS], names=["outer"])}
    assert on_windows["inner"] == "wrong-python-or-platform"


def test_a_wheel_that_rotted_or_vanished_is_told(tmp_path: Path) -> None:
    house, (rotten, gone, _) = house_of(tmp_path, ("rotten", {}), ("gone", {}), ("good", {}))
    house.path(rotten).chmod(0o644)
    house.path(rotten).write_bytes(b"x")
    house.path(gone).unlink()
    told = {(p.code, p.where) for p in verify(house)}
    assert told == {("corrupt-wheel", rotten.filename), ("corrupt-wheel", gone.filename)}


def test_pruning_removes_what_nobody_uses_and_a_rehearsal_nothing(tmp_path: Path) -> None:
    house, (used, unused) = house_of(tmp_path, ("used", {}), ("unused", {}))
    unpack(house, used)
    unpack(house, unused)
    rehearsed = prune(house, in_use=[used.sha256], now=time.time(), is_dry_run=True)
    assert [w.name for w in rehearsed.wheels] == ["unused"]
    assert len(list(house.wheels())) == 2
    (house.root / ".fetch-abandoned").mkdir()
    pruned = prune(house, in_use=[used.sha256], now=time.time() + 2 * ABANDONED_AFTER_S)
    assert [p.name for p in house.root.iterdir() if p.name.startswith(".")] == [".lock"]
    assert (pruned.wheels, pruned.unpacked) == (rehearsed.wheels, 1)
    assert pruned.size_bytes == rehearsed.size_bytes > unused.size_bytes
    assert list(house.wheels()) == [used]
    assert house.names() == ["used"], "an index lists no name that it has nothing of"
    assert unpacked_folder(house, used).is_dir()
    assert not unpacked_folder(house, unused).exists()
