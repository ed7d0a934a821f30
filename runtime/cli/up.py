"""`fumehood up` and `fumehood worker`: the processes of the appliance."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.appliance import IN_PROCESS
from runtime.cli.input.settings_in_force import settings_in_force
from runtime.cli.output.printing import AsJson, say
from runtime.errors import SettingsRefused
from runtime.serve import serve, work

Config = Annotated[Path | None, typer.Option("--config", help="A settings file (TOML).")]
Home = Annotated[Path | None, typer.Option(help="The data folder (FUMEHOOD_HOME).")]
Slots = Annotated[int | None, typer.Option(min=1, help="Attempts at a time.")]
log = logging.getLogger("fumehood.settings")


def up(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 picks a free one.")] = None,
    home: Home = None,
    slots: Slots = None,
    config: Config = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Serve the API and the pages, and work, until SIGTERM or Ctrl-C.

    With --json the first line on stdout is {"url": …}, printed when the appliance answers.
    """
    flags = {"host": host, "port": port, "home": home, "slots": slots}
    _log_to_stderr()
    settings = settings_in_force(flags, config_file=config, say=log.info)

    def announce(url: str) -> None:
        if as_json:
            print(json.dumps({"url": url, "home": str(settings.home)}), flush=True)
        say(f"fumehood is listening on {url}, its data is in {settings.home}")

    asyncio.run(serve(settings, announce=announce))


def worker(
    home: Home = None, slots: Slots = None, config: Config = None, *, as_json: AsJson = False
) -> None:
    """Work until SIGTERM or Ctrl-C; needs a Docket that processes can share (docket_url).

    With --json the first line on stdout is {"home": …, "slots": …}.
    """
    _log_to_stderr()
    settings = settings_in_force({"home": home, "slots": slots}, config_file=config, say=log.info)
    if as_json:
        print(json.dumps({"home": str(settings.home), "slots": settings.slots}), flush=True)
    if settings.docket_url.startswith(IN_PROCESS):
        raise SettingsRefused(
            f"{settings.docket_url} lives inside one process, so no other can take work from it",
            where="docket_url",
            mend="`fumehood up` works too; for more workers set docket_url to a Redis or Valkey",
        )
    asyncio.run(work(settings))


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("fumehood").setLevel(logging.INFO)
