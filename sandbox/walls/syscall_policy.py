"""What `seccomp.json` says: which calls are refused, and their numbers on each machine."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SyscallPolicy:
    """The policy, with the numbers of one machine."""

    newest_reviewed: int
    denied: tuple[str, ...]
    denied_without_namespaces: tuple[str, ...]
    absent: tuple[str, ...]
    """As if the kernel did not have them: what tells which files others have read."""
    pretended: tuple[str, ...]
    """Done, says the answer: what would make neighbours wait, and programs may ask for."""
    pretended_without_namespaces: tuple[str, ...]
    pretended_with_times: dict[str, list[int]]
    """By call: which arguments are the path and the times."""
    on_oneself_only: dict[str, list[int]]
    """By call: what its first arguments must be to mean the caller alone, not all of its user's."""
    attributes_of_paths: tuple[str, ...]
    """Calls that tell extended attributes of files that a cell cannot open (xattr(7))."""
    clocks_of_others: tuple[str, ...]
    """Calls that take a clock, of which there is one for each process (clock_getcpuclockid(3))."""
    numbers: dict[str, int]


@cache
def policy(machine: str) -> SyscallPolicy:
    """Return the policy for `machine` (x86_64 or aarch64)."""
    text = Path(__file__).with_name("seccomp.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    found = loaded["policy"]
    return SyscallPolicy(
        newest_reviewed=found["newest_reviewed"],
        denied=tuple(name for names in found["denied"].values() for name in names),
        denied_without_namespaces=(
            *found["denied_without_ipc_namespace"],
            *found["denied_without_namespaces"],
            "socket",
        ),
        absent=tuple(found["absent"]),
        pretended=tuple(found["pretended"]),
        pretended_without_namespaces=tuple(found["pretended_without_namespaces"]),
        pretended_with_times=found["pretended_where_a_time_is_given"],
        on_oneself_only=found["on_oneself_only_without_namespaces"],
        attributes_of_paths=tuple(found["attributes_of_paths_without_namespaces"]),
        clocks_of_others=tuple(found["clocks_of_others_without_namespaces"]),
        numbers=loaded["numbers"][machine],
    )
