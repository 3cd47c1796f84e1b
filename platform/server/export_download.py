"""`/exports/<token>`: the file of an export, to whoever has the link, part by part."""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.params import Parameter
from litestar.response import Stream

from ..exports.work import find_download, read_parts
from ..graphql.exports import PATH
from ..security.errors import TooManyRequests
from .edge import failure

Token = Annotated[str, Parameter(description="What `downloadUrl` ends with.")]


@route(PATH + "{token:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def download(token: Token, request: Request[Any, Any, Any]) -> Response[Any]:
    """Answer the file; 410 if it was thrown away or the link is too old.

    What is missing at the end shows by the length that was announced.
    """
    try:
        found = await find_download(token)
    except LookupError:
        return _refused(request, 404, "not_found", "There is nothing at this address.")
    except TooManyRequests as refusal:
        again = {"Retry-After": str(refusal.retry_after_seconds)}
        return _refused(request, 429, "rate_limited", refusal.sentence, headers=again)
    if found is None:
        message = "This link no longer works: ask for a new one, or have the file made again."
        return _refused(request, 410, "export_gone", message)
    name = f"{found.dataset.value.replace('_', '-')}-{found.created_at:%Y-%m-%d}.csv"
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(found.size_bytes),
    }
    if request.method == "HEAD":
        return Response(b"", headers=headers)
    return Stream(read_parts(found), headers=headers)


def _refused(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    text: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response[Any]:
    body = failure(status, code, text, request.scope["state"]["request_id"])
    return Response(body, status_code=status, headers=headers)
