"""Command and Outcome: the whole contract between the sandbox and the other rooms.

A Command says what to run in a cell, with what in sight and which limits. An Outcome says
what came of it. The package's own failure is an Outcome; a SandboxError means that *we*
failed and the run may be tried again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from frozen.values import frozen
from sandbox.limits import Limits
from sandbox.network_rules import NetworkRules

type Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Level(StrEnum):
    """How well a cell is walled, best first."""

    FULL = "full"
    NO_CGROUP = "no-cgroup"
    UNPRIVILEGED = "unprivileged"
    PROCESS = "process"

    def at_least(self, other: "Level") -> bool:
        """Return whether this level is as good as `other` or better."""
        order = list(Level)
        return order.index(self) <= order.index(other)


@frozen
class Interpreter:
    """A CPython on this host: the base installation, never a virtual environment."""

    executable: Path
    prefix: Path
    version: str
    soabi: str


@frozen
class Folder:
    """A host folder in sight, read-only, at `/<name>`; `on_path` puts it on sys.path.

    A name with a slash puts it below another place, which holds nothing else.
    """

    name: str
    source: Path
    on_path: bool = False
    import_root: str = ""
    """The folder below `source` that goes on sys.path, such as lib/python3.12/site-packages."""


@frozen
class Input:
    """A host file in sight, read-only, at `/input/<name>` (or wherever the level allows)."""

    name: str
    source: Path


@frozen
class Warmth:
    """Permission to fork the run from a warm cell that imported `preload` and the target."""

    key: str
    """Runs share a warm cell when, and only when, they have the same key."""
    preload: tuple[str, ...] = ()
    may_begin_cold: bool = False
    """Whether the one that finds no warm cell starts cold, and it is made afterwards."""


@frozen
class Command:
    """What to run in a cell: the function `target`, called with keywords only.

    It is given `handle=<Handle>` (the object that offers progress, log, event, ask, secret,
    output_dir …, with `facts` as further attributes), then `arguments`, by keyword.
    `least` is the isolation level below which the run is refused.
    """

    target: str
    handle: str
    interpreter: Interpreter
    limits: Limits
    folders: tuple[Folder, ...] = ()
    inputs: tuple[Input, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict[str, Json])
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    answers: Mapping[str, Json] = field(default_factory=dict[str, Json])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    network: NetworkRules | None = None
    """What the run may reach, through a relay; None for no network at all. Never the host's."""
    least: Level = Level.UNPRIVILEGED
    warmth: Warmth | None = None


class Ending(StrEnum):
    """How a run ended."""

    RETURNED = "returned"
    ASKED = "asked"
    RAISED = "raised"
    UNLOADABLE = "unloadable"
    EXITED = "exited"
    KILLED = "killed"
    OVER_LIMIT = "over-limit"
    CANCELLED = "cancelled"
    PROTOCOL = "protocol"


@frozen
class Failure:
    """Why a run did not return: a stable code, what happened, and the mend."""

    code: str
    what: str
    mend: str
    traceback: str = ""
    limit: str = ""
    limit_value: float | None = None
    reached: float | None = None
    missing_module: str = ""
    """The module that was not there to be imported, if it is that."""


@frozen
class Question:
    """What the run asked before it ended: answer it and run the command again."""

    key: str
    prompt: str
    schema: Mapping[str, Json]
    within_s: float | None = None
    """How long it waits for an answer at most; None: as long as an admin allows."""
    has_fallback: bool = False
    fallback: Json = None
    """The answer when nobody gave one in time, where there is one."""


@frozen
class Output:
    """A regular file that the run left in its output folder, collected and hashed."""

    path: str
    size_bytes: int
    sha256: str


@frozen
class Refusal:
    """Something in the output folder that was not collected, and why."""

    path: str
    why: str


@frozen
class Usage:
    """What the run used.

    `peak_rss_bytes` is the most that was in memory at a time; of a warm run what it had from its
    warm cell as it began, and what it took itself at most (the two share what it wrote to).
    """

    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    peak_rss_bytes: int = 0


@frozen
class Layer:
    """One wall: whether it was really in force around the run, and the detail."""

    name: str
    in_force: bool
    detail: str = ""


@frozen
class HostLibrary:
    """A library of the host that a run has mapped. `sha256` is `sha256:<hex>` of its file."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ColdReason:
    """Why a run starts cold: for people, and in a word for who decides by it."""

    text: str
    word: str = ""


@frozen
class Isolation:
    """The walls that were really in force around one run."""

    level: Level
    layers: tuple[Layer, ...]
    start: Literal["cold", "warm"] = "cold"
    start_reason: str = ""
    start_word: str = ""
    """The same in a word, where an author may do something about it: threads, open, slow …"""
    host_libraries: tuple[HostLibrary, ...] = ()
    """Those that the import of a warm run has mapped, and a cold one at its end."""
    host_libraries_dropped: int = 0
    """How many more there were, at least: a package can map without end."""


@frozen
class Connection:
    """One connection that a run with network made, or wanted to make.

    `state` is refused where the rules say no, failed where the network does; `why` says more.
    """

    host: str
    port: int
    state: Literal["carried", "refused", "failed"]
    why: str
    address: str
    in_bytes: int
    out_bytes: int


@frozen
class Traffic:
    """What a run with network carried: the first connections, and the totals of all."""

    first: tuple[Connection, ...] = ()
    connections: int = 0
    refused: int = 0
    failed: int = 0
    in_bytes: int = 0
    out_bytes: int = 0


@frozen
class Outcome:
    """What came of a Command. `is_ok` says whether the function returned."""

    ending: Ending
    isolation: Isolation
    value: Json = None
    failure: Failure | None = None
    question: Question | None = None
    exit_code: int | None = None
    signal: str | None = None
    outputs: tuple[Output, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refused: int = 0
    """How many outputs were refused; `refusals` are the first hundred."""
    usage: Usage = field(default_factory=Usage)
    dropped_log_bytes: int = 0
    traffic: Traffic | None = None
    """What a run with network carried; None for a run without."""
    start_ms: float = 0.0
    """How long it took until a cell was ready for the run."""

    @property
    def is_ok(self) -> bool:
        """Return whether the function returned a value."""
        return self.ending is Ending.RETURNED


@frozen
class Report:
    """One thing that a run said while it ran.

    `kind` is stdout or stderr (`data` has `line`), log (`level`, `message`), progress
    (`done`, `total`, `message`), or event (`name`, `data`). The kind network is not the run's
    own word: its relay says it of a connection that is over (`data` has the fields of one).
    """

    kind: Literal["stdout", "stderr", "log", "progress", "event", "network"]
    data: Mapping[str, Json]


type Observe = Callable[[Report], None]
type OnVerdict = Callable[[], None]
"""Called when it is decided how a run ends: its code has no more say in how long it takes."""


class Run(Protocol):
    """Something that can run a Command: the sandbox, handed to the rooms that need it."""

    async def __call__(
        self,
        command: Command,
        *,
        outputs_to: Path,
        observe: Observe,
        cancelled: asyncio.Event | None = None,
        on_verdict: OnVerdict | None = None,
    ) -> Outcome:
        """Run `command`; put what it left in its output folder below `outputs_to`.

        `outputs_to` is a host folder that no cell can see; it is created if need be.
        Raises SandboxError only when we failed.
        """
        ...
