"""What goes to the process that writes, and what comes back: pickles, each behind its length.

Both ends are of one release and one user, and the socket has no name that others could reach.
"""

import pickle
import struct
from collections.abc import Generator, Sequence
from typing import Any

from frozen.values import frozen
from runtime.faults.errors import RuntimeFault
from runtime.store.databases.units import Ended

LENGTH = struct.Struct("!I")
type Said = tuple[bool, Any]
"""Whether a unit has raised, and that, or its value."""
type Answer = tuple[int, Sequence[Said] | None]
"""The number of a group, and what came of its units; None where they are to be run elsewhere."""


@frozen
class Receipt:
    """What a process kept before it committed a group: `receipt` is for the database to know.

    `answer` is what it would have said, and only to be read where the group was committed.
    """

    receipt: str
    number: int
    answer: bytes

    def ended(self) -> list[Ended]:
        """Return what came of the units. Raises whatever a pickle may that is not of this code."""
        _, said = pickle.loads(self.answer)  # noqa: S301 - from a process of ours
        return ended_as(said)


class NotHereError(Exception):
    """What came of a unit cannot be told to another process: it is to be run in that one."""


def framed(payload: bytes) -> bytes:
    """Return `payload` behind its length."""
    return LENGTH.pack(len(payload)) + payload


def frames_of(buffer: bytearray) -> Generator[bytes]:
    """Yield the whole frames in `buffer`, and take them out of it."""
    while len(buffer) >= LENGTH.size:
        end = LENGTH.size + LENGTH.unpack_from(buffer)[0]
        if len(buffer) < end:
            return
        yield bytes(buffer[LENGTH.size : end])
        del buffer[:end]


def answer_to(number: int, ended: Sequence[Ended]) -> bytes:
    """Return what is said of a group. Raises NotHereError.

    A fault of ours goes across with all its facts. Any other error is for the process to see that
    has to make something of it: a database's own says by its type and its attributes what it is.
    """
    said = [_word_of(one) for one in ended]
    try:
        payload = pickle.dumps((number, said), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise NotHereError from error
    return payload


def receipt_in(kept: bytes) -> Receipt | None:
    """Return what a process kept last, nothing where it had not come so far."""
    for frame in frames_of(bytearray(kept)):
        receipt, number, answer = pickle.loads(frame)  # noqa: S301 - from a process of ours
        return Receipt(receipt=receipt, number=number, answer=answer)
    return None


def ended_as(said: Sequence[Said]) -> list[Ended]:
    """Return what came of units as it was before it went across."""
    return [Ended(error=one) if has_raised else Ended(value=one) for has_raised, one in said]


def _word_of(ended: Ended) -> Said:
    if ended.error is None:
        return False, ended.value
    if not isinstance(ended.error, RuntimeFault):
        raise NotHereError from ended.error
    return True, ended.error
