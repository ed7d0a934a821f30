"""The gate is closed unless somebody opened it for a reason, and it closes by itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import Connection, update

from packages.lock.grant import CLOSED_BY_DEFAULT
from runtime.faults.errors import InputRefused
from runtime.gate.opening import close_gate, close_if_over, is_open, open_gate, opened
from runtime.gate.watch import gate_state
from runtime.store.access import audit
from runtime.store.databases.store import Store
from runtime.store.schema import tables
from runtime.values.records import Gate

from ..conftest import NOON

type Later = Callable[[float], datetime]


def gate_until(until: datetime) -> Gate:
    return opened(until=until, reason="first install", who="ana", packages=("numpy",), at=NOON)


async def test_it_is_closed_by_default(store: Store) -> None:
    gate = await store.run(close_if_over, at=NOON)
    assert not is_open(gate, at=NOON)
    assert gate_state(gate) == CLOSED_BY_DEFAULT  # for which a try prepares its bundle ahead


async def test_it_opens_for_a_while_and_closes_by_itself(store: Store, later: Later) -> None:
    await store.run(open_gate, gate=gate_until(later(60)))
    assert is_open(await store.run(close_if_over, at=later(59)), at=later(59))

    over = await store.run(close_if_over, at=later(61))
    assert not over.is_open
    assert over.changed_at == later(60), "it was closed when its time was over, not when we looked"
    entries = (await store.run(audit.list_entries, limit=9, cursor=None)).items
    assert [(one.action, one.who) for one in entries] == [
        ("gate.close", "fumehood"),
        ("gate.open", "ana"),
    ]
    assert entries[1].details["reason"] == "first install"


async def test_closing_what_is_closed_says_nothing(store: Store) -> None:
    await store.run(close_gate, who="ana", reason="", at=NOON)
    assert (await store.run(audit.list_entries, limit=9, cursor=None)).items == ()


@pytest.mark.parametrize(("seconds", "reason"), [(60, " "), (0, "x"), (-5, "x"), (8 * 86_400, "x")])
def test_no_reason_or_no_sensible_time_opens_nothing(
    later: Later, seconds: float, reason: str
) -> None:
    with pytest.raises(InputRefused):
        opened(until=later(seconds), reason=reason, who="ana", packages=(), at=NOON)


def test_a_gate_opens_for_names_only(later: Later) -> None:
    with pytest.raises(InputRefused) as refused:
        opened(until=later(60), reason="x", who="ana", packages=("numpy", "six>=1", ""), at=NOON)
    assert len(refused.value.problems) == 2


async def test_what_is_changed_in_the_log_is_found(store: Store, later: Later) -> None:
    for seconds in (60, 120, 180):
        await store.run(open_gate, gate=replace(gate_until(later(seconds)), who=f"u{seconds}"))
    assert await store.run(audit.first_break) is None

    def forge(connection: Connection) -> None:
        connection.execute(update(tables.audit).where(tables.audit.c.seq == 2).values(who="eve"))

    await store.run(forge)
    assert await store.run(audit.first_break) == 2
