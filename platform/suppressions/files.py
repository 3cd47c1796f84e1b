"""Files of suppressions: CSV as people and spreadsheets write it, read line by line."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..core.actor import ProjectId
from ..core.ids import parse_id
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from .rules import MAX_DESCRIPTION, STREAMS, SuppressionReason

MAX_FILE_BYTES = 10 * 2**20
MAX_LINES = 100_000

COLUMNS = {
    "address": "email address email_address e_mail mail recipient email_addresses".split(),
    "reason": "reason type cause".split(),
    "description": "description note comment".split(),
    "stream": ["stream"],
    "expires_at": "expires_at expires expiry expires_on until".split(),
    "project_id": ["project_id"],
}
"""What is read, and how its column may be called."""

REASONS = {
    "bounce": SuppressionReason.HARD_BOUNCE,
    "bounced": SuppressionReason.HARD_BOUNCE,
    "hardbounce": SuppressionReason.HARD_BOUNCE,
    "spam": SuppressionReason.COMPLAINT,
    "spam_complaint": SuppressionReason.COMPLAINT,
    "unsubscribed": SuppressionReason.UNSUBSCRIBE,
}
"""What others call our reasons."""

_SPACES = re.compile(r"[\s-]+")
_FORMULA = re.compile(r"'(?=[=+@\t\r-])")
"""The quotation mark that keeps spreadsheets from calculating a cell."""
_UNREADABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


NO_PROJECT = "There is no such project that the file is for."


class UnreadableFile(Exception):
    """Nothing of a file can be read."""


class RefusedRow(Exception):
    """One line is not taken."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be taken, or with a *problem* what is wrong; *text* is how it begins."""

    number: int
    mailbox: Mailbox | None = None
    reason: SuppressionReason | None = None
    """None: the line names none."""
    description: str | None = None
    stream: str | None = None
    expires_at: datetime | None = None
    project_id: ProjectId | None = None
    """The only project that it is for, if it names one; whose that is has to be looked up."""
    problem: str | None = None
    text: str = ""


def read_file(data: bytes, *, now: datetime) -> list[Line]:
    """Return the lines of a file but for its header and for empty ones.

    It is UTF-8, or UTF-16 with its mark; cells are parted by commas, semicolons or tabs. A
    file without a header has addresses in its first column.

    Raises:
        UnreadableFile: no column has addresses, or there are too many lines.
    """
    text = _decoded(data)
    rows = _rows(text, _delimiter(text))
    lines: list[Line] = []
    places: Mapping[str, int] | None = None
    for number, cells, problem in rows:
        if problem is None and not any(cells):
            continue
        if places is None:
            places = _places(cells)
            if "address" not in places:
                raise UnreadableFile("No column is called 'email', and the first has no address.")
            if not _is_address(cells[places["address"]]):
                continue
        if len(lines) >= MAX_LINES:
            raise UnreadableFile(f"A file has at most {MAX_LINES} lines.")
        lines.append(_line(number, cells, places, problem, now))
    return lines


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    # What is not UTF-8 is kept apart, so that only its own line is refused.
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _delimiter(text: str) -> str:
    head = text[:2000].lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=head.count)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield reader.line_num, [], "It cannot be read as CSV."
        else:
            yield reader.line_num, [_FORMULA.sub("", cell.strip(), 1) for cell in cells], None


def _places(cells: Sequence[str]) -> dict[str, int]:
    """Return which column is where, by a header or, without one, by the first address."""
    names = [_SPACES.sub("_", cell.strip().lower()) for cell in cells]
    found = {}
    for column, spellings in COLUMNS.items():
        place = next((names.index(name) for name in spellings if name in names), None)
        if place is not None:
            found[column] = place
    if not found and cells and _is_address(cells[0]):
        return {"address": 0}
    return found


def _is_address(text: str) -> bool:
    try:
        parse_mailbox(text)
    except InvalidAddress:
        return False
    return True


def _line(
    number: int,
    cells: Sequence[str],
    places: Mapping[str, int],
    problem: str | None,
    now: datetime,
) -> Line:
    given = {column: cells[place] for column, place in places.items() if place < len(cells)}
    shown = _UNREADABLE.sub("\ufffd", ",".join(cells))[:200]
    try:
        if problem is not None:
            raise RefusedRow(problem)
        return replace(_checked(number, given, now), text=shown)
    except RefusedRow as refused:
        return Line(number, problem=str(refused), text=shown)


def _checked(number: int, given: Mapping[str, str], now: datetime) -> Line:
    for value in given.values():
        if _UNREADABLE.search(value):
            raise RefusedRow("It holds bytes that are no UTF-8, or control characters.")
    try:
        mailbox = parse_mailbox(given.get("address", ""))
    except InvalidAddress as error:
        raise RefusedRow("The address is not one email address.") from error
    expires_at = _time(given.get("expires_at", ""), now)
    reason = _reason(given.get("reason", ""))
    if reason is SuppressionReason.SOFT_BOUNCE_COOLING and expires_at is None:
        raise RefusedRow("A soft bounce does not stop mail for good.")
    stream = given.get("stream", "").lower() or None
    if stream is not None and stream not in STREAMS:
        raise RefusedRow(f"A stream is one of {', '.join(STREAMS)}.")
    description = given.get("description") or None
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise RefusedRow(f"A description has at most {MAX_DESCRIPTION} characters.")
    project_id = _project(given.get("project_id", ""))
    return Line(number, mailbox, reason, description, stream, expires_at, project_id)


def _project(text: str) -> ProjectId | None:
    if not text:
        return None
    found = parse_id(text)
    if found is None:
        raise RefusedRow(NO_PROJECT)
    return ProjectId(found)


def _reason(text: str) -> SuppressionReason | None:
    name = _SPACES.sub("_", text.strip().lower())
    if not name:
        return None
    if name in REASONS:
        return REASONS[name]
    try:
        return SuppressionReason(name)
    except ValueError as error:
        raise RefusedRow(f"A reason is one of {', '.join(SuppressionReason)}.") from error


def _time(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusedRow("A time looks like 2030-01-31T12:00:00Z.") from error
    if at.tzinfo is None:
        raise RefusedRow("A time needs its offset from UTC.")
    try:
        is_over = at <= now
        at.timestamp()
    except OverflowError as error:
        raise RefusedRow("A time looks like 2030-01-31T12:00:00Z.") from error
    if is_over:
        raise RefusedRow("The end is in the past.")
    return at
