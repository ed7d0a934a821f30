"""Makes the leaves of one worker: for each run, import and relay, where the host has cgroups."""

import itertools

from sandbox.cgroups.leaf import Hierarchy, Leaf
from sandbox.errors import CellUnstartableError
from sandbox.limits import Limits


class Leaves:
    """Leaves of one hierarchy, or none at all."""

    def __init__(self, hierarchy: Hierarchy | None) -> None:
        self.hierarchy = hierarchy
        self._numbers = itertools.count()

    def make(self, limits: Limits) -> Leaf | None:
        """Return an empty leaf with these limits, where the host has cgroups for us.

        Raises CellUnstartableError.
        """
        if self.hierarchy is None:
            return None
        try:
            return self.hierarchy.leaf(f"leaf-{next(self._numbers)}", limits)
        except OSError as fault:
            raise CellUnstartableError(
                f"no cgroup for the run: {fault}", mend="run `fumehood doctor`"
            ) from fault
