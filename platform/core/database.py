"""The database: one engine, one pool per process, one kind of transaction."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, LiteralString, Self

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction
from piccolo.querystring import QueryString

from . import clock, tracing

log = logging.getLogger(__name__)


CLOCK_SECONDS = 0.05
"""A look at the database's clock that takes longer is not believed by who follows it already."""

CLOCK_LOOKS = 5
"""How often it is looked at for one that takes less."""

CLOSE_SECONDS = 5.0
"""How long statements that still run may take when a process leaves the database."""


class Transaction(PostgresTransaction):
    """Piccolo's transaction, which lets go of everything also when its end fails.

    Piccolo's own keeps the connection, and the idea that a transaction is open, when commit
    or rollback raises, as they do when the server dies: some crashes later the pool is empty,
    and a task that goes on can never open another.
    """

    async def __aenter__(self) -> Self:
        engine = self.engine
        assert isinstance(engine, Engine)
        self.connection = await (engine.acquire() if engine.pool else engine.get_new_connection())
        self.transaction = self.connection.transaction()
        try:
            await self.transaction.start()
        except BaseException:
            await self._give_back()
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        try:
            if error is None:
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
        if self.engine.pool:
            await self.engine.pool.release(self.connection)
        else:
            await self.connection.close()


class PoolExhausted(TimeoutError):
    """No connection of this process became free in time: it is asked more than it can do."""


class Engine(PostgresEngine):
    """Piccolo's engine, which opens no connection before it is told where the database is.

    Who asks for a connection waits for one as long as `wait_seconds`; without that, for ever.
    """

    wait_seconds: float | None = None

    async def acquire(self) -> Any:
        """Return a connection of the pool, which is given back by `pool.release`.

        Raises:
            PoolExhausted: none became free in time.
        """
        assert self.pool is not None
        try:
            return await self.pool.acquire(timeout=self.wait_seconds)
        except TimeoutError as error:
            raise PoolExhausted(f"no connection within {self.wait_seconds} s") from error

    async def run_in_pool(self, statement: str, args: Sequence[Any]) -> Any:
        """Run one statement on a connection of the pool and return its rows."""
        connection = await self.acquire()
        try:
            return await connection.fetch(statement, *args)
        finally:
            assert self.pool is not None
            await self.pool.release(connection)

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:
        """Do what Piccolo's own does, which waits for ever."""
        return await self.run_in_pool(query, args or [])

    async def check_version(self) -> None:
        """Do nothing: importing a table must not need a database; `doctor` checks versions."""

    async def prep_database(self) -> None:
        """Do nothing: no extension is needed."""

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> Any:
        """Run one statement that Piccolo has built."""
        with tracing.statement(querystring.template):
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
    # Statements are prepared once per connection. JIT compiles plans of a millisecond
    # for many milliseconds, which short statements never earn back.
    await DB.start_connection_pool(
        min_size=1,
        max_size=size,
        command_timeout=60,
        reset=_reset,
        server_settings={"jit": "off", "application_name": "postlane", "timezone": "UTC"},
    )


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
    pool = DB.pool
    if pool is None:
        return
    try:
        await asyncio.wait_for(DB.close_connection_pool(), CLOSE_SECONDS)
    except TimeoutError:
        log.warning("statements were still running when the connections were closed")
        pool.terminate()
        DB.pool = None


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
    opened = DB.current_transaction.get()
    with tracing.statement(statement):
        if opened is not None:
            rows = await opened.connection.fetch(statement, *args)
        elif DB.pool is not None:
            rows = await DB.run_in_pool(statement, args)
        else:
            rows = await DB.run_querystring(QueryString(sql, *args))
    return [dict(row) for row in rows]


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> str:
    # Piccolo reads the text of every statement anew, each time it runs: a tenth of what
    # accepting a message costs. Our statements are constants.
    first, *others = sql.split("{}")
    return first + "".join(f"${n}{part}" for n, part in enumerate(others, start=1))
