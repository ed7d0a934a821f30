"""PostgreSQL in the place of the file: one writer at a time however many processes there are."""

import asyncio
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import Connection, text
from support.postgres import Postgres, postgres_server
from support.postgres_relay import Loss, Relay, relay_before

from runtime.faults.errors import QueueFull, SettingsRefused, StoreAway
from runtime.settings.settings import Settings
from runtime.store import workers
from runtime.store.databases.database import database_at
from runtime.store.jobs import admission, claims
from runtime.store.jobs import jobs as job_store
from runtime.store.schema import tables, tables_around
from runtime.store.schema.migrate import newest
from runtime.values.when.line import Ability

from ..conftest import NOON, activate, fresh_store, job_on, version_of, worker_named

ANY = Ability(platform="")


def count(connection: Connection, name: str) -> int:
    """Add one in two statements, as nobody could who has no lock."""
    found = connection.execute(text(f"SELECT value FROM counters WHERE name = '{name}'")).scalar()
    if found is None:
        connection.execute(text(f"INSERT INTO counters VALUES ('{name}', 1)"))
        return 1
    connection.execute(text(f"UPDATE counters SET value = {found + 1} WHERE name = '{name}'"))
    return found + 1


def value(connection: Connection, name: str) -> int:
    return (
        connection.execute(tables.counters.select().where(tables.counters.c.name == name))
        .one()
        .value
    )


async def test_what_several_processes_count_is_never_lost(
    database_url: str, tmp_path: Path
) -> None:
    stores = [database_at(database_url, home=tmp_path).open() for _ in range(4)]
    told = await asyncio.gather(*(store.run(count, "of-all") for store in stores * 50))
    assert sorted(told) == list(range(1, 201))
    assert await stores[0].read(value, "of-all") == 200
    for store in stores:
        await store.close()


async def test_a_queue_has_the_room_that_it_has_whoever_submits(
    database_url: str, tmp_path: Path
) -> None:
    stores = [database_at(database_url, home=tmp_path).open() for _ in range(3)]
    activation = await activate(stores[0], version_of())
    orders = [
        store.run(job_store.submit, job=job_on(activation), queue_limit=10) for store in stores * 7
    ]
    ended = await asyncio.gather(*orders, return_exceptions=True)
    assert sum(isinstance(one, QueueFull) for one in ended) == 11
    assert await stores[1].read(admission.depth) == 10

    at = replace(worker_named("w1"))
    takes = [
        store.run(claims.claim_next, ability=ANY, token=str(n), worker=at, at=NOON)
        for n, store in enumerate(stores * 5)
    ]
    taken = [one.job.id for one in await asyncio.gather(*takes) if one]
    assert len(taken) == len(set(taken)) == 10
    for store in stores:
        await store.close()


async def test_two_that_start_together_make_the_tables_once(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.new_database()
    database = database_at(url, home=tmp_path)
    with ThreadPoolExecutor(3) as together:
        for one in [together.submit(database.migrate) for _ in range(3)]:
            await asyncio.wrap_future(one)
    assert postgres.sql(url, "SELECT version_num FROM alembic_version").strip() == newest()
    postgres.drop(url)


async def test_the_tables_are_those_in_the_code_and_text_is_compared_by_its_bytes(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), tables_around.metadata)

    async with fresh_store(tmp_path, url=database_url) as store:
        assert await store.read(differences) == []
    other = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type IN ('character varying', 'text')"
        " AND table_name <> 'alembic_version' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert postgres.sql(database_url, other) == ""


async def test_text_with_a_nul_is_kept_without_it(database_url: str, tmp_path: Path) -> None:
    async with fresh_store(tmp_path, url=database_url) as store:
        odd = replace(worker_named("w1"), host="a\0b")
        await store.run(workers.register, worker=odd)
        assert (await store.read(workers.get, worker="w1")).host == "a\N{REPLACEMENT CHARACTER}b"


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


async def test_a_server_that_died_is_told_and_found_again(
    own_server: Postgres, tmp_path: Path
) -> None:
    url = own_server.new_database()
    async with fresh_store(tmp_path, url=url) as store:
        assert await store.run(count, "before") == 1
        own_server.kill()
        for act in (store.run, store.read):
            with pytest.raises(StoreAway) as told:
                await act(value, "before")
            assert told.value.retry_after_s
        await asyncio.to_thread(own_server.start)
        assert await store.read(value, "before") == 1
        assert await store.run(count, "before") == 2


async def test_a_server_that_was_restarted_between_two_questions_is_not_missed(
    own_server: Postgres, tmp_path: Path
) -> None:
    url = own_server.new_database()
    async with fresh_store(tmp_path, url=url) as store:
        await asyncio.gather(*(store.run(count, "a") for _ in range(5)))
        assert await store.read(value, "a") == 5
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        assert await store.run(count, "a") == 6
        assert await store.read(value, "a") == 6


@pytest.fixture
def relay(own_server: Postgres) -> Iterator[Relay]:
    with (
        tempfile.TemporaryDirectory(
            prefix="relay-", dir="/tmp"
        ) as folder,  # a socket's name is short
        relay_before(own_server, Path(folder)) as relay,
    ):
        yield relay


@pytest.mark.parametrize("what", ["answer", "commit"])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["cut-off", "restarted"])
async def test_what_was_committed_and_not_answered_is_done_once(
    own_server: Postgres, relay: Relay, tmp_path: Path, what: Loss, *, is_restarted: bool
) -> None:
    url = own_server.new_database()
    async with fresh_store(tmp_path, url=relay.url_of(url)) as store:
        assert await store.run(count, "a") == 1
        relay.losing.append(what)
        counting = asyncio.gather(*(store.run(count, "a") for _ in range(3)))
        assert await asyncio.to_thread(relay.lost.wait, 30)
        if is_restarted:
            own_server.kill()
            with pytest.raises(StoreAway):  # who comes meanwhile is told at once
                await store.run(count, "b")
            await asyncio.to_thread(own_server.start)
        assert sorted(await counting) == [2, 3, 4]
        assert await store.run(value, "a") == 4


async def test_who_waits_for_a_lost_answer_is_told_when_the_store_closes(
    own_server: Postgres, relay: Relay, tmp_path: Path
) -> None:
    url = own_server.new_database()
    async with fresh_store(tmp_path, url=relay.url_of(url)) as store:
        relay.losing.append("answer")
        counting = asyncio.ensure_future(store.run(count, "a"))
        assert await asyncio.to_thread(relay.lost.wait, 30)
        own_server.kill()
        await asyncio.sleep(0.5)
        assert not counting.done()
    with pytest.raises(StoreAway):
        await counting


HOLDER = """
import sys, time
from runtime.store.databases.postgres import TO_WRITE
from runtime.store.databases.postgres_session import PostgresSession
def stand_still(connection):
    print("held", flush=True)
    time.sleep(3600)
PostgresSession(sys.argv[1]).transact(stand_still, begin=TO_WRITE)
"""


async def test_who_stands_still_in_a_transaction_holds_up_the_others_for_seconds_only(
    database_url: str, tmp_path: Path
) -> None:
    holder = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLDER, database_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        async with fresh_store(tmp_path, url=database_url) as store:
            async with asyncio.timeout(30):
                assert await store.run(count, "after") == 1
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.wait()


async def test_who_migrates_waits_for_whoever_writes(database_url: str, tmp_path: Path) -> None:
    begun, end = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        end.wait(30)

    async with fresh_store(tmp_path, url=database_url) as store:
        holding = asyncio.ensure_future(store.run(hold))
        await asyncio.to_thread(begun.wait, 30)
        migrating = asyncio.ensure_future(
            asyncio.to_thread(database_at(database_url, home=tmp_path).migrate)
        )
        await asyncio.sleep(0.5)
        assert not migrating.done()
        end.set()
        await asyncio.gather(holding, migrating)


def test_an_address_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="postgresql://"):
        Settings(home=tmp_path, database_url="mysql://here/it")


def test_a_lacking_driver_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("runtime.store.databases.database.DRIVER", "no_such_driver")
    with pytest.raises(SettingsRefused) as told:
        database_at("postgresql://here/it", home=tmp_path)
    assert "fumehood[postgres]" in told.value.problems[0].mend
