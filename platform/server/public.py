"""HTTP that is not an API: health, the front door, what robots and browsers ask for."""

import math
from importlib.metadata import version
from typing import Any

from litestar import MediaType, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from ..core import clock
from ..core.settings import settings
from ..graphql.scalars import write_time
from .export_download import download
from .health import KEPT_SECONDS, Check, Health, HealthMonitor, HealthStatus
from .postal_key import jwks

ROBOTS = "User-agent: *\nDisallow: /\n"
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" '
    'rx="6" fill="#0b3d5c"/><path d="M6 10h20v13H6z M6 10l10 8 10-8" fill="none" '
    'stroke="#fff" stroke-width="2"/></svg>'
)
FRONT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Postlane</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto }}
code {{ background: #eee; padding: .1em .3em }}
</style>
<h1>Postlane</h1>
<p>This machine sends email. <a href="/orgs">Open the dashboard</a>, or speak to it by program:</p>
<ul>
<li>GraphQL, by POST: <code>{url}/graphql</code></li>
<li>REST: <code>{url}/api/v1/messages/send</code> and its siblings</li>
<li>Health: <a href="/health"><code>{url}/health</code></a></li>
</ul>
<p>Send an API key as <code>Authorization: Bearer ...</code>; the dashboard makes them.
<code>postlane print-schema</code> and <code>postlane print-openapi</code> print what can
be asked.</p>
"""
DAY = "public, max-age=86400"
READ = [HttpMethod.GET, HttpMethod.HEAD]


def build_handlers(monitor: HealthMonitor) -> list[HTTPRouteHandler]:
    """Return the handlers; health is what *monitor* finds."""

    @route("/health", http_method=READ, media_type=MediaType.JSON)
    async def health() -> Response[dict[str, Any]]:
        """Say whether mail can be taken and delivered: 200, or 503 if not."""
        found = await monitor.health()
        if found.status is not HealthStatus.FAIL:
            return Response(_body(monitor, found))
        headers = {"Retry-After": str(math.ceil(KEPT_SECONDS))}
        return Response(_body(monitor, found), status_code=503, headers=headers)

    return [health, front, robots, icon, jwks, download]


@route("/", http_method=READ, media_type=MediaType.HTML, sync_to_thread=False)
def front() -> Response[str]:
    """Say what this is, and where to go."""
    return Response(
        FRONT.format(url=settings().public_url),
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "frame-ancestors 'none'"
        },
    )


@route("/robots.txt", http_method=READ, media_type=MediaType.TEXT, sync_to_thread=False)
def robots() -> Response[str]:
    """Ask search engines to stay away."""
    return Response(ROBOTS, headers={"Cache-Control": DAY})


@route("/favicon.ico", http_method=READ, media_type="image/svg+xml", sync_to_thread=False)
def icon() -> Response[str]:
    """Return the picture that browsers ask for, unasked."""
    return Response(ICON, headers={"Cache-Control": DAY})


def _body(monitor: HealthMonitor, found: Health) -> dict[str, Any]:
    return {
        "status": found.status.value,
        "version": version("postlane"),
        "started_at": write_time(monitor.started_at),
        "uptime_seconds": int((clock.now() - monitor.started_at).total_seconds()),
        "checks": {name: _shown(check) for name, check in found.checks.items()},
    }


def _shown(check: Check) -> dict[str, Any]:
    # Anybody may ask, so neither addresses nor the texts of errors.
    shown: dict[str, Any] = {"status": check.status.value}
    return shown if check.latency_ms is None else shown | {"latency_ms": check.latency_ms}
