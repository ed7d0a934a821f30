"""When it is worth a process: once much is written within a second."""

from dataclasses import dataclass

MUCH = 60
"""Units within a second: some twenty jobs. A process costs 0.4 s of a processor and 50 MB once."""
WINDOW_S = 1.0


@dataclass(slots=True)
class Pace:
    """How much is written."""

    since_s: float = 0.0
    number: int = 0

    def note(self, at_s: float) -> bool:
        """Note one more unit; return whether they come thick and fast."""
        if at_s - self.since_s > WINDOW_S:
            self.since_s, self.number = at_s, 0
        self.number += 1
        return self.number >= MUCH
