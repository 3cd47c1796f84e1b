"""Spans for OpenTelemetry, if the environment asks for them; else nothing at all.

It asks by OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_ENDPOINT`, or
`OTEL_TRACES_EXPORTER` as `otlp` or `console`. The packages are an extra, `postlane[otel]`, and
are imported when tracing is started. Spans carry no addresses, no contents, no credentials and
no values of statements.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from types import TracebackType
from typing import Any, Protocol

log = logging.getLogger(__name__)

LONGEST_STATEMENT = 300
"""Characters of a statement that a span shows."""


class Kind(Enum):
    """What a span is to the one around it, named as OpenTelemetry does."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """What is being done."""

    def note(self, name: str, value: str | int | bool) -> None:
        """Say something about it that is known only now."""


class _Nothing:
    """The span of a process that is not traced; one for all."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def note(self, name: str, value: str | int | bool) -> None:
        """Forget it."""


class _Traced:
    """A span of OpenTelemetry, begun when it is entered."""

    __slots__ = ("_context", "_span")

    def __init__(self, context: Any) -> None:
        self._context = context

    def __enter__(self) -> Span:
        self._span = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def note(self, name: str, value: str | int | bool) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)


_NOTHING = _Nothing()
_tracer: Any = None
_provider: Any = None


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Say whether the environment asks for spans."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter in ("otlp", "console")
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(environ.get(name) for name in names)


def start_tracing(program: str) -> None:
    """Trace this process, part *program* of Postlane, if the environment asks for it.

    After a fork, not before it: what sends spans is a thread.
    """
    global _tracer, _provider
    if _provider is not None or not is_wanted(os.environ):
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.error("spans are asked for, but 'postlane[otel]' is not installed")
        return
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"postlane-{program}"}
    _provider = TracerProvider(resource=Resource.create(named))
    _provider.add_span_processor(BatchSpanProcessor(_exporter()))
    _tracer = _provider.get_tracer("postlane")


def _exporter() -> Any:
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def stop_tracing() -> None:
    """Send what has gathered, and trace no more."""
    global _tracer, _provider
    provider, _tracer, _provider = _provider, None, None
    if provider is not None:
        provider.shutdown()


def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    *,
    about: Mapping[str, str | int | bool] | None = None,
    headers: Iterable[tuple[bytes, bytes]] | None = None,
) -> AbstractContextManager[Span]:
    """Return what is to be entered while something is done.

    *headers* are those of a request that may say which trace it belongs to.

    Source: https://www.w3.org/TR/trace-context/
    """
    if _tracer is None:
        return _NOTHING
    from opentelemetry.trace import SpanKind

    return _Traced(
        _tracer.start_as_current_span(
            name,
            context=None if headers is None else _parent(headers),
            kind=SpanKind[kind.value],
            attributes=about,
        )
    )


def statement(sql: str) -> AbstractContextManager[Span]:
    """Return the span of one statement, which has its text and none of its values."""
    if _tracer is None:
        return _NOTHING
    about = {"db.system.name": "postgresql", "db.query.text": sql.strip()[:LONGEST_STATEMENT]}
    return span(f"SQL {sql.split(None, 1)[0].upper()}", Kind.CLIENT, about=about)


def _parent(headers: Iterable[tuple[bytes, bytes]]) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
    return TraceContextTextMapPropagator().extract(given)
