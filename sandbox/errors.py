"""What can go wrong on our side of the wall. The package's own failures are Outcomes."""

from typing import ClassVar


class SandboxError(Exception):
    """The sandbox could not do its part; the run may be tried again."""

    code: ClassVar[str] = "sandbox-error"

    def __init__(self, what: str, *, mend: str) -> None:
        super().__init__(f"{what} ({mend})")
        self.what = what
        self.mend = mend


class WallsMissingError(SandboxError):
    """This host cannot build walls as good as the run demands."""

    code = "walls-missing"


class NetworkUnwallableError(WallsMissingError):
    """A run was granted a network, and this host cannot give it one of its own."""

    code = "network-unwallable"


class CellUnstartableError(SandboxError):
    """The cell did not come up."""

    code = "cell-unstartable"


class CellLostError(SandboxError):
    """A cell ended before it was given its run; nothing of the run has happened."""

    code = "cell-lost"


class RelayLostError(SandboxError):
    """The relay of a run with network ended before the run did."""

    code = "relay-lost"


class InputUnplaceableError(SandboxError):
    """An input file could not be put in sight of the cell."""

    code = "input-unplaceable"
