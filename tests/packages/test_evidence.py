"""What is known about an environment: its bill of materials, licences and advisories."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cyclonedx.schema
import jsonschema_rs
import pytest

from packages.bundle.requirements import Requirements
from packages.environment.environment import Environments
from packages.environment.sbom import sbom, touching
from packages.errors import LockFailed
from packages.lock.grant import Grant
from packages.lock.locker import Locker
from packages.lock.policy import LockPolicy
from sandbox.command import Interpreter
from wheelhouse.advisories.advisories import Advisories
from wheelhouse.store import Wheel

type Add = Callable[..., Wheel]
type Wants = Callable[[str], Requirements]


SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


def published(uri: str) -> object:
    """Return the schema that `uri` names, as the library ships it."""
    return json.loads((SCHEMAS / uri.rpartition("/")[2]).read_text())


def faults_of(bom: object) -> list[str]:
    """Return what CycloneDX's own schema has against `bom`."""
    schema = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema, retriever=published)
    return [error.message for error in validator.iter_errors(bom)]


@pytest.fixture
def advisories(tmp_path: Path) -> Advisories:
    """A snapshot with one advisory against demo 1.0."""
    folder = tmp_path / "osv"
    folder.mkdir()
    affected = {
        "package": {"ecosystem": "PyPI", "name": "demo"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
    }
    told = {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "leaks", "affected": [affected]}
    (folder / "one.json").write_text(json.dumps(told))
    known = Advisories(tmp_path / "advisories")
    known.import_snapshot(folder, at=datetime(2026, 11, 1, tzinfo=UTC))
    return known


async def test_a_bill_of_materials_is_valid_and_the_same_each_time(
    locker: Locker,
    environments: Environments,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
    advisories: Advisories,
) -> None:
    demo = add("demo", headers=["License-Expression: MIT"])
    add("other", requires=["demo"], headers=["License: Some own licence"])
    locking = await locker.lock(wants("other"), interpreter=interpreter, grant=closed)
    built = await environments.ensure(locking.lock, interpreter=interpreter)
    known = touching(built.inventory, advisories)
    text = sbom(built.inventory, name="sheet", version="2.0", advisories=known)
    assert faults_of(json.loads(text)) == []
    again = sbom(built.inventory, name="sheet", version="2.0", advisories=known)
    assert text == again
    told = json.loads(text)
    components = {c["name"]: c for c in told["components"]}
    assert set(components) == {"cpython", "demo", "other"}
    assert components["demo"]["hashes"][0]["content"] == demo.hex_digest
    assert components["demo"]["licenses"] == [{"expression": "MIT"}]
    assert components["other"]["licenses"] == [{"license": {"name": "Some own licence"}}]
    assert components["demo"]["purl"].startswith("pkg:pypi/demo@1.0")
    assert [v["id"] for v in told["vulnerabilities"]] == ["PYSEC-1"]


async def test_an_advisory_warns_or_refuses_as_the_admin_says(
    locker: Locker,
    add: Add,
    wants: Wants,
    interpreter: Interpreter,
    closed: Grant,
    advisories: Advisories,
) -> None:
    add("demo", "1.0")
    warning = replace(locker, advisories=advisories)
    locking = await warning.lock(wants("demo"), interpreter=interpreter, grant=closed)
    assert [(p.code, p.where) for p in locking.warnings] == [("known-vulnerability", "demo")]
    refusing = replace(warning, policy=LockPolicy(advisories="refuse"))
    with pytest.raises(LockFailed) as failed:
        await refusing.lock(wants("demo"), interpreter=interpreter, grant=closed)
    (problem,) = failed.value.problems
    assert "PYSEC-1 (CVE-1): leaks" in problem.what
    assert problem.mend.startswith("ask for demo>=1.1")
    add("demo", "1.1")
    locking = await refusing.lock(wants("demo"), interpreter=interpreter, grant=closed)
    assert locking.warnings == ()
