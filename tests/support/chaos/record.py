"""Keeps what clients were told where no order explains it: one JSON object a line, with the logs.

What was seen once and cannot be looked at again is a rumour: of five runs one had a job that no
order explained, and nothing of it was left.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path

from support.chaos.history import Asked, Final, History

HISTORY = "history.jsonl"
KEPT_IN = "/var/tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault, from when it began until it was over, by the clock that clients go by."""

    name: str
    began: float
    ended: float


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What there is to look at afterwards; it is needed unless somebody finds that all is well."""

    history: History
    struck: list[Struck] = field(default_factory=list[Struck])
    is_needed: bool = True

    @contextmanager
    def kept_where_needed(self, logs: Mapping[str, Path]) -> Generator[None]:
        """Keep it in a new folder at the end, with `logs`, and say where, if it is needed then."""
        try:
            yield
        finally:
            if self.is_needed:
                folder = Path(tempfile.mkdtemp(prefix="fumehood-chaos-kept-", dir=KEPT_IN))
                path = keep(folder, self.history, struck=self.struck, logs=logs)
                print(f"all that was asked and told is in {path}", file=sys.stderr)


def keep(
    folder: Path, history: History, *, struck: Iterable[Struck], logs: Mapping[str, Path]
) -> Path:
    """Write all of it below `folder`, which is made; return the file of the history."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / HISTORY
    path.write_text("".join(f"{line}\n" for line in _lines(history, struck)))
    for name, log in logs.items():
        if log.is_file():
            shutil.copyfile(log, folder / name)
    return path


def _lines(history: History, struck: Iterable[Struck]) -> Iterator[str]:
    for asked in sorted(history.asked, key=lambda one: one.began):
        told = asdict(asked) | {"ended": asked.ended if asked.is_told else None}
        yield json.dumps({"kind": "asked", **told})
    for final in history.final.values():
        yield json.dumps({"kind": "final", **asdict(final)})
    for fault in struck:
        yield json.dumps({"kind": "struck", **asdict(fault)})


def kept(path: Path) -> History:
    """Return the history in a file that `keep` wrote."""
    history = History()
    for line in path.read_text().splitlines():
        told = json.loads(line)
        kind = told.pop("kind")
        if kind == "asked":
            ended = inf if told["ended"] is None else told["ended"]
            history.asked.append(Asked(**told | {"ended": ended}))
        elif kind == "final":
            history.final[told["key"]] = Final(**told | {"ends": tuple(told["ends"])})
    return history
