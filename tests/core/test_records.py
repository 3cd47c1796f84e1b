"""Rows go to a statement as one text, and come out as they were."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from postlane.core.database import fetch
from postlane.core.quick_ids import quick_id
from postlane.core.records import records

WORDS = ["", "NULL", 'a "quoted" \\ one', "line\nbreak\ttab", "Zoë 😀 \u2028", "{1,2}", "\\N"]


class Colour(StrEnum):
    RED = "red"


@pytest.mark.usefixtures("database")
async def test_rows_come_out_as_they_were() -> None:
    at = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=UTC)
    rows: list[dict[str, object]] = [
        {
            "nth": nth,
            "id": quick_id(),
            "other": uuid.uuid4(),
            "word": word,
            "words": [word, "x"],
            "data": {"word": word, "n": 1},
            "at": at.astimezone(timezone(timedelta(hours=-5, minutes=-30))),
            "big": 2**62,
            "is_so": nth % 2 == 0,
            "colour": Colour.RED,
            "nothing": None,
        }
        for nth, word in enumerate(WORDS)
    ]
    found = await fetch(
        "SELECT * FROM json_to_recordset({}::json) AS new (nth integer, id uuid, other uuid, "
        "word text, words text[], data jsonb, at timestamptz, big bigint, is_so boolean, "
        "colour text, nothing text) ORDER BY nth",
        records(rows),
    )

    wanted = [{**row, "data": None, "at": at, "colour": "red"} for row in rows]
    assert [{**row, "data": None} for row in found] == wanted
    words = await fetch(
        "SELECT data->>'word' AS word FROM json_to_recordset({}::json) AS new "
        "(nth integer, data jsonb) ORDER BY nth",
        records(rows),
    )
    assert [row["word"] for row in words] == WORDS


@pytest.mark.usefixtures("database")
async def test_no_rows_are_none() -> None:
    assert await fetch("SELECT * FROM json_to_recordset({}::json) AS new (id uuid)", "[]") == []
    assert records([]) == "[]"


def test_half_a_character_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        records([{"word": "\ud800"}])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"ab", '"YWI="'),
        (bytearray(b"ab"), '"YWI="'),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (datetime(2026, 3, 1, 12), '"2026-03-01T12:00:00"'),  # noqa: DTZ001 - what is tested
        (
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1, seconds=30))),
            '"2026-03-01T12:00:00+01:00"',
        ),
    ],
    ids=["bytes", "bytearray", "not a number", "infinity", "without a zone", "zone with seconds"],
)
def test_what_must_not_be_passed_becomes_another(value: object, written: str) -> None:
    """So the docstring says; where one of these is refused or kept, it may say less."""
    assert records([{"value": value}]) == f'[{{"value":{written}}}]'
