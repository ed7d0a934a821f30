"""What an appliance under chaos keeps its things in: the settings, and what runs beside it meanwhile.

One entry for each backend. A cluster's will start its servers here, and add what can go wrong with
them to the faults.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


@contextmanager
def embedded(folder: Path) -> Iterator[Mapping[str, str]]:
    """Offer the settings of one process with its database and its queue inside: none."""
    yield {}


type Backend = Callable[[Path], AbstractContextManager[Mapping[str, str]]]
BACKENDS: Mapping[str, Backend] = {"embedded": embedded}
