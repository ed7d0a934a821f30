"""A wheel is unpacked once, verified, as an environment wants it."""

from pathlib import Path

import pytest
from support.wheels import UPLOADED, make_wheel

from wheelhouse.errors import WheelCorrupt
from wheelhouse.store import Wheelhouse
from wheelhouse.unpacked import unpack, verify_unpacked

FILES = {
    "demo/__init__.py": b"X = 1\n",
    "demo-1.0.data/scripts/tool": b"#!python\nprint('tool')\n",
    "demo-1.0.data/data/share/demo/notes.txt": b"notes",
    "demo-1.0.data/purelib/extra.py": b"Y = 2\n",
    "demo-1.0.data/headers/demo.h": b"#define DEMO\n",
}


def test_files_go_to_their_places_and_scripts_work_wherever_they_are(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    entry_points = "[console_scripts]\ndemo = demo:main\n"
    wheel = house.add(
        make_wheel(tmp_path, "demo", files=FILES, entry_points=entry_points), origin=UPLOADED
    )
    unpacked = unpack(house, wheel)
    told = {
        "/".join(part for part in (folder.place, folder.path, file.name) if part)
        for folder in unpacked.folders
        for file in folder.files
    }
    assert told >= {
        "site/demo/__init__.py",
        "site/extra.py",
        "bin/tool",
        "bin/demo",
        "root/share/demo/notes.txt",
        "headers/demo.h",
        "site/demo-1.0.dist-info/RECORD",
        "site/demo-1.0.dist-info/INSTALLER",
    }
    script = (unpacked.folder / "bin" / "tool").read_text()
    assert script.startswith("#!/bin/sh\n") and script.endswith("print('tool')\n")
    assert (unpacked.folder / "bin" / "demo").stat().st_mode & 0o777 == 0o555
    assert (unpacked.folder / "site" / "extra.py").stat().st_mode & 0o777 == 0o444
    assert verify_unpacked(unpacked) == []


def test_the_installed_record_names_every_file_where_it_went(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo", files=FILES), origin=UPLOADED)
    record = unpack(house, wheel).folder / "site" / "demo-1.0.dist-info" / "RECORD"
    paths = {line.split(",")[0] for line in record.read_text().splitlines()}
    assert paths >= {"demo/__init__.py", "../../../bin/tool", "../../../share/demo/notes.txt"}


def test_a_wheel_that_rotted_in_the_house_is_not_unpacked(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo"), origin=UPLOADED)
    path = house.path(wheel)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WheelCorrupt) as corrupt:
        unpack(house, wheel)
    (problem,) = corrupt.value.problems
    assert problem.code == "corrupt-wheel"
    assert f"fumehood wheelhouse remove {wheel.sha256}" in problem.mend
    assert list((house.root / "unpacked").iterdir()) == []


def test_a_file_that_was_altered_after_unpacking_is_found(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    wheel = house.add(make_wheel(tmp_path, "demo", files=FILES), origin=UPLOADED)
    unpacked = unpack(house, wheel)
    altered = unpacked.folder / "site" / "extra.py"
    altered.chmod(0o644)
    altered.write_bytes(b"Y = 3\n")
    (unpacked.folder / "site" / "demo" / "__init__.py").unlink()
    assert sorted(verify_unpacked(unpacked)) == ["site/demo/__init__.py", "site/extra.py"]
