"""Following a message through the REST API until nothing more happens to it."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from .api import Api

OPEN = frozenset({"scheduled", "queued", "sending", "deferred"})
STEP_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message for its one recipient; *reply* is the receiver's last one."""

    message_id: str
    status: str
    reply: str
    host: str
    seconds: float

    @property
    def settled(self) -> bool:
        """Say whether nothing more will happen."""
        return self.status not in OPEN


async def send(api: Api, *, sender: str, recipient: str, subject: str, text: str) -> str:
    """Send one message through `POST /api/v1/messages/send` and return its id."""
    body = {"from": sender, "to": [recipient], "subject": subject, "text": text}
    answer = await api.rest("POST", "/api/v1/messages/send", body)
    return str(answer["id"])


async def follow(api: Api, message_id: str, *, seconds: float) -> Fate:
    """Return what became of the message: once it is settled, or *seconds* from now."""
    began = time.monotonic()
    while True:
        answer = await api.rest("GET", f"/api/v1/messages/{message_id}?include=none")
        passed = time.monotonic() - began
        fate = _fate(message_id, answer["recipients"][0], passed)
        if fate.settled or passed >= seconds:
            return fate
        await asyncio.sleep(STEP_SECONDS)


def _fate(message_id: str, recipient: dict[str, Any], seconds: float) -> Fate:
    last = recipient.get("last_response") or {}
    code, text = last.get("code"), str(last.get("text") or "")
    reply = text if code is None or text.startswith(str(code)) else f"{code} {text}"
    return Fate(message_id, recipient["status"], reply, str(last.get("mx_host") or ""), seconds)
