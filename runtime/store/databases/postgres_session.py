"""One connection to PostgreSQL for one thread, opened again when the server was away.

asyncpg wants an event loop, and the functions of the store are synchronous: so each thread has a
loop of its own, and none of it holds up the loop that serves. It is uvloop's: a job's statements
took 7.5 ms of processor time by asyncio's, and take 5.3.

A server that dies while it commits answers nothing, and the commit may have been kept. Who begins
by `TO_BE_KNOWN` learns the number of the transaction before, without a journey of its own, and asks
afterwards what became of it (pg_xact_status,
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import uvloop
from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from runtime.faults.errors import StoreAway
from runtime.store.statements.drivers import cleaned
from runtime.store.statements.json_text import from_text, to_text

CONNECT_S = 5.0
ROLLBACK_S = 2.0
STATEMENT_S, ANSWER_S = 20, 25.0
"""How long a statement may take there, and how long we wait for its answer: a connection that a
firewall has forgotten answers nothing, and the kernel tells of it after a quarter of an hour."""
STATEMENTS_KEPT = 500
"""Of how many statements a connection keeps the plan; the store has some three hundred."""
NAME = "fumehood"
TO_BE_KNOWN = f"set_config('application_name', '{NAME} ' || pg_current_xact_id(), true)"
"""An expression for a SELECT at the beginning: the server reports each change of this setting with
its next answer (GUC_REPORT), and that is how the number of the transaction comes here."""
STATUS = "SELECT pg_xact_status($1::text::xid8)"
KNOWN: Mapping[str, bool] = {"committed": True, "aborted": False}
SERVER_SETTINGS = {
    "application_name": NAME,
    # Who is cut off in the midst of a transaction holds up every writer until then.
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": f"{STATEMENT_S}s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
    "timezone": "UTC",
    "jit": "off",  # a plan that is used again and again would be compiled for each use
}


class PostgresSession:
    """Transactions in a database, one after the other. Used by one thread at a time."""

    def __init__(self, url: str, *, answer_s: float | None = ANSWER_S) -> None:
        self._engine = engine_of(url, answer_s=answer_s)
        self._connection: AsyncConnection | None = None
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def transact[T](self, act: Callable[[Connection], T], *, begin: str) -> T:
        """Run `act` between the SQL `begin` and a commit; take back what it did if it raises.

        Raises StoreAway where the server cannot be reached. A connection that was lost before the
        commit is opened anew once, and `act` called again: nothing of it can have been kept.
        Raises AnswerLost where it may have been, and `became_of` can tell.
        """
        try:
            return self._runner.run(self._transact(act, begin))
        except _LostBefore:
            pass
        try:
            return self._runner.run(self._transact(act, begin))
        except _LostBefore as error:
            raise away(error.__cause__ or error) from error.__cause__

    async def _transact[T](self, act: Callable[[Connection], T], begin: str) -> T:
        connection = await self._connected()
        raw: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await raw.execute(begin)
            number = _number_of(raw)
            value = await connection.run_sync(act)
        except BaseException as error:
            if await self._taken_back(raw):
                raise
            raise _LostBefore from error
        try:
            await raw.execute("COMMIT")
        except BaseException as error:
            # Whether it was kept is not known here, so it is not done again. Who answers with a
            # fault has kept nothing.
            if await self._taken_back(raw) and not isinstance(error, TimeoutError):
                raise
            if number:
                raise AnswerLost(number, value=value, as_error=away(error)) from error
            raise away(error) from error
        return value

    def became_of(self, number: str) -> bool | None:
        """Return whether the transaction `number` was kept; None where that is not known yet."""
        try:
            return self._runner.run(self._became_of(number))
        except StoreAway:
            return None

    async def _became_of(self, number: str) -> bool | None:
        raw: Any = (await (await self._connected()).get_raw_connection()).driver_connection
        try:
            return KNOWN.get(await raw.fetchval(STATUS, number))
        except Exception as error:
            if await self._taken_back(raw):
                # The number is not one of this server's: a copy took its place that never had it.
                return False
            raise away(error) from error

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    self._connection = await self._engine.connect()
            except Exception as error:  # asyncpg's, the system's, or a timeout: all mean the same
                raise away(error) from error
        return self._connection

    async def _taken_back(self, raw: Any) -> bool:
        """Take back what was done; return whether the connection is as good as before."""
        try:
            async with asyncio.timeout(ROLLBACK_S):
                if not raw.is_closed():
                    await raw.execute("ROLLBACK")
                    return True
        except Exception:
            raw.terminate()
        await self._let_go()
        return False

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        await self._engine.dispose()


class _LostBefore(Exception):
    """The connection was lost before the commit."""


class AnswerLost(Exception):
    """The connection was lost while the transaction `number` was committed, with `value`."""

    def __init__(self, number: str, *, value: Any, as_error: StoreAway) -> None:
        super().__init__(str(as_error))
        self.number = number
        self.value = value
        self.as_error = as_error


def _number_of(raw: Any) -> str:
    """Return the number of the transaction that has begun, where the server has reported it."""
    name, _, number = str(raw.get_settings().application_name).rpartition(" ")
    return number if name == NAME and number.isdigit() else ""


def number_in(connection: Connection) -> str:
    """Return the number of the transaction that a connection is in; nothing where it is unknown."""
    return _number_of(connection.connection.driver_connection)


def engine_of(url: str, *, answer_s: float | None = ANSWER_S) -> AsyncEngine:
    """Return an engine whose connections begin no transaction by themselves.

    So a transaction begins, and takes its lock, in one journey to the server.
    """
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        json_serializer=to_text,
        json_deserializer=from_text,
        connect_args={
            "timeout": CONNECT_S,
            "command_timeout": answer_s,
            "server_settings": SERVER_SETTINGS,
            "prepared_statement_cache_size": STATEMENTS_KEPT,
            "statement_cache_size": STATEMENTS_KEPT,
        },
    )
    event.listen(engine.sync_engine, "before_cursor_execute", _without_nul, retval=True)
    return engine


def _without_nul(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, are_many: Any
) -> tuple[str, Any]:
    """Put U+FFFD in the place of a NUL, of which PostgreSQL's text can hold none."""
    if are_many:
        return statement, [cleaned(one) for one in parameters]
    return statement, cleaned(parameters)


def away(error: BaseException) -> StoreAway:
    """Return what is told of a server that cannot be reached."""
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return StoreAway(
        f"The database cannot be reached: {why}",
        where="database_url",
        mend="see that the server runs and that this host may connect; it is tried again each time",
        retry_after_s=5,
    )
