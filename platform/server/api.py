"""A client of our own HTTP APIs, for commands that use them as anybody does."""

import asyncio
import ipaddress
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from .faults import CommandFailed

SECONDS = 30.0
LARGEST_BYTES = 10_000_000


class ApiRefused(CommandFailed):
    """The API answered, and refused; *code* is its public name of the refusal."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class Api:
    """The deployment at *url*, asked with *credential*, an API key or a token."""

    def __init__(self, url: str, credential: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._credential = credential

    def signed_in(self, credential: str) -> "Api":
        """Return the same deployment, asked with *credential*."""
        return Api(self._url, credential)

    async def graphql(self, document: str, **variables: Any) -> dict[str, Any]:
        """Run a document and return its data.

        Raises:
            ApiRefused: it was refused.
            CommandFailed: nothing sensible answered.
        """
        _, body = await self._ask("POST", "/graphql", {"query": document, "variables": variables})
        if errors := body.get("errors"):
            first = errors[0]
            code = first.get("extensions", {}).get("code", "")
            raise ApiRefused(str(first.get("message")), code=code)
        data: dict[str, Any] = body["data"]
        return data

    async def rest(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the REST API answers.

        Raises:
            ApiRefused: it was refused.
            CommandFailed: nothing sensible answered.
        """
        status, answer = await self._ask(method, path, body)
        if status >= 400:
            error = answer.get("error", {})
            said = error.get("message") if isinstance(error, dict) else str(error)
            code = error.get("code", "") if isinstance(error, dict) else ""
            raise ApiRefused(f"{method} {path} was refused ({status}): {said}", code=code)
        return answer

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Accept": "application/json"}
        if self._credential:
            headers["Authorization"] = f"Bearer {self._credential}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            request = urllib.request.Request(
                self._url + path, data=data, headers=headers, method=method
            )
            status, text = await asyncio.to_thread(fetch_url, request, seconds=SECONDS)
            answer = json.loads(text)
        except (OSError, HTTPException) as error:
            said = getattr(error, "reason", None) or error
            raise CommandFailed(f"{self._url} cannot be reached: {said}.") from error
        except ValueError as error:
            raise CommandFailed(f"{self._url}{path} did not answer as Postlane does.") from error
        if not isinstance(answer, dict):
            raise CommandFailed(f"{self._url}{path} did not answer as Postlane does.")
        return status, answer


def fetch_url(request: urllib.request.Request, *, seconds: float) -> tuple[int, bytes]:
    """Return the status and the body of an answer, whatever its status."""
    handlers = []
    if _is_loopback(urlsplit(request.full_url).hostname or ""):
        # A proxy of the surroundings does not reach this machine's own loopback.
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(request, timeout=seconds) as answer:
            return answer.status, answer.read(LARGEST_BYTES)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read(LARGEST_BYTES)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
