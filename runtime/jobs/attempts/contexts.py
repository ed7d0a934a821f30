"""What the last versions ran in, kept by activation: each run of one has most of it in common."""

from collections import OrderedDict

from packages.lock.grant import GateState
from packages.runs.hooks import RunContext

MOST = 256


class Contexts:
    """Contexts of runs, for as long as what they were made of is so."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, RunContext] = OrderedDict()

    def known(self, activation_id: str, *, gate: GateState, key: str) -> RunContext | None:
        """Return the context of a version in the environment `key`, if it holds with this gate."""
        context = self._kept.get(activation_id)
        if context is None or context.environment.key != key or context.grant.gate != gate:
            return None
        return context if context.bundle.folder.is_dir() else None  # a full home lets go of it

    def keep(self, activation_id: str, context: RunContext) -> RunContext:
        """Keep a context in the place of the one before; return it."""
        self._kept[activation_id] = context
        self._kept.move_to_end(activation_id)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return context
