"""`fumehood job prompt|answer`: what a job asks, and the answer to it."""

import json
from typing import Annotated, Any

import typer

from runtime.cli.client import connected
from runtime.cli.input.arguments import JobId
from runtime.cli.jobs.following import exit_as, to_the_end
from runtime.cli.output.job_text import job_facts
from runtime.cli.output.printing import AsJson, as_text, emit, facts
from runtime.client.around import answer_job, get_prompt

FACTS = ("key", "prompt", "schema", "fallback", "asked_at", "expires_at")


def prompt(job_id: JobId, *, as_json: AsJson = False) -> None:
    """Show what a job asks, what an answer has to be, and until when it waits."""
    with connected() as client:
        found = client.ask(get_prompt(job_id))
    emit(found, as_json=as_json, show=_text)


def _text(found: Any) -> str:
    told = {**found, "schema": as_text(found["answer_schema"])}
    return facts(told, names=FACTS)


def answer(
    job_id: JobId,
    text: Annotated[str, typer.Argument(help="JSON; what is none is taken as text.")],
    key: Annotated[
        str | None, typer.Option(help="The key of the question; the open one by default.")
    ] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer what a job asks: it runs again with the answer at hand."""
    with connected() as client:
        asked = key or client.ask(get_prompt(job_id))["key"]
        job: Any = client.ask(answer_job(job_id, key=asked, answer=_value(text)))
        if wait:
            job = to_the_end(client, job_id)
    emit(job, as_json=as_json, show=job_facts)
    exit_as(job, waited=wait)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
