"""What a package says of the jobs it takes: media types of inputs, and a schema for parameters.

The schema is an author's and the parameters are a client's, so the one is held against the other
in a judge (a schema of 30 lines can take 2**30 steps), never in the appliance itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, cast

from pydantic import TypeAdapter

from packages.bundle.manifest_faults import FILE
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.judgement import Judgement
from wheelhouse.problem import Problem, first_problems, shown

PLACE = f"{FILE}#/parameters"
MOST_SCHEMA_CHARS = 64 * 1024
MOST_DEPTH = 32
MOST_TOLD = 20
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
PARAMETERS = Judgement(
    target="packages.bundle.orders:judge_parameters",
    returns=TypeAdapter(bool),
    budget=Budget(cpu_s=2, wall_s=20.0, memory_mb=1024, file_mb=1),
)
"""Whether parameters are what the manifest's schema asks for."""

ANSWER = Judgement(
    target="packages.bundle.orders:judge_answer",
    returns=TypeAdapter(bool),
    budget=Budget(cpu_s=2, wall_s=20.0, memory_mb=1024, file_mb=1),
)
"""Whether an answer is what the question's schema asks for."""


def judge_inputs(
    inputs: Iterable[tuple[str, str]], *, accepts: tuple[str, ...]
) -> tuple[Problem, ...]:
    """Return a problem for each input, (name, media type), that the package does not accept.

    >>> [p.where for p in judge_inputs([("a.csv", "text/csv")], accepts=("image/*",))]
    ['a.csv']
    """
    if not accepts:
        return ()
    return first_problems(
        _unaccepted(name, media_type, accepts)
        for name, media_type in inputs
        if not any(fnmatchcase(_bare(media_type), pattern) for pattern in accepts)
    )


def _bare(media_type: str) -> str:
    """Return a media type without its parameters, such as a charset (RFC 9110, 8.3.1)."""
    return media_type.partition(";")[0].strip().lower()


def _unaccepted(name: str, media_type: str, accepts: tuple[str, ...]) -> Problem:
    return Problem(
        code="input-type",
        what=f"{shown(name)} is {shown(media_type)}; the package accepts {', '.join(accepts)}",
        where=shown(name),
        mend="send a file of such a type, or name its type where it is sent",
    )


def judge_schema(schema: Mapping[str, Any]) -> list[Problem]:
    """Return what keeps `schema` from being one that parameters can be held against."""
    if len(json.dumps(schema)) > MOST_SCHEMA_CHARS:
        what = f"it has more than {MOST_SCHEMA_CHARS} characters"
        return [_fault("too-large", what, PLACE, "make it smaller")]
    problems = list(_judge_references(schema, "", 0))
    return problems or _judge_form(schema)


def _judge_references(part: object, place: str, depth: int) -> Iterator[Problem]:
    """Yield what leads out of the schema; nothing is ever fetched for it."""
    if depth > MOST_DEPTH:
        what = f"it is nested deeper than {MOST_DEPTH}"
        yield _fault("too-large", what, f"{PLACE}{place}", "make it flatter")
        return
    if isinstance(part, dict):
        for name, value in cast("dict[str, object]", part).items():
            if name in REFERENCES and isinstance(value, str) and not value.startswith("#"):
                what = f"{name} leads out of the manifest: {shown(value)}"
                mend = "put that schema below $defs, and write #/$defs/NAME"
                yield _fault("remote-schema", what, f"{PLACE}{place}/{name}", mend)
            yield from _judge_references(value, f"{place}/{shown(name)}", depth + 1)
    elif isinstance(part, list):
        for at, value in enumerate(cast("list[object]", part)):
            yield from _judge_references(value, f"{place}/{at}", depth + 1)


def _judge_form(schema: Mapping[str, Any]) -> list[Problem]:
    jsonschema_rs = __import__("jsonschema_rs")  # a judge has it, whoever imports this may not
    try:
        _validator(schema)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{part}" for part in error.instance_path)
        mend = "make it a JSON Schema (draft 2020-12)"
        return [_fault("bad-schema", shown(error.message, most=300), f"{PLACE}{place}", mend)]
    except (ValueError, TypeError) as error:
        what = shown(str(error), most=300)
        return [_fault("bad-schema", what, PLACE, "make it a JSON Schema (draft 2020-12)")]
    return []


def _validator(schema: Mapping[str, Any]) -> Any:
    """Return what validates by `schema`: patterns in linear time, and nothing fetched."""
    jsonschema_rs = __import__("jsonschema_rs")
    return jsonschema_rs.Draft202012Validator(
        dict(schema), retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
    )


def _refuse(uri: str) -> object:
    raise ValueError(f"{uri} is not in the manifest")


def judge_parameters(
    parameters: Mapping[str, Any], *, schema: Mapping[str, Any]
) -> tuple[bool, list[Problem]]:
    """Hold `parameters` against a judged `schema`, in a judge; return every fault."""
    errors = _validator(schema).iter_errors(dict(parameters))
    found = first_problems(map(_unfit, errors), most=MOST_TOLD)
    return not found, list(found)


def judge_answer(answer: Any, *, schema: Mapping[str, Any]) -> tuple[bool, list[Problem]]:
    """Hold an answer against the schema of a question, in a judge; return every fault.

    The schema came out of a run, so it is judged too; where it is none, nothing fits it.
    """
    if problems := judge_schema(schema):
        return False, [
            _fault(one.code, f"the question's schema: {one.what}", "answer", one.mend)
            for one in problems
        ]
    errors = _validator(schema).iter_errors(answer)
    found = first_problems(map(_unfit_answer, errors), most=MOST_TOLD)
    return not found, list(found)


def _unfit_answer(error: Any) -> Problem:
    place = "".join(f"/{part}" for part in error.instance_path)
    return _fault(
        "answer",
        shown(error.message, most=300),
        shown(f"answer{place}", most=200),
        "send what the question's schema asks for (`fumehood job prompt ID`)",
    )


def _unfit(error: Any) -> Problem:
    place = "".join(f"/{part}" for part in error.instance_path)
    return Problem(
        code="parameter",
        what=shown(error.message, most=300),
        where=shown(f"parameters#{place}", most=200),
        mend="send what the package's manifest asks for (`fumehood package show NAME VERSION`)",
    )


def _fault(code: str, what: str, where: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=where, mend=mend)
