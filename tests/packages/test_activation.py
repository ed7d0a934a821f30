"""A version becomes active only when all of it can be had and its hook passes."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import bundle_files, manifest, zipped
from support.elf import library

from packages.archive import Bundles, receive
from packages.bundle.bundle import Bundle
from packages.environment.bundle_bytecode import with_bytecode
from packages.environment.environment import Environments
from packages.errors import ActivationFailed, ActivationRefused
from packages.interpreters import cache_tag
from packages.lock.grant import Ceiling, GateState
from packages.lock.locker import Locker
from packages.preparation import Prepared, Workshop, prepare
from packages.runs.hooks import RunContext, extract_command, on_after_extract_command
from sandbox.command import Json, Outcome, Report
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheel, Wheelhouse

type Add = Callable[..., Wheel]
type Receive = Callable[[dict[str, str | bytes]], Bundle]
CLOSED = GateState()


@pytest.fixture
def workshop(
    home: Path,
    house: Wheelhouse,
    locker: Locker,
    environments: Environments,
    sandbox: Sandbox,
) -> Workshop:
    return Workshop(
        wheelhouse=house,
        locker=locker,
        environments=environments,
        run=sandbox.run,
        data_root=home / "data",
    )


@pytest.fixture
def received(home: Path) -> Receive:
    def receiving(files: dict[str, str | bytes]) -> Bundle:
        upload = io.BytesIO(zipped(bundle_files(files)).getvalue())
        return receive(upload, bundles=Bundles(home / "bundles"))

    return receiving


def context_of(bundle: Bundle, prepared: Prepared) -> RunContext:
    return RunContext(
        bundle=bundle,
        environment=prepared.environment,
        interpreter=prepared.interpreter,
        grant=prepared.grant,
        data_folder=prepared.data_folder,
    )


async def test_a_library_that_is_missing_is_a_warning_of_the_activation(
    received: Receive, workshop: Workshop, add: Add
):
    files = {"demo_dist.py": b"", "quick.so": library(needed=["libabsent.so.7"])}
    add("demo-dist", tag=f"py3-none-manylinux2014_{os.uname().machine}", files=files)
    bundle = received({"requirements.txt": "demo-dist"})
    said: list[Report] = []
    prepared = await prepare(bundle, workshop=workshop, gate=CLOSED, observe=said.append)
    (warning,) = prepared.install.warnings
    assert warning.code == "missing-library"
    assert "libabsent.so.7 is needed by quick.so" in warning.what
    assert any("libabsent.so.7" in str(report.data.get("message")) for report in said)


ON_ACTIVATE = """
import demo_dist

def run(*, context, **_):
    print("getting ready with", demo_dist.VERSION)
    (context.output_dir / "model.txt").write_text("trained on " + context.package["version"])
    return {"installed": context.installed}
"""
EXTRACT = """
import pathlib

def extract(*, job, **_):
    try:
        (job.data / "new.txt").write_text("x")
        raise AssertionError("it can be written to")
    except OSError:
        pass
    assert isinstance(job.data, pathlib.Path)
    return {"model": (job.data / "model.txt").read_text(), "told": job.parameters["n"]}
"""
ON_AFTER_EXTRACT = """
def run(*, context, outcome, **_):
    return {"saw": outcome["state"], "job": context.id}
"""


async def test_the_whole_way_from_a_bundle_to_its_first_job(
    workshop: Workshop, received: Receive, add: Add, sandbox: Sandbox, home: Path
) -> None:
    add("demo-dist", "1.5")
    bundle = received(
        {
            "requirements.txt": "demo-dist\n",
            "extract.py": EXTRACT,
            "hooks/on_activate.py": ON_ACTIVATE,
            "hooks/on_after_extract.py": ON_AFTER_EXTRACT,
        }
    )
    said: list[Report] = []
    prepared = await prepare(bundle, workshop=workshop, gate=CLOSED, observe=said.append)
    assert [(d.name, d.version) for d in prepared.environment.inventory.installed] == [
        ("demo-dist", "1.5")
    ]
    assert prepared.hook is not None
    assert prepared.hook.value == {"installed": {"demo-dist": "1.5"}}
    assert "getting ready with 1.5" in [report.data.get("line") for report in said]
    assert prepared.install.source == "wheelhouse"

    context = context_of(bundle, prepared)
    parameters: dict[str, Json] = {"n": 7}
    command = extract_command(context, job_id="job-1", parameters=parameters)
    outcome = await sandbox.run(command, outputs_to=home / "out", observe=lambda report: None)
    assert outcome.value == {"model": "trained on 1.0", "told": 7}, outcome.failure
    after = on_after_extract_command(context, job_id="job-1", outcome={"state": "succeeded"})
    assert after is not None
    outcome = await sandbox.run(after, outputs_to=home / "out2", observe=lambda report: None)
    assert outcome.value == {"saw": "succeeded", "job": "job-1"}, outcome.failure


async def test_a_second_activation_needs_no_build(
    workshop: Workshop, received: Receive, add: Add
) -> None:
    add("demo-dist")
    bundle = received({"requirements.txt": "demo-dist\n"})
    first = await prepare(bundle, workshop=workshop, gate=CLOSED)
    again = await prepare(bundle, workshop=workshop, gate=CLOSED)
    assert (first.install.is_reused, again.install.is_reused) == (False, True)
    assert first.hook is None and first.data_folder is None


async def test_what_cannot_be_had_is_refused_with_its_problems(
    workshop: Workshop, received: Receive
) -> None:
    bundle = received({"requirements.txt": "absent-one\nabsent-two\n"})
    with pytest.raises(ActivationRefused) as refused:
        await prepare(bundle, workshop=workshop, gate=CLOSED)
    assert [p.code for p in refused.value.problems] == ["not-in-wheelhouse"] * 2


async def test_a_python_that_is_not_here_is_refused_with_those_that_are(
    workshop: Workshop, received: Receive
) -> None:
    bundle = received({"manifest.json": manifest(requires_python=">=3.99")})
    with pytest.raises(ActivationRefused) as refused:
        await prepare(bundle, workshop=workshop, gate=CLOSED)
    (problem,) = refused.value.problems
    assert problem.code == "wrong-python"
    assert "this host has Python 3." in problem.what


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        ("def run(*, context, **_):\n    print('so far')\n    return 1 / 0\n", "hook-raised"),
        (
            "print('so far')\nimport not_here\ndef run(**_):\n    pass\n",
            "hook-entry-point-unloadable",
        ),
        ("print('so far')\ndef run(**_):\n    pass\ndel run\n", "hook-entry-point-unloadable"),
        (
            "import os\ndef run(**_):\n    print('so far', flush=True)\n    os._exit(3)\n",
            "hook-exited",
        ),
    ],
    ids=["raises", "does not import", "is not there", "exits"],
)
async def test_a_hook_that_does_not_pass_blocks_with_its_log(
    hook: str, code: str, workshop: Workshop, received: Receive
) -> None:
    bundle = received({"hooks/on_activate.py": hook})
    reports: list[Report] = []
    with pytest.raises(ActivationFailed) as failed:
        await prepare(bundle, workshop=workshop, gate=CLOSED, observe=reports.append)
    (problem,) = failed.value.problems
    assert problem.code == code
    assert problem.where == "hooks.on_activate:run"
    assert "so far" in [report.data.get("line") for report in reports]
    if code == "hook-raised":
        assert "ZeroDivisionError" in failed.value.traceback
    data_root = workshop.data_root
    assert list(data_root.iterdir()) == []


async def test_the_admins_ceiling_binds_the_hook_and_the_jobs(
    workshop: Workshop, received: Receive
) -> None:
    wish = manifest(limits={"wall_s": 500, "memory_mb": 64}, network={"run": True})
    bundle = received({"manifest.json": wish})
    ceiling = Ceiling(limits=Limits(wall_s=5))
    prepared = await prepare(bundle, workshop=replace(workshop, ceiling=ceiling), gate=CLOSED)
    assert (prepared.grant.limits.wall_s, prepared.grant.limits.memory_mb) == (5, 64)
    command = extract_command(context_of(bundle, prepared), job_id="j")
    assert command.network is None
    assert "the admin's ceiling lowers wall_s" in prepared.grant.reasons


WATCH = """
import sys

compiled = []
sys.addaudithook(lambda event, args: event == "compile" and compiled.append(str(args[1])))
"""
WATCHED = """
import os
import sys

import watch
import inner.leaf

def extract(*, job, **_):
    import late
    ours = ["watch", "extract", "inner", "inner.leaf", "late"]
    cached = [name for name in ours if os.path.isfile(sys.modules[name].__cached__)]
    return {"compiled": watch.compiled, "cached": cached, "named": extract.__code__.co_filename}
"""


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
async def test_no_module_of_the_bundle_is_compiled_when_a_job_runs(
    is_warm: bool,  # noqa: FBT001
    workshop: Workshop,
    received: Receive,
    home: Path,
) -> None:
    """`watch` is imported first and sees every compile() from then on; itself it is cached."""
    bundle = received(
        {
            "manifest.json": manifest(preload=["watch"]),
            "watch.py": WATCH,
            "extract.py": WATCHED,
            "inner/__init__.py": "",
            "inner/leaf.py": "X = 1\n",
            "late.py": "Y = 2\n",
        }
    )
    prepared = await prepare(bundle, workshop=workshop, gate=CLOSED)
    shown = await with_bytecode(bundle, interpreter=prepared.interpreter, run=workshop.run)
    command = extract_command(context_of(shown, prepared), job_id="j")
    if not is_warm:
        command = replace(command, warmth=None)
    outcome = await workshop.run(command, outputs_to=home / "out", observe=lambda report: None)
    assert outcome.is_ok, outcome.failure
    assert outcome.value == {
        "compiled": [],
        "cached": ["watch", "extract", "inner", "inner.leaf", "late"],
        "named": "/bundle/extract.py",
    }


async def test_a_bundle_is_made_runnable_once_and_read_only(
    workshop: Workshop, received: Receive
) -> None:
    bundle = received({"data/table.csv": "a,b\n"})
    prepared = await prepare(bundle, workshop=workshop, gate=CLOSED)

    async def nothing(*_: object, **__: object) -> Outcome:
        raise AssertionError("it is there already")

    shown = await with_bytecode(bundle, interpreter=prepared.interpreter, run=nothing)
    held = sorted(str(p.relative_to(shown.folder)) for p in shown.folder.rglob("*") if p.is_file())
    tag = cache_tag(prepared.interpreter)
    assert held == [
        f"__pycache__/extract.{tag}.pyc",
        "data/table.csv",
        "extract.py",
        "manifest.json",
    ]
    places = (shown.folder, *shown.folder.rglob("*"))
    assert not [path for path in places if path.stat().st_mode & 0o222]
    assert (shown.folder / "extract.py").samefile(bundle.folder / "extract.py")
