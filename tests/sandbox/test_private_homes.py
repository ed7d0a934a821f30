"""A home of 0700: its cells see what they must, with namespaces and without, and nobody else does."""

import os
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.interpreters import reachable_copy
from support.lacking import lacking
from support.world import open_folder

from sandbox.command import Command, Folder, Input, Level, Report, Warmth
from sandbox.kernel import mount_namespace
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox

NOBODY = 65_534
CODE = """
def extract(*, job, **_):
    print(job.inputs[0].read_text(), flush=True)
    (job.output_dir / "made.txt").write_text("made")
    return "read"
"""


@pytest.mark.parametrize("level", ["namespaced", "unprivileged"])
@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_a_run_below_a_home_of_0700(level: str, start: str):
    without_namespaces = level == "unprivileged"
    with open_folder() as world:
        home = world / "home"
        command = _command(world, home, is_warm=start == "warm")
        sandbox = await Sandbox.open(
            home / "cells",
            without_namespaces=without_namespaces,
            interpreter=command.interpreter,
            crossed=(home,),
        )
        seen: list[list[str]] = []

        def observe(report: Report) -> None:
            if report.data.get("line") == "secret":
                seen.append(_read_by_others(home))

        try:
            if without_namespaces and sandbox.level is not Level.UNPRIVILEGED:
                lacking(f"level unprivileged: {sandbox.missing}")
            outcome = await sandbox.run(command, outputs_to=world / "out", observe=observe)
        finally:
            await sandbox.close()
        assert (outcome.value, outcome.isolation.start) == ("read", start), outcome
        assert [one.path for one in outcome.outputs] == ["made.txt"]
        assert seen == [[]]
        mode = stat.S_IMODE(home.stat().st_mode)
        needs_group = without_namespaces and os.geteuid() == 0
        assert mode == (0o710 if needs_group else 0o700)
        assert home.stat().st_gid not in ({0, NOBODY} if needs_group else {NOBODY})


@pytest.mark.parametrize("start", ["cold", "warm"])
async def test_an_interpreter_below_tmp_costs_no_wall(start: str, tmp_path: Path):
    assert tmp_path.is_relative_to("/tmp")
    with open_folder() as world:
        command = _command(world, world / "home", is_warm=start == "warm")
        command = replace(command, interpreter=reachable_copy(tmp_path))
        sandbox = await Sandbox.open(world / "home/cells", interpreter=command.interpreter)
        try:
            if not sandbox.launcher.has_namespaces:
                lacking(f"namespaces: {sandbox.missing}")
            outcome = await sandbox.run(command, outputs_to=world / "o", observe=lambda _: None)
        finally:
            await sandbox.close()
        assert (outcome.value, outcome.isolation.start) == ("read", start), outcome


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "not named"])
async def test_what_is_named_when_a_sandbox_opens_is_bound_once(
    *, start: str, is_named: bool, monkeypatch: pytest.MonkeyPatch
):
    if os.geteuid() != 0:
        lacking("root: nobody else makes a mount namespace for cells")
    made: list[tuple[Path, ...]] = []
    make = mount_namespace._namespace

    def counted(place: str, roots: tuple[Path, ...]) -> tuple[int, bool]:
        made.append(roots)
        return make(place, roots)

    monkeypatch.setattr(mount_namespace, "_namespace", counted)
    with open_folder() as world:
        home = world / "home"
        command = _command(world, home, is_warm=start == "warm")
        named = (home / "bundles", world / "not there") if is_named else ()
        (world / "prepared").mkdir()
        sandbox = await Sandbox.open(
            home / "cells",
            interpreter=command.interpreter,
            seen=named,
            prepared=world / "prepared",
        )
        try:
            if not sandbox.launcher.has_namespaces:
                lacking(f"namespaces: {sandbox.missing}")
            outcome = await sandbox.run(command, outputs_to=world / "o", observe=lambda _: None)
        finally:
            await sandbox.close()
        assert (outcome.value, outcome.isolation.start) == ("read", start), outcome
        assert len(made) == (1 if is_named else 2), made
        assert any(one.name.startswith("inside-") for one in (world / "prepared").iterdir())
        assert not [one for one in (home / "cells").iterdir() if one.name.startswith("inside-")]


def _command(world: Path, home: Path, *, is_warm: bool) -> Command:
    bundle = home / "bundles/one/files"
    bundle.mkdir(parents=True)
    (bundle / "extract.py").write_text(CODE)
    (home / "input.txt").write_text("secret")
    (home / "input.txt").chmod(0o600)
    home.chmod(0o700)
    command = Command(
        target="extract:extract",
        handle="job",
        interpreter=reachable_copy(world),
        limits=Limits(),
        folders=(Folder(name="bundle", source=bundle, on_path=True),),
        inputs=(Input(name="input.txt", source=home / "input.txt"),),
        least=Level.UNPRIVILEGED,
    )
    return replace(command, warmth=Warmth(key="one", preload=())) if is_warm else command


def _read_by_others(home: Path) -> list[str]:
    """Return what another local user can open below `home`, as one who has to guess names too."""
    if os.geteuid() != 0:
        return []
    found = subprocess.run(
        ["find", home, home / "bundles", home / "cells", "-type", "f", "-readable"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    return found.stdout.split()
