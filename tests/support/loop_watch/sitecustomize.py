"""Watches the event loop of each `fumehood up` that a test starts: who held it, and for how long.

Python imports this by itself at start (site), where PYTHONPATH has this folder. What counts is the
CPU time that the thread of the loop spends within one callback: that a loaded machine does not
lengthen, as it would the time on the clock. Nothing is watched before the first connection.
"""

import asyncio
import os
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

MOST_S = 0.05
NOISE = 1.6
"""What a neighbour on the same core adds to CPU time: caches and page faults are shared."""
COUNT, COUNTED_S = 300_000, 0.0068
"""A piece of work, and what it took where the 50 ms were measured: slower ones get more."""
LOOK_EVERY_S = 0.01
FOLDER = os.environ.get("LOOP_WATCH_FOLDER", "")


class Watch:
    """Times each callback of the loop, and looks at what one is doing that takes long."""

    def __init__(self, folder: str) -> None:
        self.notes = Path(folder, str(os.getpid()))
        self.began_at = 0.0
        self.thread = 0
        self.seen = ""
        self.most_s = MOST_S * NOISE * max(1.0, counted_s() / COUNTED_S)
        self.run, self.accept = asyncio.Handle._run, socket.socket.accept

    def start(self) -> None:
        """Wait for the first connection."""
        watch, accept = self, self.accept

        def run(handle: asyncio.Handle) -> None:
            watch.timed(handle)

        def first(listener: socket.socket) -> tuple[socket.socket, object]:
            accepted = accept(listener)
            socket.socket.accept = accept
            asyncio.Handle._run = run
            watch.thread = threading.get_ident()
            threading.Thread(target=watch.look, daemon=True).start()
            return accepted

        socket.socket.accept = first

    def timed(self, handle: asyncio.Handle) -> None:
        """Run one callback; note it where it took too long."""
        self.began_at = time.monotonic()
        begun = time.thread_time()
        self.run(handle)
        took_s = time.thread_time() - begun
        self.began_at = 0.0
        if took_s > self.most_s:
            with self.notes.open("a") as file:
                print(f"{took_s * 1000:.0f} ms: {repr(handle)[:200]}\n{self.seen}", file=file)
        self.seen = ""

    def look(self) -> None:
        """Keep the stack of a callback that has taken long already."""
        while True:
            time.sleep(LOOK_EVERY_S)
            if self.began_at and time.monotonic() - self.began_at > MOST_S / 2:
                frame = sys._current_frames().get(self.thread)
                self.seen = "".join(traceback.format_stack(frame)[-12:])


def counted_s() -> float:
    """Return how long this machine takes for the piece of work."""
    begun = time.thread_time()
    sum(range(COUNT))
    return time.thread_time() - begun


if FOLDER and "up" in sys.orig_argv and any(a.endswith("/fumehood") for a in sys.orig_argv):
    Watch(FOLDER).start()
