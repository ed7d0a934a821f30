"""`fumehood top`: the appliance at a glance, anew each second."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from runtime.cli.client import connected
from runtime.cli.output.printing import AsJson, emit, harmless
from runtime.cli.output.remote_faults import RemoteFault
from runtime.cli.output.top_text import Sample, rates_between, top_text
from runtime.client.client import Client, Refused
from runtime.client.operations import get_gate, show_queue
from runtime.client.when import list_workers
from runtime.faults.errors import ServerUnreachable
from runtime.problem_table import EXIT_TRY_AGAIN
from runtime.values.clock import utc_now
from wheelhouse.times import rfc3339

EVERY_S = 1.0
AWAY = "not reachable, trying again"
FORBIDDEN = 403


def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one view, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show queue, workers, running jobs, rates and the gate, until Ctrl-C.

    With --once, with --json, or where stdout is no terminal, it is shown once.
    """
    if once or as_json or not sys.stdout.isatty():
        with connected() as client:
            emit(sample_of(client), as_json=as_json, show=top_text)
        return
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        for text in views(wait=time.sleep):
            live.update(Text(harmless(text)), refresh=True)


def sample_of(client: Client) -> Sample:
    """Return the appliance as it is now, as far as this token sees it."""
    return Sample(
        at=rfc3339(utc_now()),
        queue=client.ask(show_queue()),
        workers=_if_allowed(lambda: list(client.every(list_workers()))),
        gate=_if_allowed(lambda: client.ask(get_gate())),
        rates=None,
    )


def views(*, wait: Callable[[float], None]) -> Iterator[str]:
    """Yield a view for each second, without end; while nobody answers, the last one says so."""
    shown = ""
    while True:
        try:
            with connected() as client:
                for sample in _samples(client, wait=wait):
                    shown = top_text(sample)
                    yield shown
        except ServerUnreachable as fault:
            yield f"{fault.what}: {AWAY}\n\n{shown}"
        except RemoteFault as fault:
            if fault.fault.answer.exit_code != EXIT_TRY_AGAIN:
                raise
            yield f"{fault.fault.what}: {AWAY}\n\n{shown}"
        wait(EVERY_S)


def _samples(client: Client, *, wait: Callable[[float], None]) -> Iterator[Sample]:
    before: Sample | None = None
    while True:
        now = sample_of(client)
        if before is not None:
            now["rates"] = rates_between(before, now)
        yield now
        before = now
        wait(EVERY_S)


def _if_allowed[T](ask: Callable[[], T]) -> T | None:
    """Return what was asked for; None where this token may not see it."""
    try:
        return ask()
    except Refused as refused:
        if refused.status != FORBIDDEN:
            raise
        return None
