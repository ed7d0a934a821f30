"""Units of work are committed together, and each is as alone as if it were the only one."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from runtime.store.databases.sqlite import open_sqlite
from runtime.store.databases.store import Store

SLOW_S = 0.3


def add(connection: Connection, name: str, *, fails: bool = False) -> str:
    connection.execute(text("INSERT INTO counters VALUES (:name, 1)"), {"name": name})
    if fails:
        raise LookupError(name)
    return name


def names(connection: Connection) -> set[str]:
    found = connection.execute(text("SELECT name FROM counters WHERE name LIKE 'unit-%'"))
    return set(found.scalars())


def hold(connection: Connection, *, begun: threading.Event, end: threading.Event) -> None:
    begun.set()
    end.wait(30)
    add(connection, "unit-held")


async def test_one_that_fails_takes_back_its_own_changes_and_nobody_elses(
    store: Store,
) -> None:
    units = (store.run(add, f"unit-{number}", fails=number % 3 == 0) for number in range(60))
    ended = await asyncio.gather(*units, return_exceptions=True)
    failed = {f"unit-{number}" for number in range(60) if number % 3 == 0}
    assert {str(one.args[0]) for one in ended if isinstance(one, LookupError)} == failed
    kept = {one for one in ended if isinstance(one, str)}
    assert await store.read(names) == kept == {f"unit-{n}" for n in range(60)} - failed


async def test_what_is_answered_is_committed(in_sqlite: Store, tmp_path: Path) -> None:
    for number in range(20):
        await in_sqlite.run(add, f"unit-{number}")
        with sqlite3.connect(tmp_path / "fumehood.db") as another:
            (count,) = another.execute(
                "SELECT count(*) FROM counters WHERE name LIKE 'unit-%'"
            ).fetchone()
        assert count == number + 1


async def test_readers_wait_for_no_writer(store: Store) -> None:
    begun, end = threading.Event(), threading.Event()
    held = asyncio.ensure_future(store.run(hold, begun=begun, end=end))
    await asyncio.to_thread(begun.wait, 30)
    try:
        assert await asyncio.wait_for(store.read(names), 10) == set()
        assert not held.done()
    finally:
        end.set()
    await held
    assert await store.read(names) == {"unit-held"}


async def test_a_reader_can_change_nothing(store: Store) -> None:
    with pytest.raises(Exception, match=r"read-?only"):
        await store.read(add, "unit-1")
    assert await store.read(names) == set()


async def test_who_is_cancelled_while_waiting_leaves_the_others_theirs(store: Store) -> None:
    begun, end = threading.Event(), threading.Event()
    held = asyncio.ensure_future(store.run(hold, begun=begun, end=end))
    await asyncio.to_thread(begun.wait, 30)
    waiting = [asyncio.ensure_future(store.run(add, f"unit-{number}")) for number in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    end.set()
    await asyncio.gather(held, waiting[0], waiting[2])
    assert {"unit-0", "unit-2"} <= await store.read(names)


async def test_what_fails_at_the_commit_fails_for_all_and_the_next_one_goes_on(
    store: Store,
) -> None:
    def break_promise(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        row = (
            "INSERT INTO versions VALUES ('none', '1', 'd', 1, 't', '{}', '[]', '2026-01-01', 'me')"
        )
        connection.execute(text(row))

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await store.run(break_promise)
    assert await store.run(add, "unit-after") == "unit-after"
    assert await store.read(names) == {"unit-after"}


async def test_a_store_that_cannot_be_opened_is_told_and_nobody_waits_for_ever(
    tmp_path: Path,
) -> None:
    place = tmp_path / "gone"
    store = open_sqlite(place / "fumehood.db")
    place.rmdir()
    for _ in range(2):
        with pytest.raises(OperationalError):
            await asyncio.wait_for(store.run(names), 10)
    place.mkdir()
    assert await store.run(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
    await store.close()
