"""Asking rspamd over HTTP what it thinks of a message.

Source: https://docs.rspamd.com/developers/protocol/
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from .errors import ScannerUnavailable
from .rules import SCAN_SECONDS, Rule, SpamReport

_LONGEST_ANSWER = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a message came, beside what it says; rspamd judges by both."""

    sender: str | None = None
    recipients: Sequence[str] = ()
    ip: str | None = None
    helo: str | None = None
    is_outgoing: bool = False
    """It is of a customer who has signed in: rspamd leaves out what judges strangers."""


async def ask_rspamd(url: str, data: bytes, how: Circumstances) -> SpamReport:
    """Return what rspamd says of a message.

    Raises:
        ScannerUnavailable: it cannot be reached, takes too long, or answers something else.
    """
    try:
        async with asyncio.timeout(SCAN_SECONDS):
            return await _ask(url, data, how)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError) as error:
        said = str(error) or type(error).__name__
        raise ScannerUnavailable(f"rspamd gave no answer that counts: {said[:200]}.") from error


async def _ask(url: str, data: bytes, how: Circumstances) -> SpamReport:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(
            f"{url}/checkv2", data=data, headers=_headers(how), allow_redirects=False
        ) as response,
    ):
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        body = await response.content.read(_LONGEST_ANSWER)
        while len(body) < _LONGEST_ANSWER and not response.content.at_eof():
            body += await response.content.read(_LONGEST_ANSWER - len(body))
        answer = json.loads(body)
        server = response.headers.get("server", "")
    rules = [_rule(name, symbol) for name, symbol in answer.get("symbols", {}).items()]
    # Nought says nothing of spam: those note what kind of message it is.
    rules = sorted((each for each in rules if each.score), key=lambda each: -abs(each.score))
    version = server.partition("/")[2] if server.startswith("rspamd/") else None
    return SpamReport(round(float(answer["score"]), 2), rules, version or None)


def _rule(name: str, symbol: Any) -> Rule:
    return Rule(name, round(float(symbol["score"]), 2), str(symbol.get("description") or name))


def _headers(how: Circumstances) -> list[tuple[str, str]]:
    given = [("From", how.sender), ("IP", how.ip), ("Helo", how.helo)]
    given += [("Rcpt", recipient) for recipient in how.recipients]
    if how.is_outgoing:
        given.append(("User", "authenticated"))
    # What is no header field's value is left out; the message says most of it anyway.
    return [(name, value) for name, value in given if value and value.isascii() and _one(value)]


def _one(value: str) -> bool:
    return value.isprintable()
