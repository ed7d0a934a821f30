"""Whether a job that its package failed is tried again by itself, and when."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from frozen.values import frozen
from runtime.values.backoff import doubled
from wheelhouse.problem import Problem

MOST_NAMES = 20


@frozen
class RetryPolicy:
    """How often a job is run, at most, whose package failed; the first time counts.

    `backoff_s` is the wait before the second attempt, which doubles each time. `on` are codes of
    errors or names of exceptions; where there are none, any failure of the package.
    """

    attempts: int
    backoff_s: float = 1.0
    on: tuple[str, ...] = ()


@frozen
class RetryCeiling:
    """The most that an admin allows."""

    attempts: int = 10
    backoff_s: float = 3600.0


def is_meant(policy: RetryPolicy, *, code: str, what: str) -> bool:
    """Return whether `policy` is about an error with that code, told as `what`.

    >>> policy = RetryPolicy(attempts=3, on=("ConnectionError", "over-limit"))
    >>> is_meant(policy, code="package-raised", what="ConnectionError: refused")
    True
    >>> is_meant(policy, code="package-raised", what="ValueError: no number")
    False
    """
    exception = what.partition(":")[0].strip()
    names = {code, exception, exception.rpartition(".")[2]}
    return not policy.on or not names.isdisjoint(policy.on)


def again_at(
    policy: RetryPolicy | None,
    *,
    code: str,
    what: str,
    failures: int,
    ended_at: datetime,
    jitter: float,
) -> datetime | None:
    """Return when a job is due again whose package failed for the `failures`th time, if it is.

    `jitter` is 0 to 1: jobs that failed together do not come back together.
    """
    if policy is None or failures >= policy.attempts:
        return None
    if not is_meant(policy, code=code, what=what):
        return None
    wait = doubled(policy.backoff_s, times=failures - 1, jitter=jitter)
    return ended_at + timedelta(seconds=wait)


def under(policy: RetryPolicy, ceiling: RetryCeiling) -> RetryPolicy:
    """Return what a manifest asks for as far as the admin allows it."""
    return RetryPolicy(
        attempts=min(policy.attempts, ceiling.attempts),
        backoff_s=min(policy.backoff_s, ceiling.backoff_s),
        on=policy.on,
    )


def judge_retry(policy: RetryPolicy | None, *, ceiling: RetryCeiling) -> Iterable[Problem]:
    """Yield what a caller asks for beyond the ceiling."""
    if policy is None:
        return
    for name, most in (("attempts", ceiling.attempts), ("backoff_s", ceiling.backoff_s)):
        asked = getattr(policy, name)
        if asked > most:
            yield Problem(
                code="over-ceiling",
                what=f"{name} is {asked:g}, and the admin allows {most:g}",
                where=f"job: /retry/{name}",
                mend=f"ask for {most:g} at most; the setting is `dispatch.retry_{name}`",
            )
