"""Follows a job to its end, over restarts of the appliance.

A stream ends when the appliance stops, too: only the job itself says that it has ended. While
nobody answers it is asked again, from the last event that came.
"""

import time
from collections.abc import Iterator

from runtime.cli.output.printing import say
from runtime.client.client import Client, Unreachable
from runtime.client.operations import get_job
from runtime.client.views import Event
from runtime.errors import ServerUnreachable
from runtime.values.states import FINAL, State

PATIENCE_S = 120.0
ASK_AGAIN_S = 0.5


def to_its_end(client: Client, job_id: str, *, after: int = 0) -> Iterator[Event]:
    """Yield the events of a job until it has ended. Raises ServerUnreachable after a while.

    The job goes on without us, so the fault says how it is followed further.
    """
    away_since: float | None = None
    while True:
        try:
            for event in client.follow(job_id, after=after):
                after, away_since = event["seq"], None
                yield event
            if State(client.ask(get_job(job_id))["state"]) in FINAL:
                return
            away_since = None
        except Unreachable as error:
            if away_since is None:
                say("the appliance does not answer: waiting for it to come back")
                away_since = time.monotonic()
            if time.monotonic() - away_since > PATIENCE_S:
                raise _given_up(client.url, job_id) from error
        time.sleep(ASK_AGAIN_S)


def _given_up(url: str, job_id: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"The appliance did not come back within {PATIENCE_S:.0f} seconds",
        where=url,
        mend=f"the job goes on without us: `fumehood job logs -f {job_id}` follows it further",
    )
