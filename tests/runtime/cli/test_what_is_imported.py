"""What a command imports before it begins: a process that starts late waits for nothing else."""

import json
import subprocess
import sys

import pytest


def imported_by(*modules: str) -> set[str]:
    """Return the distributions' and rooms' modules that importing `modules` brings along."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("begun", "late"),
    [
        ("runtime.cli.main", {"importlib.metadata", "asyncio", "pydantic"}),
        ("runtime.cli.packages.try_", {"pydantic", "sqlalchemy", "runtime.settings"}),
        ("runtime.appliance.throwaway", {"sqlalchemy", "runtime.store", "packages.preparation"}),
    ],
    ids=["a command", "its judge", "its sandbox"],
)
def test_what_a_try_begins_with_waits_for_no_import_that_comes_later(
    begun: str, late: set[str]
) -> None:
    brought = imported_by(begun) - imported_by("sys")  # the suite's own hooks import, too
    assert not brought & late


UNUSED = {
    *("alembic", "asyncpg", "cryptography", "docket", "fastapi", "httpx2", "jinja2", "joserfc"),
    *("jsonschema_rs", "obstore", "opentelemetry", "python_discovery", "redis", "rich", "uvicorn"),
}
"""Distributions that a try of a bundle without requirements has no use for."""


def test_a_try_imports_nothing_that_it_never_uses() -> None:
    brought = imported_by("runtime.cli.packages.try_", "runtime.appliance.trial")
    assert not {one.partition(".")[0] for one in brought} & UNUSED
