"""What analytics refuses.

* InvalidInput
  - InvalidPeriod     no such stretch of time
  - InvalidInterval   no such buckets, or not of this stretch
  - RangeTooLarge     more than is kept, or than one answer holds
  - ExportTooLarge    more rows than one file holds
* Unavailable
  - ReportTimeout     a report took too long
"""

from ..core.errors import Detail, DetailCode, ErrorCode, InvalidInput, Unavailable


class InvalidPeriod(InvalidInput):
    """No stretch of time is meant by it."""

    code = ErrorCode.INVALID_PERIOD


class InvalidInterval(InvalidInput):
    """The stretch of time cannot be cut like that."""

    code = ErrorCode.INVALID_INTERVAL


class RangeTooLarge(InvalidInput):
    """It is longer than is kept, or than one answer holds."""

    code = ErrorCode.RANGE_TOO_LARGE


class ExportTooLarge(InvalidInput):
    """It has more rows than one file holds."""

    code = ErrorCode.EXPORT_TOO_LARGE


class ReportTimeout(Unavailable):
    """A report took longer than anybody waits for."""

    code = ErrorCode.REPORT_TIMEOUT
    message = "The report took longer than 30 seconds. Ask for fewer sections or a shorter range."


def of_period(message: str, *, field: str = "period") -> InvalidPeriod:
    """Return the refusal of a period, naming the field."""
    return InvalidPeriod(message, details=[Detail(field, DetailCode.INVALID_FORMAT, message)])
