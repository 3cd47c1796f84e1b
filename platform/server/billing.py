"""Invoices for browsers, and the payment provider's notifications."""

import base64
import logging
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from ..billing.errors import PaymentProviderError
from ..billing.provider import NotGenuine, find_provider
from ..billing.work import take_notification
from ..core.errors import ErrorCode, OperationError
from ..graphql.answers import Authenticate
from ..graphql.context import Context
from ..graphql.execute import Document, execute
from ..rest_compat.postmta.dialect import ERRORS
from ..rest_compat.route import Fault
from .edge import failure

log = logging.getLogger(__name__)

WEBHOOK = "/internal/billing/stripe"
LARGEST_NOTIFICATION = 1_048_576
INVOICE = Document(
    "query Invoice($id: ID!) { organization { billing { invoice(id: $id) { number html } } } }"
)
INVOICE_PDF = Document(
    "query InvoicePdf($id: ID!) { organization { billing { invoice(id: $id) { number pdf } } } }"
)
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'"
}
InvoiceId = Annotated[str, Parameter(description="Of one of the organization's.")]


def build_handlers(authenticate: Authenticate) -> list[HTTPRouteHandler]:
    """Return the handlers; *authenticate* says who asks for an invoice."""

    @get("/billing/invoices/{invoice_id:str}")
    async def page(request: Request[Any, Any, Any], invoice_id: InvoiceId) -> Response[Any]:
        """Answer an invoice as a page."""
        found = await _invoice(request, authenticate, INVOICE, invoice_id)
        if isinstance(found, Response):
            return found
        return Response(found["html"], media_type="text/html", headers=PAGE_HEADERS)

    @get("/billing/invoices/{invoice_id:str}/pdf")
    async def pdf(request: Request[Any, Any, Any], invoice_id: InvoiceId) -> Response[Any]:
        """Answer an invoice as PDF."""
        found = await _invoice(request, authenticate, INVOICE_PDF, invoice_id)
        if isinstance(found, Response):
            return found
        name = f'inline; filename="{found["number"]}.pdf"'
        return Response(
            base64.b64decode(found["pdf"]),
            media_type="application/pdf",
            headers={"Content-Disposition": name},
        )

    return [page, pdf, take]


async def _invoice(
    request: Request[Any, Any, Any], authenticate: Authenticate, document: Document, text: str
) -> Any:
    """Return the invoice, or the answer that refuses it."""
    state = request.scope["state"]
    try:
        actor = await authenticate(request.scope)
    except OperationError as refusal:
        return _refused(request, refusal.error_code, refusal.sentence)
    context = Context(
        actor=actor, request_id=state["request_id"], source_address=state["client_address"]
    )
    result = await execute(document, {"id": text}, context)
    if result.errors:
        return _refused(request, result.errors[0].code, result.errors[0].message)
    assert result.data is not None
    return result.data["organization"]["billing"]["invoice"]


def _refused(
    request: Request[Any, Any, Any], code: ErrorCode | Fault, message: str
) -> Response[Any]:
    status, word = ERRORS[code]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    body = failure(status, word, message, request.scope["state"]["request_id"])
    return Response(body, status_code=status, headers=headers)


@post(WEBHOOK, status_code=200, request_max_body_size=LARGEST_NOTIFICATION)
async def take(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take a notification of Stripe's: 200 once it is acted upon, known or of no concern.

    Source: https://docs.stripe.com/webhooks
    """
    provider = find_provider()
    if provider is None:
        return _refused(request, ErrorCode.NOT_FOUND, "There is nothing at this address.")
    try:
        told = provider.read_notification(
            await request.body(), request.headers.get("stripe-signature")
        )
    except NotGenuine as error:
        return _refused(request, Fault.INVALID_REQUEST, str(error))
    try:
        outcome = await take_notification(provider, told)
    except PaymentProviderError:
        # It is told again, and asked for again then.
        return _refused(request, ErrorCode.SERVICE_UNAVAILABLE, "Tell it again shortly.")
    log.info("told by the payment provider", extra={"event": told.type, "outcome": outcome})
    return Response({"received": True, "outcome": outcome.value})
