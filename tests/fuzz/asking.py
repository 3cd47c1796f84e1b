"""Asks the web application what the fuzzer made up, and says what is wrong with the answer."""

import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError

from postlane.accounts.tables import Organization
from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from postlane.core.errors import ErrorCode, OperationError
from postlane.core.ids import new_token
from postlane.graphql.context import Context
from postlane.graphql.documents import DocumentRefused, prepare
from postlane.graphql.execute import Result
from postlane.graphql.live import Credential, subscribe
from tests.client import Client
from tests.factories import make_actor
from tests.test_tenancy import World, make_world

from .requests import Request, connections

LONGEST_SECONDS = 1.0
TIMES = 3
"""What took too long is asked again: other processes may have had the machine."""
OURS_TO_MEND = {ErrorCode.INTERNAL, ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.TIME_LIMIT}
NOT_SET = "which is not set."
"""The end of what is said of a part that this deployment does not have."""
PLACE = re.compile(r"@@(ours|theirs):([^@]+)@@")
SECRETS = ("organizations", "users", "projects", "templates", "api_keys")
"""Tables whose names nobody but their organization knows."""


class Finding(AssertionError):
    """An answer that must not be."""


@dataclass
class Asker:
    """Somebody who asks as everybody who may, and knows the ids of a stranger."""

    client: Client
    ours: World
    theirs: World
    secret: str
    """Stands in the stranger's rows, and in nothing that is asked."""
    names: dict[str, str]
    askers: list[Actor | None]
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def make(cls, client: Client) -> "Asker":
        """Make two tenants, each with an object of every kind."""
        ours, theirs = await make_world(client), await make_world(client)
        secret = new_token(24)
        for table in SECRETS:
            column = "id" if table in ("organizations", "users") else "organization_id"
            whose = theirs.uuids["User" if table == "users" else "Organization"]
            await fetch(f"UPDATE {table} SET name = {{}} WHERE {column} = {{}}", secret, whose)
        names = {}
        for whose, world in (("ours", ours), ("theirs", theirs)):
            names |= {f"@@{whose}:{name}@@": text for name, text in world.names.items()}
            for list_ in connections():
                names[f"@@{whose}:cursor of {list_}@@"] = await cursor(client, list_, world)
        organization = await Organization.objects().get(
            Organization.id == ours.uuids["Organization"]
        )
        assert organization is not None
        viewer = await make_actor(organization, role=Role.VIEWER)
        return cls(client, ours, theirs, secret, names, [ours.actor, ours.person, viewer, None])

    async def ask(self, request: Request) -> None:
        """Send a request as each who may be asking.

        Raises:
            Finding: one of the answers must not be.
        """
        filled: Request = self.filled(request)
        for actor in self.askers:
            await self._ask_as(actor, filled)

    def filled(self, value: Any) -> Any:
        """Return *value* with the things of this run in the places that were left open."""
        if isinstance(value, str):
            return PLACE.sub(lambda found: self.names.get(found[0], found[0]), value)
        if isinstance(value, dict):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        return [self.filled(item) for item in value] if isinstance(value, list) else value

    async def _ask_as(self, actor: Actor | None, request: Request) -> None:
        took = []
        while len(took) < TIMES and (not took or min(took) > LONGEST_SECONDS):
            began = time.perf_counter()
            await self._once(actor, request)
            took.append(time.perf_counter() - began)
        if min(took) > LONGEST_SECONDS:
            raise Finding(f"it took {min(took):.1f} seconds")

    async def _once(self, actor: Actor | None, request: Request) -> None:
        headers = {"content-type": "application/json"}
        headers |= self.client.as_actor(actor) if actor else {}
        answer = await self.client.post("/graphql", content=json.dumps(request), headers=headers)
        if answer.status_code >= 500 or "Traceback" in answer.text:
            raise Finding(f"{answer.status_code}: {answer.text[:500]}")
        if self.secret in answer.text:
            raise Finding(f"a stranger's name: {answer.text[:2000]}")
        body = answer.json()
        errors = body.get("errors", [])
        if not errors and "data" not in body:
            raise Finding(f"neither data nor errors: {body}")
        for error in errors:
            check(error["extensions"]["code"], error["message"])
        ran = "data" in body
        self.counts["run" if ran else "refused"] += 1
        self.counts["with data"] += any((body.get("data") or {}).values())
        if answer.status_code == 406 and actor is not None:
            await self._follow(actor, request)

    async def _follow(self, actor: Actor, request: Request) -> None:
        """Begin a subscription, which a plain request cannot, and end it."""
        try:
            prepared = prepare(request["query"])
            operation = prepared.operation(None)
        except (DocumentRefused, OperationError, GraphQLError):
            return
        credential = Credential(lambda: asyncio.sleep(0, actor))
        begun = await subscribe(
            prepared.node, operation, request["variables"], Context(actor, "fuzz"), credential
        )
        if not isinstance(begun, Result):
            begun.stream.close()
            self.counts["followed"] += 1
            return
        for refusal in begun.errors:
            check(refusal.code, refusal.message)


def check(code: str, message: str) -> None:
    """Do nothing if a refusal is one that a client can do something about.

    Raises:
        Finding: it is not.
    """
    if ErrorCode(code) in OURS_TO_MEND and not message.endswith(NOT_SET):
        raise Finding(f"{code}: {message}")
    if len(message) > 2_000:
        raise Finding(f"{code} is told at length: {message[:200]}")


async def cursor(client: Client, list_: str, world: World) -> str:
    """Return the cursor of the first item of a list; some text where it has none."""
    query = f"{{ organization {{ {list_}(first: 1) {{ pageInfo {{ endCursor }} }} }} }}"
    body = await client.graphql(query, actor=world.actor)
    found = ((body.get("data") or {}).get("organization") or {}).get(list_) or {}
    return found.get("pageInfo", {}).get("endCursor") or "bm9uZQ"
