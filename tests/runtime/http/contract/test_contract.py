"""What the description of the API says is so: schemathesis holds every operation to it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from support.wheels import pack_wheel, wheel_files

from runtime.access.operations import OPERATIONS

from ...conftest import Server, running, zipped

HERE = Path(__file__).parent
SCHEMATHESIS = Path(sys.executable).with_name("st")
MANIFEST = {"schema": 1, "name": "hello", "version": "1.0", "title": "Counts words"}


type Told = dict[str, str]
"""What is there for schemathesis to find, as its configuration names it."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Told]]:
    """A server that nobody else uses, since everything is done to it; with one of each kind."""
    folder = tmp_path_factory.mktemp("contract")
    with running(folder / "home", wrong_tokens_per_minute="1000000") as server:
        changes = {"manifest.json": json.dumps(MANIFEST)}
        assert server.activate(zipped("counts-words", changes=changes))["state"] == "succeeded"
        job = server.submit("hello", files={"a.txt": b"one two"}).json()["id"]
        server.ended(job)
        wheels = [added_wheel(server, folder, version=version) for version in ("1.0", "2.0")]
        with server.as_(server.token_for("viewer")) as viewer:
            other = viewer.get("/v1/me").json()["principal"][6:]
        yield (
            server,
            {
                "CONTRACT_JOB": job,
                "CONTRACT_TOKEN_NAME": server.http.get("/v1/me").json()["principal"][6:],
                "CONTRACT_OTHER_TOKEN": other,
                "CONTRACT_KEPT_WHEEL": wheels[0],
                "CONTRACT_WHEEL": wheels[1],
            },
        )


def added_wheel(server: Server, folder: Path, *, version: str) -> str:
    """Put a wheel into the house; return its digest."""
    filename = f"greetings-{version}-py3-none-any.whl"
    wheel = pack_wheel(folder, filename, wheel_files("greetings", version))
    added = server.http.post(
        "/v1/wheelhouse/wheels", files={"wheel": (filename, wheel.read_bytes())}
    )
    return added.raise_for_status().json()["sha256"]


def conformance(server: Server, told: Told, *options: str) -> subprocess.CompletedProcess[str]:
    """Let schemathesis loose on the server; return what came of it."""
    environ = {**told, "PYTHONPATH": str(HERE)}
    description = server.home.parent / "openapi.json"
    description.write_text(server.http.get("/openapi.json").text)
    config = HERE / "schemathesis.toml"
    return subprocess.run(
        [SCHEMATHESIS, "--config-file", config, "run", description, "--url", server.url, *options],
        cwd=server.home.parent,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_operation_does_what_its_description_says(described: tuple[Server, Told]) -> None:
    server, told = described
    done = conformance(server, told, "--header", f"Authorization: Bearer {server.token}")
    assert done.returncode == 0, done.stdout
    found = re.search(r"Tested: (\d+)", done.stdout)
    assert found and int(found[1]) == len(OPERATIONS), done.stdout
    assert "unresolvable" not in done.stdout.lower(), done.stdout


def test_without_a_token_too(described: tuple[Server, Told]) -> None:
    server, told = described
    done = conformance(server, told, "--phases", "examples,fuzzing", "--max-examples", "4")
    assert done.returncode == 0, done.stdout


def test_every_operation_has_a_name_and_an_example_that_fits(
    described: tuple[Server, Told],
) -> None:
    server, _ = described
    description = server.http.get("/openapi.json").json()
    ids: list[str] = []
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            whose = f"{method.upper()} {path}"
            for example, schema in examples(operation):
                judge = jsonschema_rs.validator_for(
                    schema | {"components": description["components"]}
                )
                assert judge.is_valid(example), (whose, example, next(judge.iter_errors(example)))
            assert has_example(operation), whose
    assert len(set(ids)) == len(ids) == len(OPERATIONS)


def examples(operation: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each example of an operation, with the schema that it has to fit."""
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            yield parameter["example"], parameter["schema"]
    contents = [operation.get("requestBody", {}).get("content", {})]
    contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for content in contents:
        for media_type, one in content.items():
            if "example" in one and media_type == "application/json":
                yield one["example"], one.get("schema", {})


def has_example(operation: Mapping[str, Any]) -> bool:
    """Return whether an answer that is not empty, or else a parameter, has an example."""
    answers = [
        one
        for status, answer in operation["responses"].items()
        if status.startswith("2") and status != "206"
        for one in answer.get("content", {}).values()
    ]
    shown = answers or [one for one in operation["parameters"] if one["in"] == "path"]
    return any("example" in one for one in shown)
