"""Spans as a collector gets them, and nothing of it in a process that is not traced."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from postlane.core import tracing
from postlane.core.queue import JobName
from postlane.jobs.worker import FUNCTIONS, traced
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization
from tests.mail.test_smtp import deliver, envelope
from tests.sink import Sink
from tests.workers import SOURCE

SEND = """mutation Greet($input: SendMessageInput!) {
  sendMessage(input: $input) { receipt { uuid } } }"""
PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP, as a real one does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = ExportTraceServiceRequest()
        sent.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
        collector = self.server
        assert isinstance(collector, Collector)
        for resource in sent.resource_spans:
            collector.services |= {
                each.value.string_value
                for each in resource.resource.attributes
                if each.key == "service.name"
            }
            for scope in resource.scope_spans:
                collector.spans += scope.spans
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that this process sends its spans to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        tracing.start_tracing("test")
        yield running
        tracing.stop_tracing()
        running.shutdown()


def about(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_request_is_one_trace_from_http_to_sql(
    client: Client, collector: Collector
) -> None:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    actor = await make_actor(organization)
    message = {"from": f"shop@{domain.name}", "to": ["secret@example.net"], "subject": "Hidden"}

    await client.data(
        SEND,
        {"input": message | {"text": "Hello."}},
        actor=actor,
        headers={"traceparent": f"00-{PARENT}-00f067aa0ba902b7-01"},
    )
    tracing.stop_tracing()

    [http] = collector.named("HTTP")
    [operation] = collector.named("GraphQL mutation")
    assert collector.services == {"postlane-test"}
    assert http.trace_id.hex() == operation.trace_id.hex() == PARENT
    assert about(http)["http.route"] == "/graphql"
    assert about(http)["http.response.status_code"] == 200
    assert about(operation)["graphql.operation.name"] == "Greet"
    assert operation.parent_span_id == http.span_id
    assert collector.named("SQL transaction")
    assert collector.named("SQL INSERT")
    told = str(collector.spans)
    assert "secret@example.net" not in told
    assert "Hidden" not in told


async def test_jobs_and_conversations_are_spans(sink: Sink, collector: Collector) -> None:
    async def job(ctx: dict[str, Any]) -> None:
        assert ctx == {}

    await traced(JobName.TIDY, job)({})
    await deliver(sink, envelope("550-at-rcpt@sink.example"))
    tracing.stop_tracing()

    assert [span.name for span in collector.spans] == ["job tidy", "SMTP conversation"]
    told = {"server.address": "sink.example", "postlane.verdict": "bounced"}
    assert about(collector.spans[1]) == told


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], wanted: bool) -> None:
    assert tracing.is_wanted(environ) is wanted


@pytest.mark.slow
def test_nothing_is_imported_that_nobody_asked_for() -> None:
    program = (
        "import sys, postlane.server.app, postlane.jobs.worker\n"
        "from postlane.core import tracing\n"
        "tracing.start_tracing('web')\n"
        "with tracing.span('x') as span: span.note('a', 1)\n"
        "assert tracing.span('x') is tracing.span('y')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": SOURCE, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stdout == "[]\n", ran.stderr


def test_every_kind_of_job_can_be_traced() -> None:
    assert [traced(name, job).__name__ for name, job in FUNCTIONS.items()] == [
        job.__name__ for job in FUNCTIONS.values()
    ]
