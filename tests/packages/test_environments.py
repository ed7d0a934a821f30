"""From a lock to an environment: whole or absent, shared, verified, with its bytecode."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.locks import lock_of
from support.wheels import UPLOADED, make_wheel
from uv import find_uv_bin

from packages.environment.environment import Environments, environment_key
from packages.errors import EnvironmentFailed, NoInterpreter
from packages.interpreters import discover, every, running
from sandbox.command import Command, Folder, Interpreter, Report
from sandbox.limits import Limits
from sandbox.sandbox import Sandbox
from wheelhouse.store import Wheel, Wheelhouse
from wheelhouse.unpacked import unpack, unpacked_folder

type Add = Callable[..., Wheel]


async def test_an_environment_holds_what_was_locked_with_its_bytecode(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    demo = add("demo", files={"demo/__init__.py": b"X = 1\n", "demo/data.txt": b"text"})
    lock = lock_of(demo, add("other"))
    built = await environments.ensure(lock, interpreter=interpreter, requested=frozenset({"demo"}))
    site = built.folder / built.site_packages
    assert (site / "demo" / "data.txt").read_bytes() == b"text"
    assert list((site / "demo" / "__pycache__").glob("__init__.cpython-3*.pyc"))
    assert [(i.name, i.version, i.sha256, i.is_requested) for i in built.inventory.installed] == [
        ("demo", "1.0", demo.sha256, True),
        ("other", "1.0", lock.packages[1].sha256, False),
    ]
    told = json.loads((built.folder / "environment.json").read_text())
    assert told["lock_digest"] == lock.digest
    assert (built.folder / "pylock.toml").read_text() == lock.text
    assert not [p for p in site.iterdir() if p.name.startswith(("pip", "setuptools", "wheel"))]


async def test_an_environment_is_read_only_and_shared(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    lock = lock_of(add("demo"))
    first = await environments.ensure(lock, interpreter=interpreter)
    second = await environments.ensure(lock, interpreter=interpreter)
    assert (first.is_reused, second.is_reused) == (False, True)
    assert first.folder == second.folder
    paths = [first.folder, *first.folder.rglob("*")]
    assert {path.stat().st_mode & 0o222 for path in paths if not path.is_symlink()} == {0}


def test_the_key_covers_lock_interpreter_and_platform(interpreter: Interpreter) -> None:
    lock = lock_of()
    keys = {
        environment_key(lock, interpreter),
        environment_key(lock, replace(interpreter, version="3.12.99")),
        environment_key(lock, replace(interpreter, soabi="cpython-312-aarch64-linux-gnu")),
        environment_key(replace(lock, python_minor="3.13"), interpreter),
    }
    assert len(keys) == 4


async def test_many_that_want_one_environment_build_it_once(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    lock = lock_of(add("demo"))
    wanting = (environments.ensure(lock, interpreter=interpreter) for _ in range(8))
    built = await asyncio.gather(*wanting)
    assert sum(not environment.is_reused for environment in built) == 1
    assert len({environment.folder for environment in built}) == 1


async def test_no_module_is_compiled_when_a_job_runs(
    environments: Environments, add: Add, interpreter: Interpreter, sandbox: Sandbox, home: Path
) -> None:
    """Import a package in a cell where compile() is watched: nothing but the probe compiles."""
    files = {
        "demo/__init__.py": b"from demo import inner\nfrom demo.deep import leaf\n",
        "demo/inner.py": b"X = 1\n",
        "demo/deep/__init__.py": b"",
        "demo/deep/leaf.py": b"def where():\n    return __file__\n",
    }
    built = await environments.ensure(lock_of(add("demo", files=files)), interpreter=interpreter)
    probe = home / "probe"
    probe.mkdir()
    (probe / "probe.py").write_text(PROBE)
    command = Command(
        target="probe:run",
        handle="job",
        interpreter=interpreter,
        limits=Limits(),
        folders=(
            Folder(name="bundle", source=probe, on_path=True),
            *built.in_sight(),
        ),
    )
    outcome = await sandbox.run(command, outputs_to=home / "out", observe=lambda report: None)
    assert outcome.is_ok, outcome.failure
    told = outcome.value
    assert isinstance(told, dict)
    assert told["compiled"] == []
    assert told["cached"] == ["demo", "demo.deep", "demo.deep.leaf", "demo.inner"]
    assert told["named"] == f"/environment/{built.site_packages}/demo/deep/leaf.py"


PROBE = """
import os, sys

def run(*, job, **_):
    compiled = []
    def watch(event, args):
        if event == "compile":
            compiled.append(str(args[1]))

    sys.addaudithook(watch)
    import demo
    found = [name for name in sys.modules if name.split(".")[0] == "demo"]
    cached = sorted(n for n in found if os.path.isfile(sys.modules[n].__cached__))
    return {"compiled": compiled, "cached": cached, "named": demo.leaf.where.__code__.co_filename}
"""


async def test_a_module_that_cannot_be_compiled_does_not_keep_its_wheel_out(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    files = {"demo/__init__.py": b"", "demo/python2.py": b"print 'hello'\n"}
    built = await environments.ensure(lock_of(add("demo", files=files)), interpreter=interpreter)
    assert (built.folder / built.site_packages / "demo" / "python2.py").is_file()


def lying_bytecode(interpreter: Interpreter) -> bytes:
    """Return a .pyc that says of itself that nobody has to look at the source (PEP 552)."""
    code = (
        "import importlib.util, marshal, sys\n"
        "code = compile('WHO = \"bytecode\"', 'demo.py', 'exec')\n"
        "head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, 'little') + bytes(8)\n"
        "sys.stdout.buffer.write(head + marshal.dumps(code))\n"
    )
    argv = [interpreter.executable, "-I", "-S", "-c", code]
    return subprocess.run(argv, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "place",
    [
        "demo/__pycache__/who.{tag}.pyc",
        "demo-1.0.data/purelib/demo/__pycache__/who.{tag}.pyc",
        "demo-1.0.data/data/lib/python{minor}/site-packages/demo/__pycache__/who.{tag}.pyc",
        "demo/__pycache__/who.{tag}.opt-1.pyc",
    ],
)
@pytest.mark.parametrize("is_anothers", [False, True], ids=["its own", "another's"])
async def test_bytecode_that_a_wheel_brings_never_runs_in_place_of_a_source(
    environments: Environments,
    add: Add,
    interpreter: Interpreter,
    place: str,
    *,
    is_anothers: bool,
) -> None:
    tag = f"cpython-{interpreter.soabi.split('-')[1]}"
    minor = ".".join(interpreter.version.split(".")[:2])
    source = {"demo/__init__.py": b"", "demo/who.py": b"WHO = 'source'\n"}
    lying = {place.format(tag=tag, minor=minor): lying_bytecode(interpreter)}
    if is_anothers:
        lying = {name.replace("demo-1.0", "aaa-1.0"): text for name, text in lying.items()}
        wheels = [add("aaa", files=lying), add("demo", files=source)]
    else:
        wheels = [add("demo", files=source | lying)]
    built = await environments.ensure(lock_of(*wheels), interpreter=interpreter)
    site = built.folder / built.site_packages
    code = f"import sys; sys.path.insert(0, {str(site)!r}); import demo.who; print(demo.who.WHO)"
    for flags in (["-I"], ["-I", "-O"]):
        argv = [interpreter.executable, *flags, "-B", "-c", code]
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True)
        assert done.stdout == b"source\n"
    assert built.inventory.sourceless == ()


async def test_a_module_of_bytecode_alone_is_kept_and_told(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    files = {"demo/__init__.py": b"", "demo/who.pyc": lying_bytecode(interpreter)}
    built = await environments.ensure(lock_of(add("demo", files=files)), interpreter=interpreter)
    assert built.inventory.sourceless == (f"{built.site_packages}/demo/who.pyc",)


async def test_what_an_earlier_version_unpacked_with_its_bytecode_is_unpacked_anew(
    environments: Environments,
    add: Add,
    interpreter: Interpreter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag = f"cpython-{interpreter.soabi.split('-')[1]}"
    pyc = f"demo/__pycache__/who.{tag}.pyc"
    files = {"demo/__init__.py": b"", "demo/who.py": b"", pyc: lying_bytecode(interpreter)}
    demo = add("demo", files=files)
    house = environments.builder.wheelhouse
    with monkeypatch.context() as earlier:
        earlier.setattr("wheelhouse.unpacked.is_cached_bytecode", lambda _: False)
        unpack(house, demo)
    folder = unpacked_folder(house, demo)
    assert (folder / "site" / pyc).exists()
    unpack(house, demo)
    assert not (folder / "site" / pyc).exists() and (folder / "site/demo/who.py").exists()


async def test_two_wheels_with_the_same_file_are_laid_out_by_name_and_it_is_told(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    shared = {"tests/__init__.py": b"", "tests/which.py": b"A = 1\n"}
    first = add("a-first", files=shared)
    second = add("b-second", files={**shared, "tests/which.py": b"B = 2\n"})
    built = await environments.ensure(lock_of(second, first), interpreter=interpreter)
    which = built.folder / built.site_packages / "tests" / "which.py"
    assert which.read_bytes() == b"A = 1\n"
    overlaps = [(o.path, o.kept, o.left_out) for o in built.inventory.overlaps]
    assert overlaps[0] == (f"{built.site_packages}/tests/which.py", "a-first", "b-second")


async def test_a_wheel_that_was_damaged_after_unpacking_is_made_anew(
    environments: Environments, add: Add, interpreter: Interpreter, house: Wheelhouse
) -> None:
    demo = add("demo")
    await environments.ensure(lock_of(demo), interpreter=interpreter)
    altered = unpacked_folder(house, demo) / "site" / "demo.py"
    altered.chmod(0o644)
    altered.write_bytes(b"evil = True\n")
    other = await environments.ensure(lock_of(demo, add("other")), interpreter=interpreter)
    assert (other.folder / other.site_packages / "demo.py").read_bytes() == b"VERSION = '1.0'\n"


async def test_a_wheel_that_rotted_in_the_house_fails_the_build_and_leaves_nothing(
    environments: Environments, add: Add, interpreter: Interpreter, house: Wheelhouse
) -> None:
    demo = add("demo")
    house.path(demo).chmod(0o644)
    house.path(demo).write_bytes(b"PK and nothing more")
    with pytest.raises(EnvironmentFailed) as failed:
        await environments.ensure(lock_of(demo), interpreter=interpreter)
    assert [problem.code for problem in failed.value.problems] == ["corrupt-wheel"]
    assert [p for p in environments.root.iterdir() if p.name not in (".locks", ".leases")] == []


async def test_a_lock_whose_wheel_is_gone_says_which(
    environments: Environments, add: Add, interpreter: Interpreter, house: Wheelhouse
) -> None:
    demo = add("demo")
    house.remove(demo)
    with pytest.raises(EnvironmentFailed) as failed:
        await environments.ensure(lock_of(demo), interpreter=interpreter)
    assert "demo" in failed.value.problems[0].what


async def test_progress_is_told_as_it_is_made(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    said: list[Report] = []
    lock = lock_of(add("demo"), add("other"))
    await environments.ensure(lock, interpreter=interpreter, observe=said.append)
    steps = [report.data["data"] for report in said]
    told = [(s["step"], s["done"], s["total"], s["unit"]) for s in steps]  # type: ignore[index,call-overload]
    assert told[:2] == [("unpack", 1, 2, "wheels"), ("unpack", 2, 2, "wheels")]
    assert told[-1][0] == "link"


def uv_environment(folder: Path, wheels: Sequence[Path], interpreter: Interpreter) -> Path:
    """Return what `uv venv` and `uv pip sync` make of `wheels`."""
    uv, python = find_uv_bin(), str(interpreter.executable)
    plain = ["--no-config", "--offline", "--cache-dir", str(folder / "cache"), "-q"]
    subprocess.run(
        [uv, "venv", *plain, "--relocatable", "--python", python, str(folder / "env")], check=True
    )
    listing = folder / "requirements.txt"
    listing.write_text("".join(f"{path}\n" for path in wheels))
    argv = [uv, "pip", "install", *plain, "--no-deps", "--no-index", "-r", str(listing)]
    subprocess.run([*argv, "--python", str(folder / "env" / "bin" / "python")], check=True)
    return folder / "env"


def contents(root: Path) -> dict[str, bytes | str]:
    """Return what matters of an environment, file by file."""
    own = ("INSTALLER", "REQUESTED", "RECORD", "uv_cache.json", "direct_url.json")
    unlike = (
        *own,
        "environment.json",
        "pylock.toml",
        "pyvenv.cfg",
        "CACHEDIR.TAG",
        ".gitignore",
        ".lock",
    )
    found: dict[str, bytes | str] = {}
    for path in every_file(root):
        name = str(path.relative_to(root))
        is_activation = name.startswith(("bin/activate", "bin/deactivate", "bin/pydoc"))
        if path.name in unlike or "__pycache__" in name or is_activation:
            continue
        found[name] = str(path.readlink()) if path.is_symlink() else path.read_bytes()
    found.pop("bin/python", None)
    found.pop("lib64", None)
    return found


def every_file(root: Path) -> Iterator[Path]:
    """Yield files, and links that are none to folders; links to shared folders are followed."""
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if name != "lib64"]
        yield from (Path(folder, name) for name in names)


RICH = {
    "demo/__init__.py": b"def main():\n    print('hello')\n",
    "demo/inner/data.bin": bytes(range(256)),
    "demo-1.0.data/scripts/tool": b"#!python\nprint('tool')\n",
    "demo-1.0.data/scripts/shell": b"#!/bin/sh\necho shell\n",
    "demo-1.0.data/data/share/demo/notes.txt": b"notes",
    "demo-1.0.data/data/etc/demo.conf": b"a = 1\n",
    "demo-1.0.data/purelib/extra.py": b"Y = 2\n",
    "demo-1.0.data/platlib/native/__init__.py": b"Z = 3\n",
    "demo-1.0.data/headers/demo.h": b"#define DEMO\n",
}


async def test_an_environment_is_what_uv_would_have_installed(
    environments: Environments, house: Wheelhouse, interpreter: Interpreter, tmp_path: Path
) -> None:
    """The contract with the installer that we do not call: same files, same bytes."""
    points = "[console_scripts]\ndemo = demo:main\n[gui_scripts]\ndemo-gui = demo:main.run\n"
    paths = [
        make_wheel(tmp_path, "demo", files=RICH, entry_points=points),
        make_wheel(tmp_path, "other", "2.0"),
    ]
    wheels = [house.add(path, origin=UPLOADED) for path in paths]
    built = await environments.ensure(lock_of(*wheels), interpreter=interpreter)
    theirs = contents(uv_environment(tmp_path / "uv", paths, interpreter))
    ours = contents(built.folder)
    assert sorted(ours) == sorted(theirs)
    assert ours == theirs


async def test_its_scripts_and_its_python_work_from_outside_a_cell_too(
    environments: Environments, add: Add, interpreter: Interpreter
) -> None:
    points = "[console_scripts]\ndemo = demo:main\n"
    built = await environments.ensure(
        lock_of(add("demo", files=RICH, entry_points=points)), interpreter=interpreter
    )
    assert said_by([str(built.folder / "bin" / "demo")]) == "hello\n"
    code = "import sys, importlib.metadata as m; print(sys.prefix, m.version('demo'))"
    told = said_by([str(built.folder / "bin" / "python"), "-c", code])
    assert told.split() == [str(built.folder), "1.0"]


def said_by(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def pyenv(tmp_path: Path) -> Path:
    """A pyenv that has these Pythons, and has selected none of them."""
    told = {"prefix": "/", "soabi": "cpython-399-x86_64-linux-gnu"}
    for version in ("3.99.2", "3.99.10", "3.99-dev"):
        python = tmp_path / "versions" / version / "bin/python3.99"
        python.parent.mkdir(parents=True)
        answer = json.dumps({**told, "executable": str(python), "version": version})
        python.write_text(f"#!/bin/sh\necho '{answer}'\n")
        python.chmod(0o755)
    return tmp_path


def test_a_python_that_cannot_be_asked_hides_no_other(
    pyenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*_: object, **__: object) -> Iterator[object]:
        yield SimpleNamespace(system_executable=sys.executable)
        raise RuntimeError("failed to query python3.13 with code 22 err: 'Invalid argument'")

    monkeypatch.setattr("python_discovery.iter_interpreters", found)
    there = every(env={"PYENV_ROOT": str(pyenv)})
    assert there[0] == running()
    assert [one.version for one in there[1:]] == ["3.99.10", "3.99.2"]


def test_a_python_that_pyenv_has_is_found_though_it_is_not_selected(pyenv: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PYENV_ROOT": str(pyenv)}
    assert discover("==3.99.*", env=env).version == "3.99.10"
    assert discover("==3.99.2", env=env).version == "3.99.2"
    with pytest.raises(NoInterpreter):
        discover("==3.99.5", env=env)


def test_every_python_is_found_beside_a_thousand_connections(tmp_path: Path) -> None:
    """Discovery waits for its children by select(2), which knows 1,024 descriptors."""
    python = tmp_path / "python3.12"
    started = tmp_path / "started"
    python.write_text(f'#!/bin/sh\n: > {started}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        every(env={"PATH": str(tmp_path)})
        assert started.exists()
    finally:
        for one in opened:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_shim_of_pyenv_is_started(pyenv: Path) -> None:
    """Each is a shell script that looks for what `versions` has: six of them took 2.5 s."""
    shim, started = pyenv / "shims/python3.12", pyenv / "started"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\n: > {started}\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    every(env={"PATH": f"{pyenv}/elsewhere:{shim.parent}/", "PYENV_ROOT": str(pyenv)})
    assert not started.exists()
    shim.parent.rename(pyenv / "elsewhere")  # a folder like any other is looked into
    every(env={"PATH": f"{pyenv}/elsewhere", "PYENV_ROOT": str(pyenv)})
    assert started.exists()
