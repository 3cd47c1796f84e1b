"""Messages that would break something: too much at once, no characters, lines within a value."""

import asyncio
import base64
from typing import Any

import pytest

from postlane.core.database import fetch
from tests.messages.test_send import SEND, message, run, sender


async def test_large_messages_share_no_transaction(database: None) -> None:
    # A statement holds 1 GB at most, and forty of these would be more.
    actor, domain = await sender()
    large = {"filename": "a.bin", "content": base64.b64encode(bytes(18 * 2**20)).decode()}
    await run(SEND, actor, {"input": message(domain)})
    first = asyncio.create_task(run(SEND, actor, {"input": message(domain)}))

    results = await asyncio.gather(
        first,
        *(run(SEND, actor, {"input": message(domain, attachments=[large])}) for _ in range(3)),
    )

    assert not [result.errors for result in results if result.errors]
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {} AND size_bytes > {} "
        "GROUP BY xmin::text",
        actor.organization_id,
        2**20,
    )
    assert [row["n"] for row in rows] == [1, 1, 1]


@pytest.mark.parametrize(
    "values",
    [
        {"headers": [{"name": "X\0", "value": "a"}]},
        {"headers": [{"name": "X\ud800", "value": "a"}]},
        {"metadata": {"a\0": "b"}},
    ],
)
async def test_a_refusal_that_names_no_character_is_kept(
    database: None, values: dict[str, Any]
) -> None:
    actor, domain = await sender()

    for _ in range(2):
        result = await run(SEND, actor, {"input": message(domain, **values)}, idempotency_key="odd")
        assert [error.code for error in result.errors] == ["INVALID_INPUT"]


@pytest.mark.parametrize("separator", ["\r\n\r\n", "\n", "\v", "\u2028", "\u00a0"])
async def test_a_content_type_cannot_break_out_of_its_line(database: None, separator: str) -> None:
    actor, domain = await sender()
    file = {"filename": "a.txt", "content": "aGk=", "contentType": f"text/plain;{separator}a=b"}

    result = await run(SEND, actor, {"input": message(domain, attachments=[file])})

    (error,) = result.errors
    assert [detail.field for detail in error.details] == ["attachments[0].contentType"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"subject": "a\x80"}, "subject"),
        (
            {"attachments": [{"filename": "a\x9f", "content": "aGk="}]},
            "attachments[0].filename",
        ),
        (
            {
                "attachments": [
                    {
                        "filename": "a",
                        "content": "aGk=",
                        "contentType": "text/plain" + "; a=b" * 60,
                    }
                ]
            },
            "attachments[0].contentType",
        ),
    ],
)
async def test_what_could_not_be_built_is_not_accepted(
    database: None, values: dict[str, Any], field: str
) -> None:
    actor, domain = await sender()

    result = await run(SEND, actor, {"input": message(domain, **values)})

    (error,) = result.errors
    assert [detail.field for detail in error.details] == [field]
