"""What stands in for Stripe: an HTTP server that the official client speaks to.

It keeps customers, Checkout sessions and PaymentIntents as Stripe's documentation describes
them, honours idempotency keys, and signs the events it makes as Stripe does. A payment method
decides what becomes of a charge by its name: `pm_declined`, `pm_slow`, `pm_down`, `pm_gone`, or
`pm_lost` (it is charged, and nobody hears of it); else it works.

Source: https://docs.stripe.com/api
"""

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import stripe

SECRET_KEY, WEBHOOK_SECRET = "sk_test_standin", "whsec_standin"
DECLINED, SLOW, DOWN, GOOD = "pm_declined", "pm_slow", "pm_down", "pm_good"
GONE, LOST = "pm_gone", "pm_lost"
_NUMBERS = count(1)

Object = dict[str, Any]


@dataclass(slots=True)
class Books:
    """What the stand-in has been told, and what it answered."""

    customers: dict[str, Object] = field(default_factory=dict)
    sessions: dict[str, Object] = field(default_factory=dict)
    intents: dict[str, Object] = field(default_factory=dict)
    answers: dict[str, tuple[tuple[int, Object], Object]] = field(default_factory=dict)
    """By idempotency key: the answer, and what was asked."""
    requests: list[str] = field(default_factory=list)


class StripeServer:
    """Listens on a free port of the loopback."""

    def __init__(self) -> None:
        self.books = Books()
        self.is_down = False
        """It answers 500 to everything."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def settings(self) -> dict[str, str]:
        """Return the settings of a deployment that takes it for Stripe."""
        return {
            "stripe_secret_key": SECRET_KEY,
            "stripe_webhook_secret": WEBHOOK_SECRET,
            "stripe_api_url": self.url,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pay(self, session_id: str, *, method: str = GOOD) -> Object:
        """Have a customer finish a Checkout page, and return the event of it."""
        session = self.books.sessions[session_id]
        intent: Object = {"id": _id("pi"), "payment_method": _method(method)}
        session["status"] = "complete"
        session["payment_status"] = (
            "paid" if session["mode"] == "payment" else "no_payment_required"
        )
        session["payment_intent" if session["mode"] == "payment" else "setup_intent"] = intent
        return event("checkout.session.completed", _collapsed(session))

    def forget_keys(self) -> None:
        """Forget idempotency keys, as Stripe does after a day."""
        self.books.answers.clear()

    def answer(self, method: str, path: str, asked: Object, key: str | None) -> tuple[int, Object]:
        """Return what Stripe would answer, the same to the same idempotency key."""
        with self._lock:
            self.books.requests.append(f"{method} {path}")
            if self.is_down:
                return 500, {"error": {"type": "api_error", "message": "It is down."}}
            if key is not None and key in self.books.answers:
                known, first = self.books.answers[key]
                if first != asked:
                    error = {"type": "idempotency_error", "message": "Other parameters."}
                    return 400, {"error": error}
                return (500, {"error": {"type": "api_error"}}) if _is_lost(asked) else known
            answered = self._answer(method, path, asked)
            if key is not None and answered[0] < 500:
                self.books.answers[key] = answered, asked
            return (500, {"error": {"type": "api_error"}}) if _is_lost(asked) else answered

    def _answer(self, method: str, path: str, asked: Object) -> tuple[int, Object]:
        books = self.books
        if (method, path) == ("POST", "/v1/customers"):
            made = {"id": _id("cus"), "object": "customer", **asked}
            books.customers[made["id"]] = made
            return 200, made
        if (method, path) == ("POST", "/v1/checkout/sessions"):
            return self._open(asked)
        if (method, path) == ("POST", "/v1/payment_intents"):
            return self._charge(asked)
        if (method, path) == ("GET", "/v1/payment_intents"):
            asker = asked["customer"]
            theirs = [each for each in books.intents.values() if each["customer"] == asker]
            return 200, {"object": "list", "has_more": False, "data": theirs[::-1]}
        found = re.fullmatch("/v1/checkout/sessions/([^/]+)", path)
        if method == "GET" and found and found[1] in books.sessions:
            return 200, books.sessions[found[1]]
        return 404, {"error": {"type": "invalid_request_error", "message": "No such thing."}}

    def _open(self, asked: Object) -> tuple[int, Object]:
        if asked["customer"] not in self.books.customers:
            return 400, {"error": {"type": "invalid_request_error", "message": "No customer."}}
        lines = list(asked.get("line_items", {}).values())
        total = sum(int(x["quantity"]) * int(x["price_data"]["unit_amount"]) for x in lines)
        made = {
            "id": _id("cs_test"),
            "object": "checkout.session",
            "mode": asked["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "customer": asked["customer"],
            "client_reference_id": asked["client_reference_id"],
            "metadata": asked["metadata"],
            "amount_total": total if lines else None,
            "currency": lines[0]["price_data"]["currency"] if lines else None,
            "expires_at": int(time.time()) + 86_400,
            "payment_intent": None,
            "setup_intent": None,
        }
        made["url"] = f"{self.url}/c/pay/{made['id']}"
        self.books.sessions[made["id"]] = made
        return 200, made

    def _charge(self, asked: Object) -> tuple[int, Object]:
        method = asked["payment_method"]
        if method == DOWN:
            return 500, {"error": {"type": "api_error", "message": "It is down."}}
        if method == GONE:
            error = {"type": "invalid_request_error", "code": "resource_missing"}
            return 400, {"error": error | {"param": "payment_method", "message": "No such thing."}}
        made = {
            "id": _id("pi"),
            "object": "payment_intent",
            "amount": int(asked["amount"]),
            "currency": asked["currency"],
            "customer": asked["customer"],
            "payment_method": method,
            "metadata": asked["metadata"],
            "status": "processing" if method == SLOW else "succeeded",
        }
        self.books.intents[made["id"]] = made
        if method == DECLINED:
            made["status"] = "requires_payment_method"
            error = {"type": "card_error", "code": "card_declined", "payment_intent": made}
            return 402, {"error": error | {"message": "Your card was declined."}}
        return 200, made


def event(type: str, about: Object, *, at: float | None = None, id: str | None = None) -> Object:
    """Return an event as Stripe sends it."""
    return {
        "id": id or _id("evt"),
        "object": "event",
        "type": type,
        "created": int(at or time.time()),
        "data": {"object": about},
    }


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> str:
    """Return the header `Stripe-Signature` for a body."""
    return stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, int(at or time.time())
    )


def _is_lost(asked: Object) -> bool:
    return asked.get("payment_method") == LOST


def _id(prefix: str) -> str:
    return f"{prefix}_{next(_NUMBERS)}_{time.time_ns()}"


def _method(id: str) -> Object:
    card = {"brand": "visa", "last4": "4242", "exp_year": 2028, "exp_month": 4}
    return {"id": id, "object": "payment_method", "type": "card", "card": card}


def _collapsed(session: Object) -> Object:
    """Return a session as events have it: what is not expanded is an id."""
    intents = ("payment_intent", "setup_intent")
    return {k: v["id"] if k in intents and v else v for k, v in session.items()}


def _handler(server: StripeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply("GET", b"")

        def do_POST(self) -> None:
            self._reply("POST", self.rfile.read(int(self.headers.get("content-length") or 0)))

        def _reply(self, method: str, body: bytes) -> None:
            if self.headers.get("authorization") != f"Bearer {SECRET_KEY}":
                status, answer = 401, {"error": {"type": "authentication_error"}}
            else:
                key = self.headers.get("idempotency-key") if method == "POST" else None
                url = urlsplit(self.path)
                asked = _nested(body or url.query.encode())
                status, answer = server.answer(method, url.path, asked, key)
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _nested(body: bytes) -> Object:
    """Return `a[b][0]=c` as objects in one another, as Stripe reads it."""
    found: Object = {}
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        at = found
        for step in path:
            at = at.setdefault(step, {})
        at[last] = value
    return found
