"""`fumehood worker`: a process that works, while another one serves."""

import asyncio
import json

from runtime.cli.input.settings_in_force import settings_in_force
from runtime.cli.output.printing import AsJson
from runtime.cli.up import Config, Home, Slots, log, log_to_stderr
from runtime.errors import SettingsRefused
from runtime.serve import work


def worker(
    home: Home = None, slots: Slots = None, config: Config = None, *, as_json: AsJson = False
) -> None:
    """Work until SIGTERM or Ctrl-C; needs a Docket that processes can share (docket_url).

    With --json the first line on stdout is {"home": …, "slots": …}.
    """
    log_to_stderr()
    settings = settings_in_force({"home": home, "slots": slots}, config_file=config, say=log.info)
    if as_json:
        print(json.dumps({"home": str(settings.home), "slots": settings.slots}), flush=True)
    if settings.is_one_process:
        raise SettingsRefused(
            f"{settings.docket_url} lives inside one process, so no other can take work from it",
            where="docket_url",
            mend="`fumehood up` works too; for more workers set docket_url to a Redis or Valkey",
        )
    asyncio.run(work(settings))
