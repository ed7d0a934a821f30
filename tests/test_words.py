"""One meaning per word: names that the glossary has replaced do not come back.

The list holds what was renamed already. Prose may use these words; modules, classes, functions,
parameters and fields may not. Names stand per room, since a word may be right in another one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OLD: dict[str, frozenset[str]] = {
    "runtime": words(
        """
        _said _tell _told activating as_seen_at assembly bell Bell building bundling
        carrying check_rooms Draining environment_part EnvironmentPart ErrorPart ErrorView
        filling ForeignRoom is_lasting Gatekeeper gatekeeper Guest guest hands Hands happening_of
        HookPart house house_names InputPart is_id is_rehearsal lasting ledger OutputPart
        PackagePart Parts parts_of PartsOf PhasePart prune_house pruning removing ring
        ring_all Room rooms runnable settings_told sweeping tell tell_ignored trying
        verify_house wait_for_ring workshop_of
        """
    ),
    "sandbox": words(
        """
        _said _tell tell
        birth birth_on_host Birth cgroup_v1 cgroup_v2 hugetext kept_warm lasting mail
        mover Mover rehearsal _Seat Seat seat stage Stage stage_set stagehand Stagehand
        terminating verdicts
        """
    ),
    "packages": words(
        """
        _said _tell crowd cutting house house_names is_of_the_house is_rehearsal Keeper keeper
        Nobody prepared_dict runnable Said Stage stage tell
        """
    ),
    "wheelhouse": words("house is_rehearsal settle"),
}


@pytest.mark.parametrize("room", OLD)
def test_no_old_name_comes_back(room: str):
    found = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in sorted((PROJECT / room).rglob("*.py"))
        if "examples" not in path.parts
        for name in names_of(path)
        if name in OLD[room]
    }
    assert not found


def test_a_name_that_comes_back_is_found(tmp_path: Path):
    module = tmp_path / "bell.py"
    module.write_text("class Hands:\n    rooms: int\n\n    def ring(self, *, parts_of): ...\n")
    assert {"bell", "Hands", "rooms", "ring", "parts_of"} <= set(names_of(module))


def names_of(path: Path) -> Iterator[str]:
    """Yield what `path` defines: the module, classes, functions, parameters, fields."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass
