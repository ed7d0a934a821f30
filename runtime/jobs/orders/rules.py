"""What a caller wishes of when its job runs, and what comes of it by manifest and admin. Pure."""

from collections.abc import Iterator
from dataclasses import field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from frozen.values import changed, frozen
from runtime.settings.setting_types import DispatchSettings, KeySettings
from runtime.store.jobs.jobs import Keep
from runtime.values.records import Job, JsonObject
from runtime.values.retries import RetryCeiling, RetryPolicy, judge_retry, under
from runtime.values.when.keys import Keyed, KeyRule, keyed, rule_for
from runtime.values.when.line import HIGHEST
from wheelhouse.problem import Problem

RETRY = TypeAdapter(RetryPolicy)
RULE = TypeAdapter(KeyRule)


@frozen
class Wish:
    """What a caller asks for beside what to run. `unique` is a key, of which one job is kept."""

    retry: RetryPolicy | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    unique: str = ""
    keep: Keep = "first"
    priority: int = 0
    schedule_id: str | None = None


NO_WISH = Wish()
WISH = TypeAdapter(Wish)


@frozen
class DispatchPolicy:
    """The admin's rules for which job runs when."""

    ceiling: RetryCeiling = field(default_factory=RetryCeiling)
    priority_most: int = HIGHEST
    concurrency: tuple[KeyRule, ...] = ()
    rates: tuple[KeyRule, ...] = ()


@frozen
class Rules:
    """The rules that one job waits and runs by."""

    retry: RetryPolicy | None
    slot: Keyed | None
    rate: Keyed | None


def with_rules(job: Job, rules: Rules) -> Job:
    """Return `job` as it waits and runs by its rules."""
    slot, rate = rules.slot, rules.rate
    return changed(
        job,
        retry=rules.retry,
        slot_key=slot.key if slot else None,
        slot_most=slot.most if slot else None,
        rate_key=rate.key if rate else None,
        rate_between_s=rate.between_s if rate else None,
    )


def rules_of(
    wish: Wish,
    *,
    manifest: JsonObject,
    policy: DispatchPolicy,
    package: str,
    principal: str,
    parameters: JsonObject,
) -> Rules:
    """Return the rules for one job: its caller's, the admin's, those of its manifest."""
    keys: dict[str, Any] = {"package": package, "principal": principal, "parameters": parameters}
    retry = wish.retry or _retry_of(manifest, ceiling=policy.ceiling)
    slot = rule_for(
        package, of_manifest=_rule_of(manifest, "concurrency"), of_admin=policy.concurrency
    )
    rate = rule_for(package, of_manifest=_rule_of(manifest, "rate"), of_admin=policy.rates)
    return Rules(retry=retry, slot=keyed(slot, **keys), rate=keyed(rate, **keys))


def _retry_of(manifest: JsonObject, *, ceiling: RetryCeiling) -> RetryPolicy | None:
    said = manifest.get("retry")
    return under(RETRY.validate_python(said), ceiling) if said else None


def _rule_of(manifest: JsonObject, name: str) -> KeyRule | None:
    said = manifest.get(name)
    return RULE.validate_python(said) if said else None


def judge_wish(wish: Wish, *, policy: DispatchPolicy, at: datetime) -> Iterator[Problem]:
    """Yield what cannot be had: beyond the admin's ceiling, past, or against itself."""
    yield from judge_retry(wish.retry, ceiling=policy.ceiling)
    if wish.priority > policy.priority_most:
        yield _fault(
            "over-ceiling",
            f"the priority is {wish.priority}, and the admin allows {policy.priority_most}",
            "priority",
            "ask for a lower one; the setting is `dispatch.priority_most`",
        )
    if wish.expires_at is not None and wish.expires_at <= at:
        yield _fault("past", "expires_at is over already", "expires_at", "name a time to come")
    if wish.expires_at and wish.not_before and wish.expires_at <= wish.not_before:
        what = "the job must not begin before not_before, nor after expires_at, which is not later"
        yield _fault("contradiction", what, "expires_at", "let it expire after not_before")
    if wish.keep == "newest" and not wish.unique:
        what = "keep says which of the jobs with one key is kept, and there is no key"
        yield _fault("contradiction", what, "unique", "name a key in `unique`")


def _fault(code: str, what: str, field_name: str, mend: str) -> Problem:
    return Problem(code=code, what=what, where=f"job: /{field_name}", mend=mend)


def policy_of(settings: DispatchSettings) -> DispatchPolicy:
    """Return the admin's rules as values."""
    return DispatchPolicy(
        ceiling=RetryCeiling(attempts=settings.retry_attempts, backoff_s=settings.retry_backoff_s),
        priority_most=settings.priority_most,
        concurrency=tuple(_value_of(rule) for rule in settings.concurrency),
        rates=tuple(_value_of(rule) for rule in settings.rates),
    )


def _value_of(rule: KeySettings) -> KeyRule:
    return KeyRule(key=rule.key, most=rule.most, per_s=rule.per_s, package=rule.package)
