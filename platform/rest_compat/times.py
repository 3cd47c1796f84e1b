"""Times as RFC 3339 writes them: read with any offset, written in UTC with milliseconds."""

import re
from datetime import UTC, datetime, timedelta

_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read_time(text: str) -> datetime | None:
    """Return the time that *text* is, in UTC and cut to microseconds, or None.

    Source: RFC 3339 section 5.6.
    """
    found = _RFC_3339.fullmatch(text)
    if found is None:
        return None
    day, clock, seconds, fraction, offset = found.groups()
    # A leap second has no place in a datetime; it is the second after :59.
    leap = seconds == "60"
    micros = ((fraction or "") + "000000")[:6]
    zone = "+00:00" if offset in "Zz" else offset
    try:
        time = datetime.fromisoformat(f"{day}T{clock}{'59' if leap else seconds}.{micros}{zone}")
        return time.astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return None


def write_time(time: datetime) -> str:
    """Return *time* in UTC with three fractional digits and `Z`; later digits are cut off."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def restyle_time(text: str) -> str:
    """Return a time as our schema writes it with exactly three fractional digits.

    Our `DateTime` is in UTC and ends in `Z`, so that cutting text is enough.
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{(fraction + '000')[:3]}Z"
