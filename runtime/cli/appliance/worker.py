"""`fumehood worker`: a process that works, while another one serves."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from runtime.appliance.sandboxes import sandbox_begun_in
from runtime.cli.appliance.up import Config, Home, LogFormat, Slots, faults_logged, logging_settings
from runtime.cli.output.printing import AsJson
from runtime.faults.errors import SettingsRefused
from runtime.home.folders import make_home
from runtime.home.membership import held
from runtime.settings.setting_types import without_login
from runtime.settings.settings import Settings


def worker(
    home: Home = None,
    slots: Slots = None,
    config: Config = None,
    log_format: LogFormat = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Work until SIGTERM or Ctrl-C; needs a Docket that processes can share (docket_url).

    With --json the first line on stdout is {"home": …, "slots": …}.
    """
    flags = {"home": home, "slots": slots}
    settings = logging_settings(flags, config=config, log_format=log_format)
    if as_json:
        print(json.dumps({"home": str(settings.home), "slots": settings.slots}), flush=True)
    with faults_logged(settings):
        if settings.is_one_process:
            raise _alone(settings)
        make_home(settings.home)
        with held(settings, is_alone=False):
            asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    """Import the appliance while its sandbox opens, and work."""
    async with sandbox_begun_in(settings.home) as sandbox:
        work = await asyncio.to_thread(_imported)
        await work(settings, sandbox=sandbox)


def _imported() -> Callable[..., Awaitable[None]]:
    from runtime.appliance.serve import work  # noqa: PLC0415

    return work


def _alone(settings: Settings) -> SettingsRefused:
    return SettingsRefused(
        f"{without_login(settings.docket_url)} lives inside one process, so no other can take work "
        "from it",
        where="docket_url",
        mend="`fumehood up` works too; for more workers set docket_url to a Redis or Valkey",
    )
