"""Requests as people type them: each is a `curl` process of its own."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What `curl -i` printed."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    body: Any

    @property
    def code(self) -> str:
        """The code of a refusal."""
        code: str = self.body["error"]["code"]
        return code


@dataclass(slots=True)
class Curl:
    """Somebody at a terminal; *headers* are typed with every request."""

    url: str
    headers: list[str] = field(default_factory=list)

    async def __call__(
        self, method: str, path: str, body: Any = None, *headers: str, status: int = 200
    ) -> Answer:
        """Run curl and return an answer that must have this status."""
        arguments = ["-sS", "-i", "-g", "-X", method, "--max-time", str(SECONDS)]
        for header in (*self.headers, *headers):
            arguments += ["-H", header]
        if body is not None:
            arguments += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        process = await asyncio.create_subprocess_exec(
            "curl",
            *(*arguments, self.url + path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        sent = b"" if body is None else json.dumps(body).encode()
        out, err = await process.communicate(sent)
        assert process.returncode == 0, err.decode()
        answer = _read(out)
        assert answer.status == status, (answer.status, answer.body)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
        return answer

    def with_key(self, key: str) -> "Curl":
        """Return the same person, with an API key in place of everything else they sent."""
        network = [each for each in self.headers if each.startswith("X-Forwarded-For")]
        return Curl(self.url, [*network, f"X-API-Key: {key}"])


def _read(octets: bytes) -> Answer:
    head, _, body = octets.partition(b"\r\n\r\n")
    while head.split()[1] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(first.split()[1]), headers, json.loads(body) if body else None)
