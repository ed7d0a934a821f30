"""One run in this process, from its request to how it ended."""

from __future__ import annotations

import os

from . import call, entropy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .channel import Channel
    from .terminating import Listener


def serve(channel: Channel, listener: Listener) -> int:
    """Be a fork's run: wait for its request, and answer it. Return the exit code."""
    entropy.reseed()
    request = channel.receive()
    if request is None:
        return 0
    os.chdir(request["scratch_dir"])
    return answer(channel, request, listener)


def answer(channel: Channel, request: dict[str, Any], listener: Listener) -> int:
    """Run the one request and say how it ended. Return the exit code."""
    listener.listen()
    done = call.perform(channel, request)
    call.flush_streams()
    channel.send(done)
    return done.get("exit_code", 0)
