"""Times as clients write them, and as they get them."""

import pytest

from postlane.rest_compat.times import read_time, restyle_time, write_time


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00.000Z"),
        ("2026-06-01t12:00:00z", "2026-06-01T12:00:00.000Z"),
        ("2026-06-01 12:00:00Z", "2026-06-01T12:00:00.000Z"),
        ("2026-06-01T12:00:00.1Z", "2026-06-01T12:00:00.100Z"),
        ("2026-06-01T12:00:00.123456789Z", "2026-06-01T12:00:00.123Z"),
        ("2026-06-01T12:00:00.9999Z", "2026-06-01T12:00:00.999Z"),
        ("2026-06-01T12:00:00+05:30", "2026-06-01T06:30:00.000Z"),
        ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00.000Z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00.000Z"),
        ("2024-02-29T00:00:00+23:59", "2024-02-28T00:01:00.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_milliseconds(text: str, written: str) -> None:
    time = read_time(text)

    assert time is not None
    assert write_time(time) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-06-01",
        "2026-06-01T12:00Z",
        "2026-06-01T12:00:00",
        "2026-06-01T12:00:00.Z",
        "2026-06-01T12:00:00.1234567890Z",
        "2026-06-01T12:00:00+0200",
        "2026-06-01T12:00:00+24:00",
        "2026-02-29T12:00:00Z",
        "2026-06-01T24:00:00Z",
        "2026-06-01T12:00:61Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "2026-06-01T12:00:00Z\n",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text) is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("2026-06-01T12:00:00Z", "2026-06-01T12:00:00.000Z"),
        ("2026-06-01T12:00:00.5Z", "2026-06-01T12:00:00.500Z"),
        ("2026-06-01T12:00:00.123Z", "2026-06-01T12:00:00.123Z"),
        ("2026-06-01T12:00:00.123456Z", "2026-06-01T12:00:00.123Z"),
    ],
)
def test_our_times_get_exactly_three_digits(ours: str, theirs: str) -> None:
    assert restyle_time(ours) == theirs
