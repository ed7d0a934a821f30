"""The client has every operation and every view of the API, with and without asyncio."""

import importlib
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.access.operations import OPERATIONS
from runtime.client import around, operations, views, views_around, when, when_views
from runtime.client.client import AsyncClient, Client, Refused, Unreachable
from runtime.client.operations import Call, Input

from ..conftest import Server

MODULES = (operations, around, when)
NOT_FOR_PROGRAMS = {one for one in OPERATIONS if one.startswith("GET /simple/")}
"""What pip and uv ask."""
PLAIN = {"path_at", "given", "dataclass", "field"}
"""What is a function of those modules, and no operation."""


def builders() -> dict[str, Callable[..., Call[Any]]]:
    found = [pair for one in MODULES for pair in inspect.getmembers(one, inspect.isfunction)]
    return {name: one for name, one in found if not name.startswith("_") and name not in PLAIN}


def called(build: Callable[..., Call[Any]]) -> Call[Any]:
    """Return the call with a mark in each of its places."""
    needed = {
        name: "{x}"
        for name, one in inspect.signature(build).parameters.items()
        if one.default is inspect.Parameter.empty
    }
    return build(**needed)


def test_every_operation_has_a_function() -> None:
    there = {re.sub(r"{\w+}", "%7Bx%7D", one) for one in set(OPERATIONS) - NOT_FOR_PROGRAMS}
    calls = [called(build) for build in builders().values() if build.__name__ != "dataclass"]
    asked = {f"{one.method} {one.path}" for one in calls if isinstance(one, Call)}
    assert asked == there


def test_every_view_has_the_fields_that_the_description_tells(server: Server) -> None:
    described = server.http.get("/openapi.json").json()["components"]["schemas"]
    typed = {
        name: set(one.__annotations__)
        for module in (views, views_around, when_views)
        for name, one in vars(module).items()
        if inspect.isclass(one) and name in described
    }
    told = {name for name in described if name.endswith(("View", "Detail"))}
    assert told <= set(typed)
    for name, fields in typed.items():
        assert fields == set(described[name]["properties"]), name


def test_a_job_from_order_to_output(counting: Server) -> None:
    with Client(counting.url, token=counting.token) as client:
        sent = Input(name="a.txt", content=io.BytesIO(b"one two"), media_type="text/plain")
        job = client.ask(operations.submit_job("counts-words", inputs=[sent]))
        events = list(client.follow(job["id"]))
        assert events[-1]["event"] == "job.finished"
        output = next(iter(client.every(operations.list_outputs(job["id"]))))
        target = io.BytesIO()
        client.download(operations.get_output(job["id"], output["path"]), to=target)
        assert len(target.getvalue()) == output["size_bytes"]
        assert client.ask(operations.get_artifact(job["id"]))["state"] == "succeeded"
        assert len(list(client.every(around.list_jobs(), most=1))) == 1


async def test_the_same_with_asyncio(counting: Server) -> None:
    async with AsyncClient(counting.url, token=counting.token) as client:
        sent = Input(name="a.txt", content=io.BytesIO(b"one two"))
        job = await client.ask(operations.submit_job("counts-words", inputs=[sent]))
        events = [one async for one in client.follow(job["id"])]
        assert events[-1]["event"] == "job.finished"
        outputs = [one async for one in client.every(operations.list_outputs(job["id"]))]
        target = io.BytesIO()
        await client.download(operations.get_output(job["id"], outputs[0]["path"]), to=target)
        assert len(target.getvalue()) == outputs[0]["size_bytes"]
        with pytest.raises(Refused) as refused:
            await client.ask(operations.upload_package(io.BytesIO(b"no zip")))
        assert (refused.value.status, refused.value.code) == (422, "bundle-refused")
        assert refused.value.problems[0]["mend"]


def test_a_refusal_says_why_and_a_missing_appliance_too(server: Server) -> None:
    with Client(server.url, token=server.token) as client:
        with pytest.raises(Refused) as refused:
            client.ask(operations.get_job("never-was"))
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        with pytest.raises(Refused):
            list(client.follow("never-was"))
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unreachable) as away:
        client.ask(operations.is_alive())
    assert away.value.is_away


def test_a_change_goes_with_the_tag_of_what_was_read(server: Server) -> None:
    with Client(server.url, token=server.token) as client:
        client.ask(operations.create_token("by-client", scopes=["viewer"]))
        seen = client.tagged(operations.show_token("by-client"))
        rotate = operations.rotate_token("by-client", if_match=seen.tag)
        assert client.ask(rotate)["token"].startswith("fmh_")
        with pytest.raises(Refused) as refused:
            client.ask(rotate)
        assert refused.value.code == "precondition-failed"


def test_it_imports_nothing_of_the_appliance_and_nobody_imports_it_early() -> None:
    code = "import sys; import {}; print(*(one for one in sys.modules))"
    for module, absent in [
        ("runtime.client.client", re.compile(r"^(runtime\.(?!client)|packages|sandbox|pydantic)")),
        ("runtime.cli.main", re.compile(r"^(runtime\.client|httpx2)")),
    ]:
        assert importlib.util.find_spec(module)
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        assert not [one for one in done.stdout.split() if absent.match(one)]
