"""The process that imports a package once, and is forked by the warden for each run.

Package code has run in it, so nobody believes it: the warden (warden.py) holds it from the end of
the import on, and it executes nothing any more. What is here is run by it, and by its forks.
"""

from __future__ import annotations

import gc
import os
import sys

from .. import call, cold, run, sigterm, walls
from ..channel import Channel
from ..kernel import syscalls
from . import fork_script, forking
from .after_import import (
    generators,
    heap,
    huge_pages,
    immortal,
    made_files,
    renewed,
    thread_pools,
    warmup,
)
from .fitness import Unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .kind import Kind

IMPORTED, FAILED, END_OF_WORD = b"+", b"-", b":"
"""What it says at its door when its import is done: ready to be held, or why not."""
DOOR = 3
"""Its one way to the warden, by which a fork gets its three streams."""
_FAILURE_CHARS = 2000


def main(setup: dict[str, Any], kind: Kind) -> None:
    """Import what the setup names, say so at the door, and be forked; forks serve their runs."""
    syscalls.be_measurable()
    listener = sigterm.Listener()
    kind.begin_import(listener)
    cold.prepare(setup)
    kind.make_scratch(setup)
    walls.shut_around_import(setup)
    call.failure_modules()  # now: a fork that fails would load them into pages of its own
    watch, unseeded = generators.Watch(), generators.Unseeded()
    pools = thread_pools.Pools(setup["processors"])
    watch.begin()
    pools.hold_back()
    failure = _preload(setup, kind)
    pools.find()
    watch.end()
    unseeded.find()
    call.flush_streams()
    if failure is not None:
        word, text = failure.word.encode(), failure.text.encode("utf-8", "replace")
        os.write(DOOR, FAILED + word + END_OF_WORD + text)
        os._exit(0)
    left = renewed.Renewed()
    left.take_down(apart_from=(0, 1, 2, DOOR))
    os.write(DOOR, IMPORTED)
    os.read(DOOR, 1)  # from its answer on the warden traces us, and what we do is not believed
    script = kind.script(setup, door=DOOR)
    warmup.rehearse(listener)
    channel = Channel(fork_script.CHANNEL)
    _share((script, channel, listener, left, unseeded))
    forking.be_forked(script.play, left.put_back, id_place=script.id_place)
    _serve(channel, listener, unseeded, pools)


def _serve(
    channel: Channel,
    listener: sigterm.Listener,
    unseeded: generators.Unseeded,
    pools: thread_pools.Pools,
) -> None:
    """Be a fork, and serve its run."""
    try:
        unseeded.seed()
        pools.fill()
        code = run.serve(channel, listener)
    except BaseException:
        sys.stderr.write(_traceback())
        call.flush_streams()
        code = 70
    syscalls.end(code)


def _share(own: object) -> None:
    """Let forks share as much as can be of what is in memory now, until they write to it."""
    gc.collect()  # first: what is garbage shall not be moved, nor made immortal
    huge_pages.move()
    immortal.keep(own)
    heap.give_back_what_is_free()
    heap.gather_free_blocks()
    gc.freeze()  # a collection in a fork writes to the head of each object that it looks at


def _preload(setup: dict[str, Any], kind: Kind) -> Unfit | None:
    cold.honour_pth_files(setup["environment_path"])
    try:
        for name in setup["preload"]:
            call.import_module(name)
        kind.check_files(setup)
    except made_files.TooMuch as fault:
        return Unfit(fault.word, str(fault))
    except BaseException:
        return Unfit("failed", "preload failed: " + _traceback()[-_FAILURE_CHARS:])
    return None


def _traceback() -> str:
    """Return the traceback at hand; the module stays out of a warm cell where all is well."""
    return __import__("traceback").format_exc()
