"""What clients asked and were told, as they wrote it down; and how all stood in the end."""

from dataclasses import dataclass, field
from math import inf
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request about the job that was ordered by `key`, and its answer.

    It took effect at some time from `began` to `ended`. Where no answer came (`told` is None) it may
    have taken effect at any time since, or never. A refusal (`is_refused`) changed nothing.
    """

    key: str
    act: str
    began: float
    ended: float = inf
    job: str = ""
    state: str = ""
    attempt: int = 0
    is_refused: bool = False

    @property
    def is_told(self) -> bool:
        """Return whether an answer came."""
        return self.ended != inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """How a job stands when all is over: its record, what it left, and what is told of its ends.

    `ends` are the attempts whose end is in its events, `hooks` how the hook after its last attempt
    ended. `outputs` are their names with what is in them.
    """

    key: str
    job: str
    state: str
    attempt: int
    error: str = ""
    ends: tuple[int, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    artifact: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class History:
    """All that was asked, in no order, and how all stood in the end, by the key of the order."""

    asked: list[Asked] = field(default_factory=list[Asked])
    final: dict[str, Final] = field(default_factory=dict[str, Final])
