"""What a mailing keeps of its recipients: many in a row."""

import random
import uuid
from typing import Any

import msgspec
import pytest

from postlane.core.ids import new_id
from postlane.mail import mailing
from postlane.mail.mailing import (
    TOGETHER,
    TOGETHER_BYTES,
    Personal,
    decode_personal,
    encode_personal,
)

ID = uuid.uuid4()


def test_much_of_many_is_written_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, written = msgspec.msgpack.Encoder(), list[int]()

    class Counting:
        def encode(self, value: Any) -> bytes:
            body = encoder.encode(value)
            written.append(len(body))
            return body

    monkeypatch.setattr(mailing, "_encoder", Counting())
    large = {"text": "x" * (TOGETHER_BYTES - 100)}
    people = {new_id(): Personal(values=large) for _ in range(200)}
    people |= {new_id(): Personal(values={"n": n}) for n in range(200)}

    rows = list(encode_personal(people))

    assert decode_personal(rows) == people
    assert sum(written) < 5 * sum(len(body) for _, body in rows)
    assert len(decode_personal(rows[-1:])) == TOGETHER


def test_every_one_is_in_the_last_row_that_begins_before_them() -> None:
    people = {new_id(): Personal(f"Person {n}", {"n": n}) for n in range(2 * TOGETHER + 7)}
    shuffled = dict(random.Random(1).sample(list(people.items()), len(people)))

    rows = list(encode_personal(shuffled))

    assert [len(decode_personal([row])) for row in rows] == [TOGETHER, TOGETHER, 7]
    for id, personal in people.items():
        assert decode_personal([max(row for row in rows if row[0] <= id)])[id] == personal


def test_who_has_much_is_read_with_few() -> None:
    large = {"text": "x" * (TOGETHER_BYTES // 3)}
    people = {new_id(): Personal(values=large) for _ in range(7)}

    rows = list(encode_personal(people))

    assert [len(decode_personal([row])) for row in rows] == [3, 3, 1]
    assert decode_personal(rows) == people


def test_rows_of_before_are_read_beside_those_of_now() -> None:
    ada, bob = Personal("Ada", {"n": 1}), Personal("Bob", {"name": "n"}, "bob@else.example")
    one, other = uuid.uuid4(), uuid.uuid4()
    # As they were written before one of the fields was known, too.
    without = msgspec.msgpack.encode({"name": "Cy", "values": {}})

    found = decode_personal(
        [(one, msgspec.msgpack.encode(ada)), *encode_personal({other: bob}), (ID, without)]
    )

    assert found == {one: ada, other: bob, ID: Personal("Cy")}


def test_there_are_no_rows_of_nobody() -> None:
    assert list(encode_personal({})) == []
