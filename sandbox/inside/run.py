"""One run in this process, from its request to how it ended."""

from __future__ import annotations

import os

from . import call, ending, entropy
from .sigterm import Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .channel import Channel
    from .sigterm import Listener


def serve(
    channel: Channel, listener: Listener, *, finish: Callable[[], None] = ending.finish
) -> int:
    """Be a fork's run: wait for its request, and answer it. Return the exit code."""
    entropy.reseed()
    request = channel.receive()
    if request is None:
        return 0
    os.chdir(request["scratch_dir"])
    return answer(channel, request, listener, finish=finish)


def answer(
    channel: Channel,
    request: dict[str, Any],
    listener: Listener,
    *,
    finish: Callable[[], None] = ending.finish,
) -> int:
    """Run the one request, end as Python does, and say how it ended. Return the exit code."""
    listener.listen()
    if request["processors"]:
        os.sched_setaffinity(0, request["processors"])
    done = call.perform(channel, request)
    try:
        finish()
    except Terminated:
        done = call.CANCELLED  # told to end while its exit functions ran: what it returned is late
    call.flush_streams()
    channel.send(done)
    return done.get("exit_code", 0)
