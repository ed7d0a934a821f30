"""Budget: what one judgement may cost. What crosses it is refused, whatever it was."""

from dataclasses import replace
from typing import Self

from frozen.values import frozen

MIB = 1 << 20


@frozen
class Budget:
    """What one judgement may cost at most, held by the kernel (setrlimit(2)) and by a kill.

    `memory_mb` is of address space, of which the interpreter itself takes about 200.
    """

    memory_mb: int = 1024
    cpu_s: int = 20
    wall_s: float = 60.0
    file_mb: int = 512
    """Of each file that it writes."""
    answer_bytes: int = 8 * MIB
    answer_parts: int = 400_000
    """Values of the answer: lists, objects and what is in them."""

    @property
    def most_bytes(self) -> int:
        """How many bytes of an answer are read at most."""
        return min(self.answer_bytes, 64 * MIB)

    def for_input(self, size_bytes: int) -> Self:
        """Return the budget of a large input: what is right takes its time, 4 MiB a second."""
        more_s = size_bytes // (4 * MIB)
        return replace(self, cpu_s=self.cpu_s + more_s, wall_s=self.wall_s + 4 * more_s)
