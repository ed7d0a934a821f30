"""The model and the store side by side: they tell the same, and look the same, at each step."""

from functools import partialmethod
from typing import Any

from support.simulation.invariants import Broken
from support.simulation.model import Model
from support.simulation.of_store import OfStore
from support.simulation.seen import Seen


class Both:
    """Two machines as one; what they do not agree about is Broken."""

    def __init__(self, store: OfStore) -> None:
        self._store = store
        self._model = Model()

    def look(self) -> Seen:
        """Return what both see."""
        there, here = self._store.look(), self._model.look()
        if there != here:
            raise Broken(f"the store shows\n{there}\nand the model\n{here}")
        return there

    def _ask(self, what: str, *args: Any, **given: Any) -> Any:
        there = getattr(self._store, what)(*args, **given)
        here = getattr(self._model, what)(*args, **given)
        if _plain(there) != _plain(here):
            raise Broken(f"{what} {args}: the store tells {there}, and the model {here}")
        return there

    submit = partialmethod(_ask, "submit")
    cancel = partialmethod(_ask, "cancel")
    retry = partialmethod(_ask, "retry")
    answer = partialmethod(_ask, "answer")
    claim = partialmethod(_ask, "claim")
    write = partialmethod(_ask, "write")
    finish = partialmethod(_ask, "finish")
    ask = partialmethod(_ask, "ask")
    give_back = partialmethod(_ask, "give_back")
    unclaim = partialmethod(_ask, "unclaim")
    running_elsewhere = partialmethod(_ask, "running_elsewhere")
    running_on = partialmethod(_ask, "running_on")
    are_due = partialmethod(_ask, "are_due")
    late = partialmethod(_ask, "late")
    is_due = partialmethod(_ask, "is_due")
    expire = partialmethod(_ask, "expire")
    overdue = partialmethod(_ask, "overdue")
    expire_question = partialmethod(_ask, "expire_question")
    untold = partialmethod(_ask, "untold")
    tell = partialmethod(_ask, "tell")


def _plain(told: Any) -> Any:
    """Return what was told, a list of things in any order as a set."""
    return set(told) if isinstance(told, tuple) else told
