"""Finds the Pythons of this host, as base installations, by `requires_python`.

The Python that runs the appliance is preferred where it fits: it is there, and its
bytecode has been compiled before.
"""

import json
import logging
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import chain
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from packages.errors import NoInterpreter
from packages.tools import INTERPRETER, bounded
from sandbox.command import Interpreter
from wheelhouse.metadata.target import Target, make_target
from wheelhouse.problem import Problem

MOST_FOR_SELECT = 900
"""select(2) knows descriptors below 1,024; an appliance has one for each connection."""
DISCOVER = (
    "import json, sys; from python_discovery import iter_interpreters as found; "
    "env = json.load(sys.stdin); "
    "print(json.dumps([one.system_executable for one in found('cpython', env=env)]))"
)
SLOWEST_START_S = 30
log = logging.getLogger("fumehood.interpreters")
FINAL = re.compile(r"3\.\d+\.\d+")
OLDEST = Version("3.9")
"""What runs inside the walls needs no newer Python."""


def running() -> Interpreter:
    """Return the base interpreter of the Python that runs this."""
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return Interpreter(
        executable=executable,
        prefix=Path(sys.base_prefix),
        version=platform.python_version(),
        soabi=str(sysconfig.get_config_var("SOABI") or ""),
    )


def discover(requires_python: str = "", *, env: Mapping[str, str] | None = None) -> Interpreter:
    """Return a Python of this host that `requires_python` accepts. Raises NoInterpreter.

    `env` gives the PATH to look along; the process's own by default.
    """
    wanted = SpecifierSet(requires_python)
    own = running()
    if wanted.contains(own.version, prereleases=True):
        return own
    tried = [own.version]
    for found in _others(env):
        tried.append(found.version)
        if wanted.contains(found.version, prereleases=True):
            return found
    raise NoInterpreter(_missing(requires_python, tried))


def every(*, env: Mapping[str, str] | None = None) -> list[Interpreter]:
    """Return each Python of this host once, the appliance's own first."""
    own = running()
    others = {found.executable: found for found in _others(env)}
    return [own, *(found for path, found in others.items() if path != own.executable)]


def as_here(wanted: Interpreter) -> Interpreter:
    """Return the Python of this host that is `wanted`, as another host has described it.

    The same one where it is in the same place; else one of the same minor version and ABI, of
    the same patch release where there is one. Raises NoInterpreter.
    """
    if wanted.executable.is_file():
        return wanted
    alike = [one for one in every() if one.soabi == wanted.soabi]
    if not alike:
        raise NoInterpreter(_missing(f"=={wanted.version}", [one.version for one in every()]))
    return next((one for one in alike if one.version == wanted.version), alike[0])


def describe(executable: Path) -> Interpreter:
    """Return the base interpreter of the Python at `executable`, by asking it.

    Raises OSError or subprocess.SubprocessError where it does not run.
    """
    question = resources.files("packages").joinpath("inside", "describe.py").read_text("utf-8")
    argv = [str(executable), "-I", "-S", "-c", question]
    asked = subprocess.run(
        argv,
        capture_output=True,
        check=True,
        timeout=SLOWEST_START_S,
        env={},
        preexec_fn=bounded(INTERPRETER),
    )
    told = json.loads(asked.stdout)
    return Interpreter(
        executable=Path(told["executable"]),
        prefix=Path(told["prefix"]),
        version=told["version"],
        soabi=told["soabi"],
    )


def cache_tag(interpreter: Interpreter) -> str:
    """Return the tag of the interpreter's .pyc files, such as cpython-312.

    A pre-release may change its bytecode from one to the next, so it has a tag of its own.
    """
    plain = "-".join(interpreter.soabi.split("-")[:2]).rstrip("tdm")
    is_final = all(part.isdigit() for part in interpreter.version.split("."))
    return plain if is_final else f"{plain}-{interpreter.version}"


def target_of(interpreter: Interpreter) -> Target:
    """Return what `interpreter` accepts on this machine."""
    tag = interpreter.soabi.split("-")
    abi = f"cp{tag[1]}" if len(tag) > 1 and tag[0] == "cpython" else ""
    return make_target(interpreter.version, abi=abi, platform=platform_of(interpreter))


def abi_of(interpreter: Interpreter) -> str:
    """Return the version and ABI that `interpreter` has, such as cpython-312 or cpython-313t."""
    return "-".join(interpreter.soabi.split("-")[:2])


def platform_of(interpreter: Interpreter) -> str:
    """Return the platform that `interpreter` was built for, such as x86_64-linux-gnu."""
    return interpreter.soabi.partition("-")[2].partition("-")[2] or platform.machine()


def _others(env: Mapping[str, str] | None) -> Iterator[Interpreter]:
    """Yield what discovery finds and what runs, as base installations, in its order."""
    for path in chain(_discovered(env), _of_pyenv(os.environ if env is None else env)):
        if path:
            try:
                yield describe(Path(path))
            except (OSError, subprocess.SubprocessError, ValueError, KeyError):
                continue


def _discovered(env: Mapping[str, str] | None) -> Iterator[str | None]:
    """Yield what discovery finds, until it gives up: one Python that does not run ends it."""
    # Here, since the Python that runs us fits nearly always, and then no other is looked for.
    from python_discovery import iter_interpreters  # noqa: PLC0415

    looked_in = _without_shims(os.environ if env is None else env)
    try:
        if _has_many_files_open():
            yield from _discovered_apart(looked_in)
            return
        found = iter_interpreters("cpython", env=looked_in)
        yield from (one.system_executable for one in found)
    except (RuntimeError, OSError):
        log.warning("not every Python of this host was looked at", exc_info=True)


def _has_many_files_open() -> bool:
    """Return whether discovery could not wait for a child here: it does so by select(2)."""
    lowest_free = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.close(lowest_free)
    return lowest_free > MOST_FOR_SELECT


def _discovered_apart(env: Mapping[str, str]) -> list[str]:
    """Return what discovery finds from a process that has nothing open yet."""
    asked = subprocess.run(
        [sys.executable, "-I", "-c", DISCOVER],
        input=json.dumps(dict(env)),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise RuntimeError(asked.stderr)
    return json.loads(asked.stdout)


def _without_shims(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` without the folder of pyenv's shims on its PATH.

    Each is a shell script that looks for the Python that it stands for (2.9 s for a worker with six
    Pythons, where it were 0.4 s), and all that it may find is below `versions`, too.
    """
    shims = str(_pyenv_root(env) / "shims")
    places = env.get("PATH", "").split(os.pathsep)
    kept = [one for one in places if one.rstrip("/") != shims]
    return {**env, "PATH": os.pathsep.join(kept)}


def _pyenv_root(env: Mapping[str, str]) -> Path:
    return Path(env.get("PYENV_ROOT") or f"{env.get('HOME', '')}/.pyenv")


def _of_pyenv(env: Mapping[str, str]) -> list[str]:
    """Return every CPython that pyenv has, newest first; discovery sees the selected ones only."""
    found: list[tuple[Version, str]] = []
    for folder in (_pyenv_root(env) / "versions").glob("3.*"):
        if FINAL.fullmatch(folder.name):
            version = Version(folder.name)
            found.append((version, f"{folder}/bin/python{version.major}.{version.minor}"))
    return [path for version, path in sorted(found, reverse=True) if version >= OLDEST]


def _missing(requires_python: str, tried: list[str]) -> Problem:
    found = ", ".join(dict.fromkeys(tried))
    return Problem(
        code="wrong-python",
        what=f"requires_python is {requires_python}; this host has Python {found}",
        where="manifest.json#/requires_python",
        mend="install such a Python on each worker (`uv python install`), or widen requires_python",
    )
