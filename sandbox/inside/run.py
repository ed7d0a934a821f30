"""One run in this process, from its request to how it ended."""

from __future__ import annotations

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
    return 0 if request is None else answer(channel, request, listener)


def answer(channel: Channel, request: dict[str, Any], listener: Listener) -> int:
    """Run the one request and say how it ended. Return the exit code."""
    listener.listen()
    done = call.perform(channel, request)
    call.flush_streams()
    channel.send(done)
    return done.get("exit_code", 0)
