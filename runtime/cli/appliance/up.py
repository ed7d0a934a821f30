"""`fumehood up`: an appliance that serves and works."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.appliance.sandboxes import sandbox_begun_in
from runtime.cli.input.settings_in_force import settings_in_force
from runtime.cli.output.printing import AsJson, say
from runtime.home.folders import make_home
from runtime.home.membership import held
from runtime.problem_table import EXIT_BUG, fault_of
from runtime.queue.durable import durable_queue
from runtime.settings.settings import Settings
from runtime.telemetry.logs import write_logs

Config = Annotated[Path | None, typer.Option("--config", help="A settings file (TOML).")]
Home = Annotated[Path | None, typer.Option(help="The data folder (FUMEHOOD_HOME).")]
Slots = Annotated[int | None, typer.Option(min=1, help="Attempts at a time.")]
LogFormat = Annotated[
    Literal["text", "json"] | None,
    typer.Option("--log-format", help="How the log is written to stderr."),
]
log = logging.getLogger("fumehood.settings")


def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 picks a free one.")] = None,
    home: Home = None,
    slots: Slots = None,
    config: Config = None,
    log_format: LogFormat = None,
    *,
    durable: Annotated[
        bool | None,
        typer.Option("--durable-queue", help="Run a Valkey of its own, on a socket in the home."),
    ] = None,
    one_process: Annotated[
        bool, typer.Option("--one-process", help="Start no second process that writes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the API and the pages, and work, until SIGTERM or Ctrl-C.

    With --json the first line on stdout is {"url": …, "login": …}, printed when the appliance
    answers. `login` is a link that logs a browser in as admin, once, within ten minutes.
    """
    flags = {"host": host, "port": port, "home": home, "slots": slots, "durable_queue": durable}
    flags["writer_process"] = False if one_process else None
    settings = logging_settings(flags, config=config, log_format=log_format)
    is_for_people = settings.telemetry.log_format == "text"

    def announce(url: str, login: str) -> None:
        if as_json:
            told = {"url": url, "home": str(settings.home), "login": login}
            print(json.dumps(told), flush=True)
        announced = say if is_for_people else log.info
        announced(f"fumehood is listening on {url}, its data is in {settings.home}")
        if is_for_people and not as_json:
            say(f"log in, once, within ten minutes: {login}")

    with faults_logged(settings):
        make_home(settings.home)
        with durable_queue(settings) as queued, held(queued, is_alone=True):
            asyncio.run(_serve(queued, announce=announce))


async def _serve(settings: Settings, *, announce: Callable[[str, str], None]) -> None:
    """Import the appliance while its sandbox opens, and serve."""
    async with sandbox_begun_in(settings.home) as sandbox:
        serve = await asyncio.to_thread(_imported)
        await serve(settings, announce=announce, sandbox=sandbox)


def _imported() -> Callable[..., Awaitable[None]]:
    from runtime.appliance.serve import serve  # noqa: PLC0415

    return serve


def logging_settings(
    flags: Mapping[str, object], *, config: Path | None, log_format: str | None
) -> Settings:
    """Return the settings in force, after the log is written as they say."""
    files: list[str] = []
    asked = {"telemetry": {"log_format": log_format}} if log_format else {}
    settings = settings_in_force({**flags, **asked}, config_file=config, say=files.append)
    write_logs(settings)
    for line in files:
        log.info(line)
    return settings


@contextmanager
def faults_logged(settings: Settings) -> Generator[None]:
    """Log the fault that ends this process, where the log is JSON; else it is told as always."""
    try:
        yield
    except Exception as error:
        if settings.telemetry.log_format == "text":
            raise
        fault = fault_of(error)
        mends = "; ".join(one.mend for one in fault.problems if one.mend)
        bug = error if fault.answer.exit_code == EXIT_BUG else None
        log.critical("%s [%s] %s", fault.what, fault.code, mends, exc_info=bug)
        raise typer.Exit(fault.answer.exit_code) from error
