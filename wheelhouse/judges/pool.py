"""A small pool of warm judges, and the one way to ask them."""

import asyncio
import json
import threading
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from wheelhouse.errors import JudgeFailed
from wheelhouse.judges.budget import Budget
from wheelhouse.judges.warm import Answered, JudgeLostError, WarmJudge
from wheelhouse.problem import Problem

if TYPE_CHECKING:
    from wheelhouse.judges.judgement import Judgement

AT_ONCE = 2
ASKED_OF_ONE = 500
"""A warm judge is renewed after so many judgements, though none of them left a trace in it."""

type Meter = Callable[[str, Answered], None]
"""Told what each judgement cost."""


def unmetered(about: str, answered: Answered) -> None:
    """Note nothing."""


class Judges:
    """Warm judges, at most `at_once`; each starts when it is first needed, or before (`begin`).

    >>> from wheelhouse.metadata.wheel import WHEEL
    >>> with Judges() as judges:
    ...     facts, problems = judges.judge(
    ...         WHEEL, about="no.whl", path="/dev/null", filename="no.whl", folder="/"
    ...     )
    >>> facts, [problem.code for problem in problems]
    (None, ['bad-wheel-name', 'not-a-zip'])
    """

    def __init__(self, *, at_once: int = AT_ONCE, meter: Meter = unmetered) -> None:
        self._idle: list[tuple[WarmJudge, int]] = []
        self._free = threading.BoundedSemaphore(at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="fumehood-judge")
        self._meter = meter
        # Who forgets to close must not leave processes behind; they would end by themselves when
        # the socket is collected, and stay as zombies.
        self._ended = weakref.finalize(self, _end, self._idle, self._threads)

    def __enter__(self) -> Self:
        """Return the judges."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every judge."""
        self.close()

    def close(self) -> None:
        """End every judge that waits."""
        self._ended()

    def begin(self, module: str) -> None:
        """Start a judge for judgements of `module`, which imports it before anybody asks.

        For who knows that one will be asked, and has other things to do first (0.4 s for a
        bundle's). Where none can be started that is said to who asks.
        """
        with suppress(OSError):
            self._idle.append((WarmJudge(first=module), 0))

    def judge[T](
        self,
        judgement: "Judgement[T]",
        *,
        about: str,
        budget: Budget | None = None,
        **arguments: Any,
    ) -> tuple[T | None, list[Problem]]:
        """Return what `judgement` finds, or every problem. Raises JudgeFailed where *we* failed.

        `about` is what people call the input. Blocks: call it from a thread (see `beside`).
        """
        budget = budget or judgement.budget
        answered = self._ask(_order(judgement, about, budget, arguments), budget)
        self._meter(about, answered)
        return _verdict(answered, judgement, about=about, budget=budget)

    async def beside[T](self, action: Callable[..., T], /, *args: Any, **named: Any) -> T:
        """Return what `action`, which asks a judge, comes to; in a thread kept for that.

        asyncio's own few threads stay free for reads that must not wait.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(action, *args, **named))

    def _ask(self, order: bytes, budget: Budget) -> Answered:
        """Ask a judge; another one where the first is gone. Raises JudgeFailed."""
        with self._free:
            try:
                return self._ask_one(order, budget)
            except JudgeLostError:
                while self._idle:  # what took one may have taken all
                    self._idle.pop()[0].kill()
            try:
                return self._ask_one(order, budget)
            except JudgeLostError as lost:
                raise JudgeFailed(_failed("judges", "every judge is killed at once")) from lost

    def _ask_one(self, order: bytes, budget: Budget) -> Answered:
        try:
            judge, asked = self._idle.pop() if self._idle else (WarmJudge(), 0)
        except OSError as error:  # no more processes or descriptors
            raise JudgeFailed(_failed("judges", f"no judge can be started: {error}")) from error
        try:
            answered = judge.ask(order, budget=budget)
        except BaseException:
            judge.kill()
            raise
        if judge.is_alive and asked + 1 < ASKED_OF_ONE and not answered.crossed:
            self._idle.append((judge, asked + 1))
        else:
            judge.kill()
        return answered


def _verdict[T](
    answered: Answered, judgement: "Judgement[T]", *, about: str, budget: Budget
) -> tuple[T | None, list[Problem]]:
    """Return what an answer says, checked before it is believed. Raises JudgeFailed."""
    # Here, so that a judge can be started before pydantic is imported.
    from wheelhouse.judges import verdict  # noqa: PLC0415

    if answered.crossed:
        return None, [verdict.too_costly(about, answered.crossed, budget)]
    if answered.signal:
        why = f"its judge was ended by signal {answered.signal}"
        return None, [verdict.cannot_be_judged(about, why)]
    try:
        heading, value = verdict.read_answer(answered.raw, returns=judgement.returns, budget=budget)
    except verdict.Nonsense as nonsense:
        return None, [verdict.cannot_be_judged(about, f"its judge gave no answer: {nonsense}")]
    if heading.errno:
        raise JudgeFailed(_failed(about, heading.failure))
    return value, list(heading.problems)


def _order(
    judgement: "Judgement[Any]", about: str, budget: Budget, arguments: Mapping[str, Any]
) -> bytes:
    return json.dumps(
        {
            "target": judgement.target,
            "about": about,
            "budget": asdict(budget),
            "arguments": dict(arguments),
        }
    ).encode()


def _end(idle: list[tuple[WarmJudge, int]], threads: ThreadPoolExecutor) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    while idle:
        idle.pop()[0].kill()


def _failed(about: str, failure: str) -> Problem:
    mend = "look for what the host is short of (disk, memory, processes), and send it again"
    return Problem(code="judge-failed", what=failure, where=about, mend=mend)
