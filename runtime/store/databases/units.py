"""Units of work: what a store runs in a transaction, and what came of each.

A unit may be called again where the transaction around it came to nothing, so all that it does,
it does through its connection.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from frozen.values import frozen

type Unit = Callable[[Connection], Any]
OF_EACH_JOB = "_of_each_job"


@frozen
class Ended:
    """What came of a unit: its value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


type BeforeCommit = Callable[[str, list[Ended]], None]
"""Called with what came of units and the receipt of their transaction, by which its end can be
asked for later. What it raises, they have raised."""


class InDoubt(Exception):
    """The answer to a commit was lost: whether it was kept is not known yet.

    `ended` is what came of its units if it was; `was_kept` asks the database, and returns None
    for as long as that cannot be asked. `as_error` is what is told where nobody will ever know.
    """

    def __init__(
        self, ended: list[Ended], *, was_kept: Callable[[], bool | None], as_error: Exception
    ) -> None:
        super().__init__(str(as_error))
        self.ended = ended
        self.was_kept = was_kept
        self.as_error = as_error


class OneRaised(Exception):
    """A unit of a group raised: what the others did is taken back with it."""

    def __init__(self, raised: Exception) -> None:
        super().__init__(str(raised))
        self.raised = raised


def of_each_job[F: Callable[..., Any]](act: F) -> F:
    """Mark what is written for each job: it may be written by a process beside this one.

    So it is a function of a module, what it takes and returns can be pickled, and of what it
    raises the faults of ours can, too (`apart`).
    """
    setattr(act, OF_EACH_JOB, True)
    return act


def is_of_each_job(act: Callable[..., Any]) -> bool:
    """Return whether `act` is marked so."""
    return hasattr(act, OF_EACH_JOB)


class Writer(Protocol):
    """What commits units together; used by one thread."""

    def commit(self, units: Sequence[Unit]) -> list[Ended]:
        """Run `units` in one transaction; return what came of each, once it is committed.

        Raises InDoubt where it may be committed.
        """
        ...

    def became_of(self, receipt: str) -> bool | None:
        """Return whether the transaction of a receipt was kept; None where nobody can tell yet."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


def called[T](
    act: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object], at: Connection
) -> T:
    """Call `act` with the connection of its transaction."""
    return act(at, *args, **kwargs)


def run_together(connection: Connection, *, units: Sequence[Unit]) -> list[Ended]:
    """Run `units` one after the other; raise OneRaised for the first that raises.

    Nothing stands between them: savepoints are two statements for each unit, and SQLite keeps each
    page that changes twice for them. They are made where one has raised, and then all begin again.
    """
    ended: list[Ended] = []
    for unit in units:
        try:
            ended.append(Ended(value=unit(connection)))
        except Exception as error:
            raise OneRaised(error) from error
    return ended
