"""Lines of CSV, of which no cell is a formula to a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet calculate a cell, or fetch what it names.

Source: OWASP, CSV Injection.
"""


def csv_lines(rows: Iterable[Sequence[object]], *, delimiter: str = ",") -> bytes:
    """Return *rows* as they stand in a file; None is an empty cell.

    Source: RFC 4180.
    """
    text = io.StringIO()
    lines = csv.writer(text, delimiter=delimiter)
    lines.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    is_number = isinstance(value, int | float)
    return f"'{text}" if text.startswith(FORMULA) and not is_number else text
