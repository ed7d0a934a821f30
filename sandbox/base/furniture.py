"""The folders that every cell with a root of its own finds there: /etc, /bin and /sys.

Each is written once for its content and kept in our home; what is in it is for files.py,
programs.py and limit_files.py to say.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from sandbox.base import files, limit_files, prepared, programs
from sandbox.errors import CellUnstartableError
from sandbox.limits import Limits
from sandbox.network import etc as network_etc
from sandbox.network_rules import NetworkRules


class Furnishings:
    """The folders that one worker has made, or has found made."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._etc_of_all: Path | None = None
        self._programs: Path | None = None

    def etc(self, network: NetworkRules | None) -> Path:
        """Return the cell's /etc; one with network has certificates besides."""
        if network is None:  # made once: to digest a megabyte takes 4 ms of a start
            self._etc_of_all = self._etc_of_all or self._etc_of(files.etc_files())
            return self._etc_of_all
        try:
            found = files.etc_files() | network_etc.files(network.ca_bundle)
        except OSError as fault:
            raise CellUnstartableError(
                f"the certificates for a run with network cannot be read: {fault}",
                mend="correct the setting run_network_ca_bundle",
            ) from fault
        return self._etc_of(found)

    def programs(self) -> Path:
        """Return the cell's /bin."""
        self._programs = self._programs or _written_programs(self._home)
        return self._programs

    def sys(self, limits: Limits) -> Path:
        """Return the cell's /sys, which shows how much a run may use."""
        wanted = limit_files.below_sys(limits, processors=len(os.sched_getaffinity(0)))
        return prepared.kept(self._home / f"sys-{prepared.digest(wanted)}", wanted)

    def _etc_of(self, wanted: Mapping[str, bytes]) -> Path:
        return prepared.kept(self._home / f"etc-{prepared.digest(wanted)}", wanted)


def _written_programs(home: Path) -> Path:
    folder = home / f"bin-{programs.digest()[:16]}"
    if not folder.exists():
        fresh = prepared.fresh(folder)
        programs.copy_to(fresh)
        prepared.publish(fresh, folder, mode=0o755)
    return folder
