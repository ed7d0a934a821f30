"""What costs much to read is refused for little, by name, and nothing of it stays.

What is asserted are sizes: the memory of the judge, the bytes and problems of its answer. Its CPU
time has a limit of its own, which none of these may reach.
"""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from support.bundles import bundle_files, zipped
from support.costly import BUNDLES, LOCKS, SNAPSHOTS, WHEELS, advisory, snapshot_of
from support.wheels import UPLOADED, make_wheel

from packages.archive import Bundles, receive
from packages.bundle.requirements import Requirements
from packages.errors import BundleRefused
from packages.interpreters import running, target_of
from packages.lock.judging import author_offers
from wheelhouse.advisories import snapshot_judging
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.errors import AdvisoriesRefused, WheelRefused
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.judges.pool import Judges
from wheelhouse.judges.warm import Answered
from wheelhouse.problem import MOST_PROBLEMS, Problem
from wheelhouse.store import Wheelhouse

MOST_PEAK_KB = 150_000
"""An interpreter with our modules takes 45 MB; what it is given takes the rest."""
MOST_ANSWER_BYTES = 300_000
AT = datetime(2026, 11, 28, tzinfo=UTC)


class Costs:
    """Keeps what each judgement cost."""

    def __init__(self) -> None:
        self.all: list[Answered] = []

    def note(self, about: str, answered: Answered) -> None:
        """Note one."""
        self.all.append(answered)

    def are_small(self) -> bool:
        """Return whether no judgement came near a limit."""
        assert self.all, "nothing was judged in a judge"
        return all(
            not one.crossed
            and not one.signal
            and one.peak_kb < MOST_PEAK_KB
            and len(one.raw) < MOST_ANSWER_BYTES
            for one in self.all
        )


@pytest.fixture
def costs() -> Costs:
    return Costs()


@pytest.fixture
def metered(costs: Costs) -> Iterator[Judges]:
    with Judges(meter=costs.note) as judges:
        yield judges


def are_told(problems: Sequence[Problem], code: str) -> bool:
    """Return whether the fault is told, and no more than can be read."""
    assert code in [problem.code for problem in problems]
    assert len(problems) <= MOST_PROBLEMS + 1
    return all(len(problem.what) <= 600 and problem.mend for problem in problems)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_costly_bundle_is_judged_for_little(
    name: str, tmp_path: Path, metered: Judges, costs: Costs
) -> None:
    code, build = BUNDLES[name]
    bundles = Bundles(tmp_path / "bundles", judges=metered)
    if not code:
        assert receive(io.BytesIO(build()), bundles=bundles).files
        assert costs.are_small()
        return
    with pytest.raises(BundleRefused) as refused:
        receive(io.BytesIO(build()), bundles=bundles)
    assert are_told(refused.value.problems, code)
    assert costs.are_small()
    assert list(bundles.root.iterdir()) == []


@pytest.mark.parametrize("name", WHEELS)
def test_a_costly_wheel_is_judged_for_little(
    name: str, tmp_path: Path, metered: Judges, costs: Costs
) -> None:
    code, build = WHEELS[name]
    house = Wheelhouse(tmp_path / "house", judges=metered)
    with pytest.raises(WheelRefused) as refused:
        house.add(build(tmp_path / "made"), origin=UPLOADED)
    assert are_told(refused.value.problems, code)
    assert costs.are_small()
    assert list(house.wheels()) == [] and list(house.root.iterdir()) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_costly_lock_is_judged_for_little(name: str, metered: Judges, costs: Costs) -> None:
    code, text = LOCKS[name]
    target = target_of(running())
    offers, problems = author_offers(text, Requirements(), target=target, judges=metered)
    assert offers == () and are_told(problems, code)
    assert costs.are_small()


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_costly_snapshot_is_judged_for_little(
    name: str, tmp_path: Path, metered: Judges, costs: Costs
) -> None:
    code, build = SNAPSHOTS[name]
    upload = tmp_path / "all.zip"
    upload.write_bytes(build())
    known = Advisories(tmp_path / "house" / "advisories", judges=metered)
    if code:
        with pytest.raises(AdvisoriesRefused) as refused:
            known.import_snapshot(upload, at=AT)
        assert are_told(refused.value.problems, code)
        assert known.snapshot() is None
    else:
        assert known.import_snapshot(upload, at=AT).distributions == 1
    assert costs.are_small()
    kept = [path for path in known.folder.parent.rglob("*.json") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 10_000


def test_advisories_are_bounded_by_what_they_unpack_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = tmp_path / "all.zip"
    upload.write_bytes(snapshot_of(*(advisory("demo") + b" " * 100_000 for _ in range(20))))
    monkeypatch.setattr(snapshot_judging, "MOST_BYTES", 1_000_000)
    told, problems = snapshot_judging.judge_snapshot(str(upload), folder=str(tmp_path / "names"))
    assert told is None and "1000000 bytes" in problems[0].what


def test_a_distribution_may_be_called_snapshot(tmp_path: Path) -> None:
    upload = tmp_path / "all.zip"
    upload.write_bytes(snapshot_of(advisory("snapshot")))
    known = Advisories(tmp_path / "house" / "advisories")
    told = known.import_snapshot(upload, at=AT)
    assert [one.id for one in known.touching("snapshot", "1.0")] == ["PYSEC-1"]
    assert known.snapshot() == told


def test_an_older_snapshot_is_still_read(tmp_path: Path) -> None:
    upload = tmp_path / "all.zip"
    upload.write_bytes(snapshot_of(advisory("demo")))
    known = Advisories(tmp_path / "house" / "advisories")
    known.import_snapshot(upload, at=AT)
    for path in (known.folder / "names").iterdir():
        path.rename(known.folder / path.name)
    (known.folder / "names").rmdir()
    assert [one.id for one in known.touching("demo", "1.0")] == ["PYSEC-1"]
    assert known.touching("snapshot", "1.0") == []


def test_a_lock_that_is_no_text_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    upload = zipped(bundle_files({"pylock.toml": b"lock-version = '1.0' # \xff"}))
    with pytest.raises(BundleRefused) as refused:
        receive(upload, bundles=Bundles(tmp_path / "bundles"))
    assert [(p.code, p.where) for p in refused.value.problems] == [("not-utf-8", "pylock.toml")]
    assert list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.parametrize("name", ["con", "nul", "com1", "lpt9", "aux"])
def test_a_device_of_windows_is_no_name_of_a_package(name: str, tmp_path: Path) -> None:
    text = f'{{"schema": 1, "name": "{name}", "version": "1.0"}}'
    upload = zipped(bundle_files({"manifest.json": text}))
    with pytest.raises(BundleRefused) as refused:
        receive(upload, bundles=Bundles(tmp_path / "bundles"))
    (problem,) = refused.value.problems
    assert (problem.code, problem.where) == ("wrong-field", "manifest.json#/name")


def test_a_wheel_that_cannot_be_listed_is_not_kept_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = Wheelhouse(tmp_path / "house")

    def broken(_: str) -> None:
        raise RecursionError

    monkeypatch.setattr(house, "_write_page", broken)
    with pytest.raises(RecursionError):
        house.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    assert list(house.wheels()) == []


def test_a_name_that_no_folder_can_have_is_of_no_wheel(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    assert house.find("n" * 5_000) == []
    assert Advisories(tmp_path / "advisories").touching("n" * 5_000, "1.0") == []


SPOKEN = Judgement(target="timeit:timeit", returns=TypeAdapter(int), budget=Budget(cpu_s=5))
"""Runs code under a budget: what is over it says too-costly, what ends says nothing of use."""


@pytest.mark.parametrize(
    "said",
    [
        "demo==" + "1." * 4_000 + "1",
        "a-" * 4_000 + "a",
        "demo" + ">=1,>=1" * 1_000,
        "a[" * 4_000,
        "a=" * 4_000,
        "failed to open file `" + "/a" * 4_000,
    ],
    ids=["a long version", "a long name", "many bounds", "brackets", "signs", "a long path"],
)
def test_what_uv_repeats_of_a_requirement_is_read_in_one_pass(said: str, metered: Judges) -> None:
    code = (
        "import packages.lock.diagnosis as told\n"
        "patterns = [p for p in vars(told).values() if isinstance(p, told.re.Pattern)]\n"
        f"for pattern in patterns: pattern.search('Because ' + {said!r} + ' is needed, and so on')"
    )
    _, (problem,) = metered.judge(SPOKEN, about="uv", stmt=code, number=1)
    assert problem.code == "cannot-be-judged", "that is: it came to its end"
