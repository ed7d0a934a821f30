"""A wheel is judged whole before it is kept, and kept once."""

import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import UPLOADED, make_wheel, pack_wheel, record_line, wheel_files

from wheelhouse.errors import WheelNotFound, WheelRefused
from wheelhouse.store import Wheelhouse

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"


def refused(path: Path, tmp_path: Path) -> list[str]:
    """Return the codes for which the wheel at `path` is refused; nothing of it may stay."""
    house = Wheelhouse(tmp_path / "house")
    with pytest.raises(WheelRefused) as refusal:
        house.add(path, origin=UPLOADED)
    assert list(house.wheels()) == []
    assert all(problem.mend and problem.where for problem in refusal.value.problems)
    return [problem.code for problem in refusal.value.problems]


def test_a_wheel_is_kept_with_its_facts_and_its_metadata_beside_it(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    path = make_wheel(
        tmp_path,
        "Some-Thing",
        "1.0",
        requires=["six>=1"],
        requires_python=">=3.9",
        headers=["License-Expression: MIT", "Summary: a thing"],
    )
    wheel = house.add(path, origin=UPLOADED)
    assert (wheel.name, wheel.version, wheel.licence) == ("some-thing", "1.0", "MIT")
    assert (wheel.requires_dist, wheel.requires_python) == (("six>=1",), ">=3.9")
    assert house.path(wheel).read_bytes() == path.read_bytes()
    assert house.path(wheel).stat().st_mode & 0o222 == 0
    metadata = house.path(wheel).with_name(f"{wheel.filename}.metadata")
    assert b"Requires-Dist: six>=1" in metadata.read_bytes()
    assert house.find("some_thing") == [wheel] == list(house.wheels())
    assert house.get(wheel.sha256) == wheel == house.get(wheel.sha256, name="Some.Thing")


def test_a_wheel_that_is_here_keeps_its_first_origin(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    path = make_wheel(tmp_path, "demo")
    house.add(path, origin=UPLOADED)
    assert house.add(path, origin=replace(UPLOADED, by="ben")).origin.by == "ana"


def test_another_file_of_the_same_name_is_refused(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    first = house.add(make_wheel(tmp_path / "a", "demo"), origin=UPLOADED)
    other = make_wheel(tmp_path / "b", "demo", files={"demo.py": b"OTHER = True\n"})
    with pytest.raises(WheelRefused) as refusal:
        house.add(other, origin=UPLOADED)
    assert refusal.value.problems[0].code == "wheel-name-taken"
    assert list(house.wheels()) == [first]


def test_a_removed_wheel_is_gone_from_the_index_too(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    house.remove(wheel)
    assert list(house.wheels()) == []
    assert not (house.simple() / "demo").exists()
    with pytest.raises(WheelNotFound):
        house.get(wheel.sha256)


def test_an_index_page_that_a_killed_writer_left_behind_is_made_again(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    house.add(make_wheel(tmp_path, "demo", "1.0"), origin=UPLOADED)
    page = house.simple() / "demo" / "index.html"
    before = page.read_text()
    house.add(make_wheel(tmp_path, "demo", "2.0"), origin=UPLOADED)
    page.write_text(before)
    os.utime(page, ns=(0, 0))
    assert "demo-2.0" in (house.simple() / "demo" / "index.html").read_text()


def test_a_file_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo").rename(tmp_path / "demo.whl")
    assert refused(path, tmp_path) == ["bad-wheel-name"]


def test_a_wheel_named_after_another_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo").rename(tmp_path / "other-1.0-py3-none-any.whl")
    assert refused(path, tmp_path) == ["bad-dist-info"]


def test_a_wheel_with_another_version_inside_is_refused(tmp_path: Path) -> None:
    held = wheel_files("demo", "1.0")
    held[f"{INFO}/METADATA"] = b"Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n"
    assert refused(pack_wheel(tmp_path, NAME, held), tmp_path) == ["two-versions"]


def test_a_wheel_that_was_published_with_a_wrong_record_is_taken_and_its_faults_are_kept(
    tmp_path: Path,
) -> None:
    held = wheel_files("demo", "1.0", files={"demo.py": b"1", "weak.py": b"2", "extra.py": b"3"})
    lines = [record_line(path, content) for path, content in held.items()]
    lines = [line for line in lines if not line.startswith(("extra.py", "weak.py"))]
    lines += ["weak.py,md5=abc,1", record_line("gone.py", b""), f"{INFO}/RECORD,,"]
    held["demo.py"] = b"6.6"
    path = pack_wheel(tmp_path, NAME, held, record="\n".join(lines) + "\n")
    wheel = Wheelhouse(tmp_path / "house").add(path, origin=UPLOADED)
    assert set(wheel.record_faults) == {
        "extra.py is in the wheel, not in RECORD",
        "gone.py is in RECORD, not in the wheel",
        "demo.py has another size than RECORD says",
        "weak.py has no digest of sha256 or better",
    }


def test_a_right_record_has_no_faults(tmp_path: Path) -> None:
    wheel = Wheelhouse(tmp_path / "house").add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    assert wheel.record_faults == ()


def test_of_a_record_with_many_faults_the_first_are_kept_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    held = wheel_files("demo", "1.0", files={f"m{n}.py": b"1" for n in range(300)})
    path = pack_wheel(tmp_path, NAME, held, record=f"{INFO}/RECORD,,\n")
    wheel = Wheelhouse(tmp_path / "house").add(path, origin=UPLOADED)
    assert len(wheel.record_faults) == 21
    assert wheel.record_faults[-1] == "and 282 more like these"


@pytest.mark.parametrize("name", ["python", "python3", "python3.12", "pythonw", "python3-config"])
def test_a_script_that_would_be_taken_for_an_interpreter_is_refused(
    tmp_path: Path, name: str
) -> None:
    declared = make_wheel(
        tmp_path / "a", "demo", entry_points=f"[console_scripts]\n{name} = demo:m\n"
    )
    assert refused(declared, tmp_path) == ["bad-entry-point"]
    brought = make_wheel(tmp_path / "b", "demo", files={f"demo-1.0.data/scripts/{name}": b"#!x\n"})
    assert refused(brought, tmp_path) == ["reserved-path"]


@pytest.mark.parametrize("name", ["python-barcode", "python_thing", "pythontex", "pythonic3"])
def test_a_script_may_be_called_python_something(tmp_path: Path, name: str) -> None:
    entry_points = f"[console_scripts]\n{name} = demo:m\n"
    Wheelhouse(tmp_path / "one").add(
        make_wheel(tmp_path / "a", "demo", entry_points=entry_points), origin=UPLOADED
    )
    files = {f"demo-1.0.data/scripts/{name}": b"#!python\n"}
    Wheelhouse(tmp_path / "two").add(
        make_wheel(tmp_path / "b", "demo", files=files), origin=UPLOADED
    )


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../evil.py", "parent-path"),
        ("demo-1.0.data/data/pyvenv.cfg", "reserved-path"),
        ("demo-1.0.data/scripts/python3", "reserved-path"),
        ("demo-1.0.data/data/environment.json", "reserved-path"),
        ("demo-1.0.data/data/pylock.toml", "reserved-path"),
        ("demo-1.0.data/data/PyLock.toml", "reserved-path"),
        ("demo-1.0.data/data/pylock.toml/inner", "reserved-path"),
        ("demo-1.0.data/data/lib", "reserved-path"),
        ("demo-1.0.data/data/bin", "reserved-path"),
        ("demo-1.0.data/data/lib64", "reserved-path"),
        ("demo-1.0.data/data/lib64/inner.so", "reserved-path"),
        ("demo-1.0.data/data/bin/python3.12", "reserved-path"),
        ("demo-1.0.data/data/lib/python3.12", "reserved-path"),
        ("demo-1.0.data/data/lib/python3.12/site-packages", "reserved-path"),
        ("demo-1.0.data/data/lib/python3.12/site-packages/demo.py", "name-collision"),
        ("demo-1.0.data/platlib/demo.py/inner.py", "name-collision"),
        ("demo-1.0.data/elsewhere/x.py", "unknown-scheme"),
        ("demo-1.0.data/purelib/demo.py", "name-collision"),
    ],
)
def test_a_wheel_that_would_write_where_it_must_not_is_refused(
    path: str, code: str, tmp_path: Path
) -> None:
    files = {"demo.py": b"", path: b"evil = True\n"}
    wheel = make_wheel(tmp_path, "demo", files=files)
    assert refused(wheel, tmp_path) == [code]


def test_a_script_with_a_wrong_target_is_refused(tmp_path: Path) -> None:
    entry_points = "[console_scripts]\ndemo = demo:main; import os\n"
    wheel = make_wheel(tmp_path, "demo", entry_points=entry_points)
    assert refused(wheel, tmp_path) == ["bad-entry-point"]


def test_metadata_that_no_resolver_can_read_is_refused_with_every_fault(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", requires=["six =< 1", "a b"], requires_python="three")
    assert refused(wheel, tmp_path) == ["bad-metadata"] * 3


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", files={"demo.py": b"x" * 5000})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert refused(path, tmp_path) == ["not-a-zip"]


def test_a_zip_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("demo.py", b"")
    path = tmp_path / NAME
    path.write_bytes(target.getvalue())
    assert refused(path, tmp_path) == ["bad-dist-info"]
