"""Judgement: a named pure function, what it returns, and what it may cost."""

from dataclasses import field

from pydantic import TypeAdapter

from frozen.values import frozen
from wheelhouse.judges.budget import Budget


@frozen
class Judgement[T]:
    """What a judge can be asked: `target` (module:function) is called with plain arguments.

    It returns (value or None, problems); `returns` says what the value must look like. A name
    and not the function itself, since it is looked up on the other side.
    """

    target: str
    returns: TypeAdapter[T]
    budget: Budget = field(default_factory=Budget)
