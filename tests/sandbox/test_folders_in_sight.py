"""A folder that a Command shows is an attribute of the handle: at every level, cold and warm."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.interpreters import reachable_copy

from sandbox.command import Command, Ending, Folder
from sandbox.sandbox import Sandbox

LEVELS = pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
STARTS = pytest.mark.parametrize("start", ["cold", "warm"])
READS = """
def extract(*, job, **_):
    try:
        (job.data / "new").write_text("x")
    except OSError as error:
        refused = type(error).__name__
    return [(job.data / "model.txt").read_text(), refused, hasattr(job, "other")]
"""


@LEVELS
@STARTS
async def test_it_is_a_path_that_can_be_read_and_not_written(
    lab, warm: Callable[[Command], Command], plain_sandbox: Sandbox, world: Path, level, start
):
    lab.sandbox = plain_sandbox if level == "unprivileged" else lab.sandbox
    data = lab.folder / "some-data"
    data.mkdir()
    (data / "model.txt").write_text("trained")
    command = lab.command(READS, interpreter=reachable_copy(world))
    folders = (*command.folders, Folder(name="data", source=data))
    command = replace(command, folders=folders)
    outcome = await lab.run(warm(command) if start == "warm" else command)
    assert outcome.isolation.start == start, outcome.isolation.start_reason
    assert outcome.is_ok, outcome.failure
    text, refused, has_other = outcome.value
    assert (text, has_other) == ("trained", False)
    assert refused in {"PermissionError", "OSError"}


@LEVELS
@STARTS
async def test_a_modules_own_class_as_target_tells_an_import_from_a_failure(
    lab, warm: Callable[[Command], Command], plain_sandbox: Sandbox, world: Path, level, start
):
    """Which is how a version is imported before it becomes active."""
    lab.sandbox = plain_sandbox if level == "unprivileged" else lab.sandbox
    ended = {}
    for name, code in {"right": "A = 1", "wrong": "raise ValueError('not today')"}.items():
        command = lab.command(
            code,
            target="extract:__class__",
            handle="doc",
            arguments={"name": "imported"},
            interpreter=reachable_copy(world),
        )
        outcome = await lab.run(warm(command) if start == "warm" else command)
        ended[name] = outcome.ending
    assert ended == {"right": Ending.RAISED, "wrong": Ending.UNLOADABLE}
