"""A client of the web application: plain HTTP, and GraphQL said shortly."""

from collections.abc import Mapping
from typing import Any

import httpx

from postlane.core.actor import Actor


class Client(httpx.AsyncClient):
    """Speaks to the application in this process, as one stranger on one address.

    `graphql()` sends a document with a token or an API key as anybody would, or as *actor*,
    whom the application then takes at their word: for tests of what an actor may do, not of
    how one signs in.
    """

    def __init__(self, app: Any, actors: dict[str, Actor], *, address: str = "192.0.2.1") -> None:
        self.address = address
        transport = httpx.ASGITransport(app, client=(address, 40000))
        super().__init__(transport=transport, base_url="http://postlane.test")
        self._actors = actors

    def as_actor(self, actor: Actor) -> dict[str, str]:
        """Return the headers of a request that the application takes for *actor*'s."""
        self._actors[str(id(actor))] = actor
        return {"x-test-actor": str(id(actor))}

    async def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        actor: Actor | None = None,
        token: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run a document and return the answer's body."""
        sent = dict(headers or {})
        if actor is not None:
            sent |= self.as_actor(actor)
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if key is not None:
            sent["x-api-key"] = key
        answer = await self.post(
            "/graphql", json={"query": query, "variables": dict(variables or {})}, headers=sent
        )
        body: dict[str, Any] = answer.json()
        return body

    async def data(self, query: str, variables: Mapping[str, Any] | None = None, **who: Any) -> Any:
        """Run a document that must not fail, and return its data."""
        body = await self.graphql(query, variables, **who)
        assert "errors" not in body, body["errors"]
        return body["data"]

    async def refusal(
        self, query: str, variables: Mapping[str, Any] | None = None, **who: Any
    ) -> str:
        """Run a document that must be refused with one error, and return its code."""
        body = await self.graphql(query, variables, **who)
        assert len(body.get("errors", ())) == 1, body
        code: str = body["errors"][0]["extensions"]["code"]
        return code
