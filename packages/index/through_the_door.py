"""What asks an index for a lock: a doorway of its own, and what it said meanwhile."""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from packages.index.index import Index
from packages.index.listing import UnreadableError, address_within
from packages.tools import DOORWAY, bounded
from wheelhouse.problem import Problem

MOST_LINES = 20_000
START_S = 60.0
MENDS = {
    "leads-elsewhere": "if that place is meant, let the admin name it (`index.hosts`, "
    "`index.private`); else tell whoever keeps the index",
    "too-costly": "try again later; if that is meant, raise the bound (`fumehood config show`)",
    "index-unreachable": "check the index's address, credentials, CA and proxy "
    "(`fumehood config show`); offline, bring the wheels by `fumehood wheelhouse mirror`",
}


@dataclass(slots=True, kw_only=True)
class DoorwayReport:
    """What the doorway at `base` told: problems, and the digest of each metadata it gave."""

    base: str
    shown: str
    problems: list[Problem] = field(default_factory=list[Problem])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    unhashed: set[str] = field(default_factory=set[str])

    def variables(self) -> dict[str, str]:
        """Return what uv is told through its environment: an address that says nothing."""
        return {"UV_DEFAULT_INDEX": f"{self.base}/simple/", "NO_PROXY": "*"}

    def true_addresses(self, text: str) -> str:
        """Return uv's lock with the addresses of the index in it."""
        ours = re.compile(re.escape(f"{self.base}/f/") + r'([^"]*)')
        return ours.sub(lambda found: json.dumps(_true(found[1]))[1:-1], text)

    def redact(self, text: str) -> str:
        """Return what uv said with the index's name in place of the doorway's."""
        return text.replace(f"{self.base}/simple", self.shown.rstrip("/")).replace(
            self.base, self.shown
        )

    def hear(self, told: dict[str, Any]) -> None:
        """Note one thing that it says."""
        if "metadata" in told:
            self.metadata[told["metadata"]] = told["sha256"]
            return
        if "unhashed" in told:
            self.unhashed.add(told["unhashed"])
            return
        problem = Problem(
            code=told["code"],
            what=f"{self.shown}: {told['where']}: {told['what']}",
            where=self.shown if told["code"] == "index-unreachable" else told["where"],
            mend=MENDS[told["code"]],
        )
        self.problems.append(problem)


@asynccontextmanager
async def doorway(index: Index, *, kept_out: Iterable[str] = ()) -> AsyncGenerator[DoorwayReport]:
    """Offer a doorway to `index` in which the names `kept_out` are not. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-m", "packages.index.doorway"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd="/",
        env={"LANG": "C.UTF-8"},
        start_new_session=True,
        preexec_fn=bounded(DOORWAY),
    )
    listening: asyncio.Task[None] | None = None
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 – pipes
        process.stdin.write(_order(index, kept_out))
        async with asyncio.timeout(START_S):
            first = await process.stdout.readline()
        if not first:
            raise OSError("the doorway to the index ended before it began")
        said = DoorwayReport(base=json.loads(first)["base"], shown=index.shown)
        listening = asyncio.create_task(_listen(process.stdout, said))
        yield said
        process.stdin.close()
        await asyncio.wait({listening}, timeout=START_S)
    finally:
        if listening is not None:
            listening.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listen(lines: asyncio.StreamReader, said: DoorwayReport) -> None:
    heard = 0
    while line := await lines.readline():
        heard += 1
        if heard <= MOST_LINES:  # and the pipe is emptied all the same
            said.hear(json.loads(line))


def _order(index: Index, kept_out: Iterable[str]) -> bytes:
    told = {**asdict(index), "ca_bundle": str(index.ca_bundle) if index.ca_bundle else ""}
    return json.dumps({"index": told, "kept_out": sorted(kept_out)}).encode() + b"\n"


def _true(path: str) -> str:
    try:
        return address_within(f"/f/{path}")[0]
    except UnreadableError:
        return ""
