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


class CellTamperedError(CellUnstartableError):
    """A fork of a warm cell is not what was ordered: its import took hold of the runner."""

    code = "cell-tampered"


class CellLostError(SandboxError):
    """A cell ended before it was given its run; nothing of the run has happened."""

    code = "cell-lost"


class ForkRefusedError(CellLostError):
    """The kernel would not make one more process just now."""

    code = "fork-refused"


class RelayLostError(SandboxError):
    """The relay of a run with network ended before the run did."""

    code = "relay-lost"


class InputUnplaceableError(SandboxError):
    """An input file could not be put in sight of the cell."""

    code = "input-unplaceable"
