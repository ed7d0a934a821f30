"""Locks of exactly the wheels that a test has."""

from packages.lock.lock import Lock, Locked, make_lock
from wheelhouse.store import Wheel


def lock_of(*wheels: Wheel, minor: str = "3.12") -> Lock:
    """Return the lock of exactly these wheels."""
    return make_lock(
        (
            Locked(
                name=w.name,
                version=w.version,
                wheel=w.filename,
                sha256=w.sha256,
                size_bytes=w.size_bytes,
            )
            for w in wheels
        ),
        python_minor=minor,
    )
