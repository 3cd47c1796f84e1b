"""The database: one engine, one pool per process, one kind of transaction."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, LiteralString, Self

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction
from piccolo.querystring import QueryString

from . import clock, tenants, tracing
from .reaching import DatabaseSlow, asking_database

log = logging.getLogger(__name__)


CLOCK_SECONDS = 0.05
"""A look at the database's clock that takes longer is not believed by who follows it already."""

CLOCK_LOOKS = 5
"""How often it is looked at for one that takes less."""

CLOSE_SECONDS = 5.0
"""How long statements that still run may take when a process leaves the database."""

COMMAND_SECONDS = 60.0
SERVER_SETTINGS = {"jit": "off", "application_name": "postlane", "timezone": "UTC"}
"""Statements are prepared once per connection. JIT compiles plans of a millisecond for many
milliseconds, which short statements never earn back."""


class Transaction(PostgresTransaction):
    """Piccolo's transaction, which lets go of everything also when its end fails.

    Piccolo's own keeps the connection, and the idea that a transaction is open, when commit
    or rollback raises, as they do when the server dies: some crashes later the pool is empty,
    and a task that goes on can never open another.
    """

    pool: asyncpg.Pool | None
    """Where its connection goes back to."""
    whose: tenants.Organizations | None
    """Whose rows it sees; None is the platform."""

    async def __aenter__(self) -> Self:
        engine = self.engine
        assert isinstance(engine, Engine)
        # Whose the connection is may change within: who signs in is somebody then.
        self.pool, self.whose = engine.pool_of_whoever_asks(), tenants.current()
        with asking_database:
            self.connection = await (
                engine.acquire(self.pool, begins=True) if self.pool else engine.get_new_connection()
            )
        self.transaction = self.connection.transaction()
        try:
            with asking_database:
                await self.transaction.start()
        except BaseException:
            await self._give_back()
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        try:
            if error is None:
                with asking_database:
                    await self.transaction.commit()
            else:
                await self._undo()
        finally:
            self.engine.current_transaction.reset(self.context)
            await self._give_back()
        return error is None

    async def _undo(self) -> None:
        try:
            await self.transaction.rollback()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # The server rolls back what has lost its connection. What broke it is what the
            # caller should see.
            log.debug("a transaction could not be rolled back", exc_info=True)

    async def _give_back(self) -> None:
        if self.pool:
            await self.pool.release(self.connection)
        else:
            await self.connection.close()


class TransactionOfOthers(RuntimeError):
    """The code takes a step for other organizations than the transaction that it is part of."""


class PoolExhausted(DatabaseSlow):
    """No connection of this process became free in time: it is asked more than it can do."""


class Engine(PostgresEngine):
    """Piccolo's engine, which opens no connection before it is told where the database is.

    Who asks for a connection waits for one as long as `wait_seconds`; without that, for ever.
    """

    wait_seconds: float | None = None
    tenant_pool: asyncpg.Pool | None = None
    """For statements of tenants, which other policies hold for; None: they share the one pool."""

    def pool_of_whoever_asks(self) -> asyncpg.Pool | None:
        """Return the pool that statements run in now; None before there is one."""
        if self.tenant_pool is None or tenants.current() is None:
            return self.pool
        return self.tenant_pool

    async def acquire(self, pool: asyncpg.Pool | None = None, *, begins: bool = False) -> Any:
        """Return a connection of *pool*, or of the platform's; it is given back by `release`.

        It is for a statement of whoever asks, or for a transaction that *begins*.

        Raises:
            PoolExhausted: none became free in time.
            DatabaseAway: none could be opened.
        """
        pool = self.pool if pool is None else pool
        assert pool is not None
        is_tenants = pool is self.tenant_pool
        try:
            with asking_database:
                connection = await pool.acquire(timeout=self.wait_seconds)
        except TimeoutError as error:
            raise PoolExhausted(f"no connection within {self.wait_seconds} s") from error
        if is_tenants:
            organizations = tenants.current() or tenants.NOBODY
            if begins:
                connection.begin_for(organizations)
                return connection
            try:
                with asking_database:
                    await connection.act_for(organizations)
            except BaseException:
                await pool.release(connection)
                raise
        return connection

    async def run_in_pool(self, statement: str, args: Sequence[Any]) -> Any:
        """Run one statement on a connection of the pool and return its rows."""
        pool = self.pool_of_whoever_asks()
        assert pool is not None
        connection = await self.acquire(pool)
        try:
            with asking_database:
                return await connection.fetch(statement, *args)
        finally:
            await pool.release(connection)

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:
        """Do what Piccolo's own does, which waits for ever."""
        return await self.run_in_pool(query, args or [])

    def opened(self) -> Any:
        """Return the connection of the transaction that is open, None if none is.

        Raises:
            TransactionOfOthers: it is not that of whoever asks now, and would find other rows.
        """
        transaction = self.current_transaction.get()
        if transaction is None:
            return None
        assert isinstance(transaction, Transaction)
        if transaction.whose != tenants.current():
            raise TransactionOfOthers("a step in a transaction is for others than the transaction")
        return transaction.connection

    async def check_version(self) -> None:
        """Do nothing: importing a table must not need a database; `doctor` checks versions."""

    async def prep_database(self) -> None:
        """Do nothing: no extension is needed."""

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> Any:
        """Run one statement that Piccolo has built."""
        self.opened()
        with tracing.statement(querystring.template), asking_database:
            return await super().run_querystring(querystring, in_pool)

    def transaction(self, allow_nested: bool = False) -> Transaction:
        """Return a transaction to enter; there is none within another.

        Raises:
            TransactionError: one is open already.
        """
        return Transaction(self, allow_nested=False)


DB = Engine(config={})


async def start_pool(url: str, *, size: int = 10, wait_seconds: float | None = None) -> None:
    """Connect this process to *url* with at most *size* connections.

    With *wait_seconds*, `PoolExhausted` is raised when none becomes free in that time.

    Piccolo opens a connection per query until its pool runs, so every process calls this.
    """
    DB.config["dsn"] = url
    DB.wait_seconds = wait_seconds
    await DB.start_connection_pool(
        min_size=1,
        max_size=size,
        command_timeout=COMMAND_SECONDS,
        reset=_reset,
        server_settings=SERVER_SETTINGS,
    )


async def start_tenant_pool(url: str, *, size: int) -> None:
    """Let tenants' statements run on connections of their own, at most *size*.

    Their role is that of the session's beginning, which nothing but another role's name undoes.

    Raises:
        asyncpg.PostgresError: the role is not there, or this one may not become it.
    """
    DB.tenant_pool = await asyncpg.create_pool(
        dsn=url,
        min_size=1,
        max_size=size,
        command_timeout=COMMAND_SECONDS,
        reset=_reset,
        connection_class=tenants.TenantConnection,
        server_settings={**SERVER_SETTINGS, "role": tenants.ROLE},
    )


async def stop_tenant_pool() -> None:
    """Let tenants' statements run on the one pool again."""
    if DB.tenant_pool is not None:
        pool, DB.tenant_pool = DB.tenant_pool, None
        await pool.close()


async def _reset(connection: asyncpg.Connection) -> None:
    """Make a connection ready for the next user of the pool.

    asyncpg would send a statement that undoes session settings, listens and locks, which
    we do not use; it took half of the time of every short statement (0.28 ms without,
    0.53 ms with it). A transaction that was left open is still rolled back.
    """
    if connection.is_in_transaction():
        await connection.reset()


async def close_pool() -> None:
    """Close this process's connections; what does not end in time is cut off."""
    pools = [pool for pool in (DB.tenant_pool, DB.pool) if pool is not None]
    DB.tenant_pool = DB.pool = None
    try:
        await asyncio.wait_for(asyncio.gather(*(pool.close() for pool in pools)), CLOSE_SECONDS)
    except TimeoutError:
        log.warning("statements were still running when the connections were closed")
        for pool in pools:
            pool.terminate()


async def follow_clock() -> None:
    """Let this process's clock go by the database's, as near as a few looks can tell.

    A busy process waits for its connections and its turns, and an answer that took long says
    little of when it was true. A clock that is behind by a tenth of a second does not see that
    mail is due which another process has just accepted.
    """
    took, said, since = float("inf"), clock.now(), 0.0
    for _ in range(CLOCK_LOOKS):
        before = time.monotonic()
        rows = await fetch("SELECT clock_timestamp() AS at")
        after = time.monotonic()
        if after - before < took:
            took, said, since = after - before, rows[0]["at"], (before + after) / 2
        if took < CLOCK_SECONDS:
            break
    if took < CLOCK_SECONDS or not clock.is_followed():
        clock.follow(said, since=since)


class Tx:
    """Proof that a transaction is open. A function that needs one takes it."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], Awaitable[None]]] = []

    def after_commit(self, call: Callable[[], Awaitable[None]]) -> None:
        """Run *call* once this transaction has committed; never if it rolls back."""
        self._calls.append(call)


@asynccontextmanager
async def transaction() -> AsyncIterator[Tx]:
    """Run the body in one transaction, then its after-commit calls.

    A failing after-commit call is logged, not raised: the rows are committed
    and the sweep finds them.
    """
    tx = Tx()
    with tracing.span("SQL transaction", tracing.Kind.CLIENT):
        async with DB.transaction(allow_nested=False):
            yield tx
    for call in tx._calls:
        try:
            await call()
        except Exception:  # an edge: what follows is the queue's business
            log.exception("after-commit call failed")


async def fetch(sql: LiteralString, *args: Any) -> Sequence[dict[str, Any]]:
    """Run one statement with `{}` for each argument and return its rows as dicts.

    For statements that Piccolo's builder cannot say (arrays unnested, locks skipped);
    it joins the open transaction like every Piccolo query.
    """
    statement = _numbered(sql)
    opened = DB.opened()
    with tracing.statement(statement), asking_database:
        if opened is not None:
            rows = await opened.fetch(statement, *args)
        elif DB.pool is not None:
            rows = await DB.run_in_pool(statement, args)
        else:
            rows = await DB.run_querystring(QueryString(sql, *args))
    return [dict(row) for row in rows]


async def fetch_of_all(sql: LiteralString, *args: Any) -> Sequence[dict[str, Any]]:
    """Run one statement that sees every organization's rows, whoever asks, as `fetch` does.

    For what has to be so among all of them, such as that a domain is verified for one only. In a
    tenant's transaction it takes two round trips more.
    """
    opened = DB.opened()
    if opened is None:
        return await _fetch_as_platform(sql, *args)
    if DB.pool_of_whoever_asks() is DB.pool:
        return await fetch(sql, *args)
    # The role that logged in: it owns the tables, and no policy binds it.
    await opened.execute("SET LOCAL ROLE NONE")
    try:
        return await fetch(sql, *args)
    finally:
        # A statement that failed has ended the transaction, and with it what was set.
        with contextlib.suppress(asyncpg.InFailedSQLTransactionError):
            await opened.execute(f"SET LOCAL ROLE {tenants.ROLE}")


@tenants.across_organizations
async def _fetch_as_platform(sql: LiteralString, *args: Any) -> Sequence[dict[str, Any]]:
    return await fetch(sql, *args)


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> str:
    # Piccolo reads the text of every statement anew, each time it runs: a tenth of what
    # accepting a message costs. Our statements are constants.
    first, *others = sql.split("{}")
    return first + "".join(f"${n}{part}" for n, part in enumerate(others, start=1))
