"""Runs the runner's own code a few times before the first fork.

CPython writes to a function's bytecode until it has seen a few calls (PEP 659). What is
written after a fork is copied page by page in every run: a rehearsal saves each about a
hundred pages.
"""

from __future__ import annotations

import marshal
import os

from ... import ending, run
from ...channel import Channel
from ...kernel import scm_rights
from ...kernel.syscall_batch import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...sigterm import Listener

_TIMES = 8
_REQUEST: dict[str, Any] = {
    "processors": [],
    "target": __name__ + ":part",
    "handle": "job",
    "facts": {"id": ""},
    "arguments": {},
    "answers": {},
    "secrets": {},
    "network": False,
    "inputs": [],
    "output_dir": "",
    "scratch_dir": ".",
    "result_bytes": 1024,
    "report_bytes": 1024,
}


def rehearse(listener: Listener) -> None:
    """Send, receive and perform what a run does, on a channel that nobody else has."""
    ours, theirs = scm_rights.pair()
    channel = Channel(theirs)
    body = marshal.dumps(_REQUEST, 2)
    script = Batch()
    script.add("chdir", b".")  # any call will do: it is the loop around it that is rehearsed
    for _ in range(_TIMES):
        script.play()
        os.write(ours, len(body).to_bytes(4, "big") + body)
        run.serve(channel, listener, finish=_look_for_files)
        os.read(ours, 4096)
    listener.stop()
    os.close(ours)
    channel.close()


def _look_for_files() -> None:
    """End as far as nothing of a package's is called: what it registered is for the runs."""
    ending.may_have_files()


def part(*, job: Any) -> dict[str, bool]:
    """Do what most packages do: report something, and return something."""
    job.event("rehearsed", n=1)
    return {"ok": True}
