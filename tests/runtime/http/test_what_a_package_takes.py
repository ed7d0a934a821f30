"""A package says which inputs and parameters it takes; other jobs are refused at the door."""

import json
from typing import Any

import pytest

from ..conftest import Server, zipped

SCHEMA = {
    "type": "object",
    "properties": {
        "pages": {"type": "integer", "minimum": 1, "maximum": 9},
        "code": {"type": "string", "pattern": "^(a+)+$"},
    },
    "required": ["pages"],
    "additionalProperties": False,
}


def bundle(name: str, **fields: Any) -> bytes:
    manifest = {"schema": 1, "name": name, "version": "1.0", **fields}
    return zipped("counts-words", changes={"manifest.json": json.dumps(manifest)})


@pytest.fixture(scope="module")
def picky(server: Server) -> Server:
    content = bundle("picky", accepts=["text/*", "application/pdf"], parameters=SCHEMA)
    activation = server.activate(content)
    assert activation["state"] == "succeeded", activation
    return server


def faults(server: Server, **given: Any) -> dict[str, str]:
    answer = server.submit("picky", **given)
    assert answer.status_code == 422, answer.text
    return {problem["where"]: problem["code"] for problem in answer.json()["problems"]}


def test_a_job_that_is_as_the_package_asks_is_taken(picky: Server):
    assert picky.submit("picky", pages=3).status_code == 202
    assert picky.submit("picky", files={"a.txt": b"one"}, pages=3).status_code == 202
    assert picky.submit("picky", files={"a.pdf": b"%PDF"}, pages=3).status_code == 202


def test_an_input_of_another_type_is_refused_by_name(picky: Server):
    assert faults(picky, files={"a.png": b"x", "b.txt": b"y"}, pages=1) == {"a.png": "input-type"}
    assert faults(picky, files={"a": b"x"}, pages=1) == {"a": "input-type"}


def test_parameters_are_held_against_the_schema_each_fault_with_its_place(picky: Server):
    assert faults(picky) == {"parameters#": "parameter"}
    assert faults(picky, pages="three") == {"parameters#/pages": "parameter"}
    told = faults(picky, pages=10, code="b", colour="red")
    assert told == {
        "parameters#": "parameter",
        "parameters#/pages": "parameter",
        "parameters#/code": "parameter",
    }


def test_a_pattern_that_explodes_elsewhere_takes_no_time_here(picky: Server):
    assert faults(picky, pages=1, code="a" * 5_000 + "!") == {"parameters#/code": "parameter"}


def test_a_schema_of_many_steps_is_ended_by_its_budget_and_not_by_us(server: Server):
    defs: dict[str, Any] = {"n0": {"type": "object"}}
    for n in range(1, 40):
        defs[f"n{n}"] = {"allOf": [{"$ref": f"#/$defs/n{n - 1}"}, {"$ref": f"#/$defs/n{n - 1}"}]}
    schema = {"$ref": "#/$defs/n39", "$defs": defs}
    activation = server.activate(bundle("doubling", parameters=schema))
    assert activation["state"] == "succeeded", activation
    answer = server.submit("doubling")
    assert answer.status_code == 422
    assert [problem["code"] for problem in answer.json()["problems"]] == ["too-costly"]


def test_the_schema_is_shown_with_the_version(picky: Server):
    version = picky.http.get("/v1/packages/picky/versions/1.0").json()
    assert version["manifest"]["parameters"] == SCHEMA


@pytest.mark.parametrize(
    ("schema", "code", "place"),
    [
        ({"$ref": "https://example.com/s.json"}, "remote-schema", "/$ref"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "remote-schema", "/items/$ref"),
        ({"$dynamicRef": "other.json"}, "remote-schema", "/$dynamicRef"),
        ({"type": "strong"}, "bad-schema", "/type"),
        ({"pattern": "("}, "bad-schema", "/pattern"),
        ({"$ref": "#/$defs/none"}, "bad-schema", ""),
    ],
)
def test_a_schema_that_cannot_be_held_against_anything_is_refused_with_the_bundle(
    server: Server, schema: dict[str, Any], code: str, place: str
):
    answer = server.http.post("/v1/packages", content=bundle("bad-schema", parameters=schema))
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert (problem["code"], problem["where"]) == (code, f"manifest.json#/parameters{place}")
