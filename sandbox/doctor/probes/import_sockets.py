"""What doctor lets a warm cell import: holds memory in sockets, where no limit counts it."""

import probe

GOT = probe.hold_in_sockets(job=None)


def attempt(*, job, **_):
    """Say what came through."""
    return GOT
