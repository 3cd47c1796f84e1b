"""A campaign in a Postlane of its own: what is killed in it, and what it says of itself."""

import asyncio
import csv
import io
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from .campaign import COUNTS, metrics
from .reacting import Reacting
from .stack import World, connect, open_account

START = """
mutation ($subject: ExportSubject!) {
  startExport(input: {subject: $subject}) { export { id } }
}
"""
EXPORT = "query ($id: ID!) { node(id: $id) { ... on Export { state downloadUrl rows } } }"


class Campaign(Reacting):
    """All of it, and what Postlane says of it."""

    async def reopen(self) -> None:
        """Let the closed mailboxes open, and everything that waits be tried again."""
        self.world.sink.manner.is_closed = False
        queues = await self.account.ask("GET", "/api/v1/queues?limit=100")
        for queue in queues["data"]:
            await self.account.ask("POST", f"/api/v1/queues/{queue['id']}/flush", {})
        for person in self.people:
            person.deferrals += person.fate == "451-at-rcpt"
        await self.await_fates(also={"closed"}, within=120)

    async def kill(self, name: str) -> None:
        """Kill a process and what it started, so that none of them can do anything more."""
        process = self.world.up.part(name)
        process.suspend()
        for child in process.children(recursive=True):
            child.kill()
        process.kill()
        psutil.wait_procs([process], timeout=10)

    async def counted(self) -> dict[str, Any]:
        """Return the summary once it is what is known, and nothing is on its way any more."""
        deadline = time.monotonic() + 150
        while True:
            found = await self.ask("summary", period="24h")
            hits = await self.books.fetchval("SELECT count(*) FROM tracking_hits")
            if found["totals"] == self.known(COUNTS) and hits == 0:
                break
            assert time.monotonic() < deadline, (found["totals"], self.known(COUNTS), hits)
            await asyncio.sleep(0.5)
        # What would be counted twice shows now.
        await asyncio.sleep(3)
        return await self.ask("summary", period="24h")

    def known(self, names: Sequence[str], **how: Any) -> dict[str, Any]:
        """Return these metrics of everybody."""
        found = metrics(self.people, **how)
        return {name: found[name] for name in names}

    async def ask(self, endpoint: str, **query: Any) -> Any:
        """Return what an endpoint of analytics answers."""
        return await self.account.ask("GET", f"/api/v1/analytics/{endpoint}", params=query)

    async def start_export(self, subject: str) -> str:
        """Have everything of a list written into a file, and return the export's id."""
        data = await self.account.graphql(START, {"subject": {subject: {}}})
        return str(data["startExport"]["export"]["id"])

    async def exported(self, id: str, *, within: float = 120) -> list[dict[str, str]]:
        """Return what is in a file once it is done; whoever has its link may have it."""
        deadline = time.monotonic() + within
        while True:
            found = (await self.account.graphql(EXPORT, {"id": id}))["node"]
            if found["state"] == "DONE":
                break
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.3)
        answer = await self.reader.get(urlsplit(found["downloadUrl"]).path)
        assert answer.status_code == 200, answer.text
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert len(rows) == found["rows"]
        return rows

    async def table(self, dataset: str, **query: Any) -> list[dict[str, str]]:
        """Return a file of analytics."""
        answer = await self.account.http.get(
            "/api/v1/analytics/export", params={"dataset": dataset, "period": "24h", **query}
        )
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@asynccontextmanager
async def campaigning() -> AsyncIterator[Campaign]:
    """A Postlane of its own, whose parts may be killed, without limits that a dead one holds."""
    with tempfile.TemporaryDirectory(prefix="postlane-campaign-") as folder:
        limits = Path(folder) / "limits.toml"
        isps = ("other", "google", "microsoft")
        limits.write_text("".join(f"[{isp}]\nmessages_per_connection = 100\n" for isp in isps))
        settings = {
            "payment": "manual",
            # Six of a hundred bounce, for which a rule may block their senders.
            "auto_block": "off",
            "limits_file": str(limits),
            "source_addresses": "127.0.0.0/8",
        }
        async with World(Path(folder) / "var", **settings) as world:
            world.sink.manner.is_closed = True
            account = await open_account(world)
            books = await connect(world)
            campaign = Campaign(world, account, books)
            try:
                yield campaign
            finally:
                await books.close()
                await campaign.reader.aclose()
                await account.http.aclose()
