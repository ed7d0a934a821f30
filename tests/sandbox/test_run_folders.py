"""A run's folder on the host, where package code may put a link in the place of any name."""

import os
from pathlib import Path

import pytest

from sandbox.cells import run_folder
from sandbox.command import Input
from sandbox.errors import CellUnstartableError, InputUnplaceableError

PARTS = ("scratch", "output")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of somebody else's, with all that a run's folder has."""
    folder = tmp_path / "theirs"
    run_folder.make(folder, writable=PARTS, user=None)
    (folder / "output" / "private.txt").write_text("private")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "warm" / "1"
    run_folder.make(folder, writable=PARTS, user=None)
    return folder


def test_a_link_in_the_place_of_a_run_folder_is_in_the_way(tmp_path, theirs):
    (tmp_path / "warm").mkdir()
    (tmp_path / "warm" / "1").symlink_to(theirs)
    with pytest.raises(CellUnstartableError):
        run_folder.make(tmp_path / "warm" / "1", writable=PARTS, user=None)
    assert sorted(os.listdir(theirs)) == ["input", "output", "scratch"]


def test_a_neighbours_outputs_are_not_taken_for_the_runs_own(run, theirs):
    run.rename(run.with_name("away"))
    run.symlink_to(theirs)
    with pytest.raises(OSError, match="symbolic links"):
        run_folder.open_part(run, "output")


def test_inputs_do_not_go_where_a_link_leads(run, theirs, tmp_path):
    source = tmp_path / "input.txt"
    source.write_text("input")
    wanted = [Input(name="input.txt", source=source)]
    (run / "input" / "input.txt").symlink_to(theirs / "output" / "private.txt")
    with pytest.raises(InputUnplaceableError):
        run_folder.place_inputs(wanted, run, by_link=False)
    (run / "input" / "input.txt").unlink()
    (run / "input").rmdir()
    (run / "input").symlink_to(theirs / "input")
    with pytest.raises(InputUnplaceableError):
        run_folder.place_inputs(wanted, run, by_link=True)
    assert (theirs / "output" / "private.txt").read_text() == "private"
    assert os.listdir(theirs / "input") == []


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_copy_is_readable_and_not_the_original(run, tmp_path, mode):
    source = tmp_path / "input.txt"
    source.write_text("input")
    source.chmod(mode)
    for by_link in (False, True):
        wanted = [Input(name=f"{by_link}.txt", source=source)]
        run_folder.place_inputs(wanted, run, by_link=by_link)
        placed = run / "input" / f"{by_link}.txt"
        assert placed.read_text() == "input"
        assert placed.stat().st_mode & 0o444 == 0o444
        assert placed.samefile(source) is (by_link and mode == 0o644)


def test_removing_does_not_follow_a_link(run, theirs):
    (theirs / "output" / "private.txt").chmod(0)
    run.rename(run.with_name("away"))
    run.symlink_to(theirs)
    run_folder.remove(run)
    assert not run.is_symlink()
    assert (theirs / "output" / "private.txt").stat().st_mode & 0o777 == 0


def test_an_input_that_was_linked_in_keeps_its_mode_when_the_folder_goes(run, tmp_path):
    """A link is the original: what is kept without write permission stays so."""
    source = tmp_path / "input.txt"
    source.write_text("input")
    source.chmod(0o444)
    run_folder.place_inputs([Input(name="input.txt", source=source)], run, by_link=True)
    (run / "scratch" / "shut").mkdir(mode=0)
    run_folder.remove(run)
    assert not run.exists()
    assert source.stat().st_mode & 0o777 == 0o444
