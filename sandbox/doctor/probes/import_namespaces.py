"""What doctor lets a warm cell import: uses up namespaces, as its user has only so many."""

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
KINDS = {"user": 0x10000000, "net": 0x40000000, "mount": 0x00020000, "pid": 0x20000000}
MADE = [name for name, kind in KINDS.items() if libc.unshare(kind) == 0]


def attempt(*, job, **_):
    """Say which namespaces the import could make."""
    return {"got": ", ".join(MADE)}
