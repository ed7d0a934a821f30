"""Problem: what is wrong, where, and the mend. Shared by the rooms that judge input."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of an input. `code` is stable and kebab-case; `where` names file and place."""

    code: str
    what: str
    where: str
    mend: str

    def to_dict(self) -> dict[str, str]:
        """Return the problem as plain JSON."""
        return asdict(self)
