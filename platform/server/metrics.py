"""`/metrics`: what Prometheus reads, for whoever may see it.

An operator's network, and a platform administrator, see the whole deployment: every
organization together, and what the processes of this machine measured. Anybody else sees
the counts of their organization.
"""

import logging
import math
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from ..core import clock
from ..core.actor import Permission
from ..core.errors import ErrorCode, NotPermitted, OperationError, Unavailable
from ..core.reaching import is_unreachable
from ..core.settings import Network, Settings
from ..core.tenants import acting_for
from ..graphql.scalars import write_time
from ..rest_compat.bodies import Request, request_of
from ..rest_compat.dialects import POSTMTA
from ..rest_compat.gate import Gate, admit, as_refused
from ..rest_compat.route import Fault, Refused
from .series import all_series, series_of

log = logging.getLogger(__name__)

TEXT = "text/plain; version=0.0.4; charset=utf-8"
JSON = "application/json"
FORMATS = {"prometheus": TEXT, "json": JSON}
MOST_PARAMETERS = 50
FORWARDED = ("x-forwarded-for", "x-real-ip", "forwarded")


def metrics_handler(gate: Gate, found: Settings) -> ASGIRouteHandler:
    """Return the handler of `/metrics`."""

    @asgi("/metrics", copy_scope=False)
    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = request_of(scope)
        try:
            status, (media_type, body) = 200, await _answer(request, gate, found)
            headers: Sequence[tuple[str, str]] = ()
        except (Refused, OperationError) as refused:
            reply = POSTMTA.failure(as_refused(refused), request, None)
            status, media_type, body = reply.status, JSON, msgspec.json.encode(reply.body)
            headers = reply.headers
        headers = [
            ("content-type", media_type),
            ("content-length", str(len(body))),
            *request.answer_headers,
            *headers,
        ]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        content = b"" if request.method == "HEAD" else body
        await send({"type": "http.response.body", "body": content, "more_body": False})

    return metrics


async def _answer(request: Request, gate: Gate, found: Settings) -> tuple[str, bytes]:
    if request.method not in ("GET", "HEAD"):
        raise Refused(
            Fault.METHOD_NOT_ALLOWED,
            "This endpoint takes GET, HEAD.",
            headers=[("allow", "GET, HEAD")],
        )
    media_type = media_type_of(request)
    try:
        metrics = await _visible(request, gate, found)
    except Exception as error:
        if not is_unreachable(error):
            raise
        log.error("the metrics could not be read", exc_info=error)
        raise Unavailable from error
    return media_type, _json(metrics) if media_type == JSON else _text(metrics)


def media_type_of(request: Request) -> str:
    """Return what to answer: as `format` says, or else by `Accept`.

    Raises:
        Refused: there is no such format, or the query string is not one.
    """
    text = request.query.decode("latin-1")
    try:
        query = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise Refused(Fault.INVALID_REQUEST, "The query string cannot be read.") from error
    if asked := query.get("format"):
        if asked[-1] not in FORMATS:
            raise Refused(Fault.NOT_ACCEPTABLE, "A format is `prometheus` or `json`.")
        return FORMATS[asked[-1]]
    wishes: dict[str, float] = {}
    for part in request.headers.get("accept", "")[:2000].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        wishes[name] = float(quality) if quality.replace(".", "", 1).isdecimal() else 0.0
    plain = max(wishes.get("text/plain", 0), wishes.get("application/openmetrics-text", 0))
    return JSON if wishes.get(JSON, 0) > plain else TEXT


async def _visible(request: Request, gate: Gate, found: Settings) -> list[Metric]:
    if is_operators(request, found.metrics_allow, is_behind_proxy=bool(found.trusted_proxies)):
        return await all_series()
    actor = await admit(gate, request)
    actor.require(Permission.READ_METRICS)
    if actor.platform_admin:
        return await all_series()
    if actor.project_id is not None:
        raise NotPermitted(
            "The API key is for one project, and metrics are the whole organization's.",
            code=ErrorCode.INSUFFICIENT_SCOPE,
        )
    with acting_for([actor.organization_id]):
        return await series_of(actor)


def is_operators(request: Request, networks: Sequence[Network], *, is_behind_proxy: bool) -> bool:
    """Say whether the address that a request came from may see everything.

    A request that a proxy passed on does not come from the proxy's machine. Whom it does
    come from is known only of proxies that are named in the settings: without any, a proxy
    on this machine would make everybody an operator.
    """
    if not is_behind_proxy and any(name in request.headers for name in FORWARDED):
        return False
    if request.address is None:
        return False
    address = ip_address(request.address)
    return any(address.version == each.version and address in each for each in networks)


class _Found:
    """Metrics that were read, as what the library writes out."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        return self._metrics


def _text(metrics: Sequence[Metric]) -> bytes:
    return generate_latest(_Found(metrics))


def _json(metrics: Sequence[Metric]) -> bytes:
    series = [item for metric in metrics for item in _items(metric)]
    return msgspec.json.encode({"generated_at": write_time(clock.now()), "metrics": series})


def _items(metric: Metric) -> list[dict[str, Any]]:
    if metric.type == "histogram":
        return _histograms(metric)
    return [
        {
            "name": sample.name,
            "type": metric.type,
            "labels": sample.labels,
            "value": _number(sample.value),
        }
        for sample in metric.samples
    ]


def _histograms(metric: Metric) -> list[dict[str, Any]]:
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in metric.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        item = found.setdefault(
            tuple(sorted(labels.items())),
            {"name": metric.name, "type": metric.type, "labels": labels, "count": 0, "sum": 0},
        )
        item.setdefault("buckets", [])
        _add(item, sample, metric.name)
    for item in found.values():
        item["buckets"].sort(key=lambda bucket: math.inf if bucket["le"] is None else bucket["le"])
    return list(found.values())


def _add(item: dict[str, Any], sample: Sample, name: str) -> None:
    if sample.name == f"{name}_bucket":
        le = float(sample.labels["le"])
        bound = None if math.isinf(le) else _number(le)
        item["buckets"].append({"le": bound, "count": _number(sample.value)})
    else:
        item[sample.name.removeprefix(f"{name}_")] = _number(sample.value)


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
