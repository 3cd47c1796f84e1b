"""What a refusal says, and that it leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg
import httpx

from .stack import Account, World, connect

NOT_COUNTED = frozenset(
    {
        *("rate_buckets", "api_key_uses", "api_requests"),
        *("analytics_cells", "analytics_sets"),
        *("connection_leases", "queue_changes", "queue_work", "sending_activity"),
        *("sending_scopes", "usage_hours", "usage_marks", "vmta_activity"),
    }
)
"""How often somebody came, which a refusal does not undo; what workers note of earlier mail.

Beside the job queue's tables.
"""


class Books:
    """The database from the side: how many rows each table has."""

    def __init__(self, connection: asyncpg.Connection, tables: list[str]) -> None:
        self._connection = connection
        self._query = " UNION ALL ".join(
            f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in tables
        )

    @classmethod
    async def open(cls, world: World) -> Self:
        """Look at the tables of a running Postlane."""
        connection = await connect(world)
        rows = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^saq'"
        )
        tables = sorted({row["tablename"] for row in rows} - NOT_COUNTED)
        assert {"messages", "deliveries", "contents", "events", "credit_entries"} <= set(tables)
        return cls(connection, tables)

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()

    async def counts(self) -> dict[str, int]:
        """Return the number of rows by table."""
        rows = await self._connection.fetch(self._query)
        return {row["name"]: row["rows"] for row in rows}

    async def quiet(self, seconds: int) -> None:
        """Wait until nothing has been written for so long, a few minutes at most."""
        before, still = await self.counts(), 0
        for _ in range(180):
            await asyncio.sleep(1)
            after = await self.counts()
            still = still + 1 if after == before else 0
            before = after
            if still >= seconds:
                return

    @asynccontextmanager
    async def unchanged(self, **more: int) -> AsyncIterator[None]:
        """Fail if something inside leaves rows behind, except these *more* by table."""
        before = await self.counts()
        yield
        after = await self.counts()
        grown = {name: after[name] - before[name] for name in after}
        changed = {name: rows for name, rows in grown.items() if rows}
        assert changed == more, changed


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal, which has the contract's shape."""
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert list(error) == ["code", "message", "status", "details", "request_id"]
    assert error["status"] == answer.status_code
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def details_of(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return the fields that a refusal names, each with what is wrong."""
    return [(each["field"], each["code"]) for each in answer.json()["error"]["details"]]


async def post(account: Account, path: str, body: Any, **options: Any) -> httpx.Response:
    """Send a request; wait and send it again where it was only one too many in a minute."""
    while True:
        answer = await account.http.post(path, json=body, **options)
        if answer.status_code != 429 or answer.json()["error"]["code"] != "rate_limited":
            return answer
        await asyncio.sleep(int(answer.headers["retry-after"]))


async def send(account: Account, **fields: Any) -> httpx.Response:
    body = {
        "from": f"shop@{account.domain}",
        "to": ["ada@nobody.example"],
        "subject": "Hello",
        "text": "Hello.",
    }
    return await post(account, "/api/v1/messages/send", body | fields)
