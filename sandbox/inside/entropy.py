"""Gives a forked run names of its own: a fork inherits what uuid and tempfile remember."""

from __future__ import annotations

import sys


def reseed() -> None:
    """Forget what was remembered; import nothing new. Generators are seeded by generators.py."""
    uuid = sys.modules.get("uuid")
    if uuid is not None and hasattr(uuid, "_last_timestamp"):
        # Else uuid1() counts on from the import's in each fork.
        vars(uuid)["_last_timestamp"] = None
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["_name_sequence"] = None
        vars(tempfile)["tempdir"] = None  # a fork has a TMPDIR of its own
