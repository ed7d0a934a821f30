"""Gives a forked run randomness of its own: a fork inherits every generator's state."""

from __future__ import annotations

import os
import sys


def reseed() -> None:
    """Reseed the generators that the warm cell has imported; import nothing new."""
    random = sys.modules.get("random")
    if random is not None:
        random.seed(os.urandom(32))
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(int.from_bytes(os.urandom(4), "big"))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
    uuid = sys.modules.get("uuid")
    if uuid is not None and hasattr(uuid, "_last_timestamp"):
        vars(uuid)["_last_timestamp"] = None
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["_name_sequence"] = None
        vars(tempfile)["tempdir"] = None
