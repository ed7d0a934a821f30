"""A clock of their own for processes, which can be set meanwhile; the machine's is left alone.

It is one for all of a cluster: waits by the calendar are as good as its machines' clocks agree, so of
two that are minutes apart one lets a backoff of the other wait for these.

libfaketime sets it, and leaves CLOCK_MONOTONIC as it is, as the kernel does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

PLACES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64")
FORWARD_S, BACK_S = 1200, 5
"""An hour back would be an hour for whoever waits by the calendar (docs/failures.md)."""


def library() -> Path | None:
    """Return the library that fakes time, None where there is none."""
    found = (Path(one) / "faketime/libfaketimeMT.so.1" for one in PLACES)
    return next((one for one in found if one.exists()), None)


@dataclass(slots=True, kw_only=True)
class Clock:
    """How far a clock is ahead, by a file that processes read each second."""

    file: Path
    ahead_s: int = 0

    @property
    def environ(self) -> Mapping[str, str]:
        """Return what a process needs to go by it; nothing where time cannot be faked."""
        fakes = library()
        if fakes is None:
            return {}
        self.file.write_text(f"{self.ahead_s:+d}s\n")
        return {
            "LD_PRELOAD": str(fakes),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, chance: Random) -> None:
        """Set it forward by minutes, or back by seconds."""
        self.ahead_s += chance.choice((chance.randint(60, FORWARD_S), -chance.randint(1, BACK_S)))
        self.file.write_text(f"{self.ahead_s:+d}s\n")
