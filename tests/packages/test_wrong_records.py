"""A wheel whose RECORD is wrong: installed as it is and noted, or kept out by the admin's policy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.wheels import UPLOADED, pack_wheel, record_line, wheel_files

from packages.bundle.requirements import Requirements
from packages.environment.environment import Environments
from packages.environment.inventory import Overlap
from packages.errors import LockFailed
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from packages.lock.policy import LockPolicy
from packages.notices import overlapping
from sandbox.command import Interpreter
from wheelhouse.store import Wheel, Wheelhouse

type Wants = Callable[[str], Requirements]


@pytest.fixture
def wrong(house: Wheelhouse, tmp_path: Path) -> Wheel:
    """A wheel whose LICENSE was changed after its RECORD was written, and has a file more."""
    held = wheel_files("demo", "1.0", files={"demo.py": b"A = 1\n", "LICENSE": b"old"})
    lines = [record_line(path, content) for path, content in held.items()]
    held |= {"LICENSE": b"new", "more.py": b"B = 2\n"}
    record = "\n".join([*lines, "demo-1.0.dist-info/RECORD,,"]) + "\n"
    path = pack_wheel(tmp_path, "demo-1.0-py3-none-any.whl", held, record=record)
    return house.add(path, origin=UPLOADED)


async def test_it_is_installed_byte_for_byte_with_a_note_and_a_right_record(
    wrong: Wheel,
    locker: Locker,
    environments: Environments,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
) -> None:
    locking = await locker.lock(wants("demo"), interpreter=interpreter, grant=closed)
    (warning,) = locking.warnings
    assert warning.code == "wrong-record" and "LICENSE is not what RECORD says" in warning.what
    built = await environments.ensure(locking.lock, interpreter=interpreter)
    site = built.folder / built.site_packages
    assert (site / "LICENSE").read_bytes() == b"new"
    assert (site / "more.py").read_bytes() == b"B = 2\n"
    (installed,) = built.inventory.installed
    assert installed.record_faults == wrong.record_faults
    record = (site / "demo-1.0.dist-info/RECORD").read_text()
    assert record_line("LICENSE", b"new") in record and "more.py" in record


async def test_a_policy_keeps_it_out(
    wrong: Wheel, locker: Locker, wants: Wants, interpreter: Interpreter, closed: Grant
) -> None:
    strict = replace(locker, policy=LockPolicy(records="refuse"))
    with pytest.raises(LockFailed) as failed:
        await strict.lock(wants("demo"), interpreter=interpreter, grant=closed)
    assert [(p.code, p.where) for p in failed.value.problems] == [("wrong-record", "demo")]


def test_two_distributions_with_the_same_files_are_told_once_both_named() -> None:
    found = [Overlap(path=f"cv2/{n}.py", kept="opencv", left_out="opencv-lite") for n in range(9)]
    (notice,) = overlapping(found)
    assert notice.code == "same-files"
    assert "opencv and opencv-lite both bring cv2/0.py and 8 more files" in notice.what
    assert overlapping([]) == ()
