"""Structured logs: one line per event, with the request, organization and job it belongs to."""

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime

_bound: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar(
    "log_fields", default=None
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class bound:
    """Adds *fields* to every line logged within the body.

    A class, though it is used as a function: a generator costs every request more.
    """

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        outer = _bound.get()
        self._token = _bound.set({**outer, **self._fields} if outer else self._fields)

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    extra = {k: v for k, v in vars(record).items() if k not in _STANDARD}
    return {**(_bound.get() or {}), **extra}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """One line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")  # noqa: DTZ006 a person's clock
        pairs = "".join(f" {k}={v}" for k, v in _fields_of(record).items())
        line = f"{time} {record.levelname.lower():7} {record.getMessage()}{pairs}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def start_logging(*, form: str, level: str) -> None:
    """Send every log line of this process to standard error in *form*: auto, text or json."""
    handler = logging.StreamHandler(sys.stderr)
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # SAQ logs two lines a job at INFO, which at full speed is most of the log.
    logging.getLogger("saq").setLevel(logging.WARNING)
    # aiosmtpd logs every line of every conversation under this name.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
