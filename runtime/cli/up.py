"""`fumehood up`: an appliance that serves and works."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.input.settings_in_force import settings_in_force
from runtime.cli.output.printing import AsJson, say
from runtime.outages import OncePerCause
from runtime.serve import serve

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

    With --json the first line on stdout is {"url": …, "login": …}, printed when the appliance
    answers. `login` is a link that logs a browser in as admin, once, within ten minutes.
    """
    flags = {"host": host, "port": port, "home": home, "slots": slots}
    log_to_stderr()
    settings = settings_in_force(flags, config_file=config, say=log.info)

    def announce(url: str, login: str) -> None:
        if as_json:
            told = {"url": url, "home": str(settings.home), "login": login}
            print(json.dumps(told), flush=True)
        say(f"fumehood is listening on {url}, its data is in {settings.home}")
        if not as_json:
            say(f"log in, once, within ten minutes: {login}")

    asyncio.run(serve(settings, announce=announce))


def log_to_stderr() -> None:
    """Write warnings of all, and what the appliance itself says, to stderr."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("fumehood").setLevel(logging.INFO)
    for handler in logging.root.handlers:
        handler.addFilter(OncePerCause())
