"""Advisories come from a snapshot that an admin imports, and are matched offline."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wheelhouse.advisories.advisories import Advisories
from wheelhouse.errors import AdvisoriesRefused

AT = datetime(2026, 11, 20, tzinfo=UTC)


def record(**changes: Any) -> dict[str, Any]:
    """Return an advisory in the OSV schema."""
    return {
        "id": "PYSEC-2026-1",
        "aliases": ["CVE-2026-0001"],
        "modified": "2026-10-01T00:00:00Z",
        "summary": "it leaks",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "Demo_Thing"},
                "ranges": [
                    {
                        "type": "ECOSYSTEM",
                        "events": [
                            {"introduced": "1.2"},
                            {"fixed": "1.4.1"},
                            {"introduced": "2.0"},
                            {"last_affected": "2.3"},
                        ],
                    }
                ],
                "versions": ["0.9"],
            }
        ],
        **changes,
    }


def snapshot(path: Path, *records: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, one in enumerate(records):
            archive.writestr(f"{number}.json", json.dumps(one))
    return path


@pytest.fixture
def advisories(tmp_path: Path) -> Advisories:
    known = Advisories(tmp_path / "advisories")
    known.import_snapshot(snapshot(tmp_path / "all.zip", record()), at=AT)
    return known


@pytest.mark.parametrize(
    ("version", "is_touched"),
    [
        ("0.9", True),
        ("1.1", False),
        ("1.2", True),
        ("1.4", True),
        ("1.4.1", False),
        ("1.10", False),
        ("2.0", True),
        ("2.3", True),
        ("2.3.1", False),
    ],
)
def test_a_version_is_touched_or_not(
    version: str,
    is_touched: bool,  # noqa: FBT001
    advisories: Advisories,
) -> None:
    found = advisories.touching("demo-thing", version)
    assert bool(found) is is_touched


def test_an_advisory_says_what_mends_it(advisories: Advisories) -> None:
    (found,) = advisories.touching("Demo.Thing", "1.3")
    assert (found.id, found.aliases, found.fixed_in) == (
        "PYSEC-2026-1",
        ("CVE-2026-0001",),
        "1.4.1",
    )
    assert advisories.touching("other", "1.3") == []


def test_a_new_snapshot_takes_the_place_of_the_old(advisories: Advisories, tmp_path: Path) -> None:
    other = record(id="PYSEC-2026-2", withdrawn="2026-10-02T00:00:00Z")
    mended = record(id="PYSEC-2026-3")
    mended["affected"][0]["package"]["name"] = "another"
    taken = advisories.import_snapshot(snapshot(tmp_path / "b.zip", other, mended), at=AT)
    assert (taken.advisories, taken.distributions) == (1, 1)
    assert advisories.snapshot() == taken
    assert advisories.touching("demo-thing", "1.3") == []
    assert [a.id for a in advisories.touching("another", "1.3")] == ["PYSEC-2026-3"]


def test_a_file_that_is_no_snapshot_leaves_the_old_one(
    advisories: Advisories, tmp_path: Path
) -> None:
    before = advisories.snapshot()
    (tmp_path / "text.zip").write_text("no zip")
    other = record(affected=[{"package": {"ecosystem": "npm", "name": "x"}}])
    for path in (tmp_path / "text.zip", snapshot(tmp_path / "npm.zip", other)):
        with pytest.raises(AdvisoriesRefused):
            advisories.import_snapshot(path, at=AT)
    assert advisories.snapshot() == before
    assert advisories.touching("demo-thing", "1.3")


def test_a_new_snapshot_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    known = Advisories(tmp_path / "house" / "advisories")
    for number in range(4):
        told = snapshot(tmp_path / f"{number}.zip", record(id=f"PYSEC-{number}"))
        known.import_snapshot(told, at=AT)
        assert [one.id for one in known.touching("demo-thing", "1.3")] == [f"PYSEC-{number}"]
    assert len(list(known.folder.parent.glob("advisories-*"))) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"affected": 1}',
        b'{"affected": [{"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": 7}]}',
        b"{",
    ],
    ids=["a list", "a number", "odd ranges", "no JSON"],
)
def test_what_is_no_advisory_is_refused_and_the_old_ones_stay(
    content: bytes, advisories: Advisories, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("good.json", json.dumps(record(id="PYSEC-new")))
        archive.writestr("odd.json", content)
    with pytest.raises(AdvisoriesRefused):
        advisories.import_snapshot(tmp_path / "odd.zip", at=AT)
    assert [one.id for one in advisories.touching("demo-thing", "1.3")] == ["PYSEC-2026-1"]


def test_a_name_that_leads_elsewhere_is_nobodys(tmp_path: Path) -> None:
    odd = record(id="odd")
    odd["affected"] = [{**odd["affected"][0], "package": {"ecosystem": "PyPI", "name": "../../x"}}]
    known = Advisories(tmp_path / "deep" / "er" / "advisories")
    told = known.import_snapshot(snapshot(tmp_path / "all.zip", record(), odd), at=AT)
    assert told.advisories == 1
    assert not list(tmp_path.rglob("x.json"))
