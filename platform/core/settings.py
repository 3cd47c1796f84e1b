"""Settings from the environment, or from the file that POSTLANE_ENV_FILE names.

Declared once, here, with type, default and meaning; `docs/operating.md` is generated
from it. A name that is not declared is an error at start, because a misspelt setting
that is silently ignored is found only when it matters.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "POSTLANE_"
Network = IPv4Network | IPv6Network
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z]{{2,63}}"
_MAILBOX = re.compile(rf"{_ADDRESS}|[\w .'-]+ <{_ADDRESS}>", re.IGNORECASE)


class SettingsError(Exception):
    """The environment does not make a valid configuration; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on or to connect to."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _text(value: str) -> str:
    return value.strip()


def _number(value: str) -> int:
    return int(value)


def _days(least: int, most: int) -> Callable[[str], int]:
    def count(value: str) -> int:
        found = int(value)
        if not least <= found <= most:
            raise ValueError(f"write {least} to {most}")
        return found

    return count


def _path(value: str) -> Path:
    return Path(value).expanduser().resolve()


def _optional_path(value: str) -> Path | None:
    return _path(value) if value.strip() else None


def _address(value: str) -> Address | None:
    if not value.strip():
        return None
    parts = urlsplit(f"//{value.strip()}")
    if not parts.hostname or parts.port is None:
        raise ValueError("write it as host:port")
    return Address(parts.hostname, parts.port)


def _addresses(value: str) -> tuple[Address, ...]:
    found = (_address(part) for part in value.split(","))
    return tuple(address for address in found if address)


def _networks(value: str) -> tuple[Network, ...]:
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


def _origins(value: str) -> frozenset[str]:
    found = frozenset(part.strip().lower().rstrip("/") for part in value.split(",") if part.strip())
    for origin in found - {"*"}:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
            raise ValueError("write each as https://host or https://host:port")
    return found


def _private_destinations(value: str) -> tuple[Network, ...]:
    return () if value.strip().lower() in ("", "deny") else _networks(value)


def _mailbox(value: str) -> str:
    # Only the shape: what an address is in full, `mail` knows.
    if value.strip() and not _MAILBOX.fullmatch(value.strip()):
        raise ValueError("write it as address@example.com or Name <address@example.com>")
    return value.strip()


def _one_of(*allowed: str) -> Callable[[str], str]:
    def choose(value: str) -> str:
        chosen = value.strip().lower()
        if chosen not in allowed:
            raise ValueError("choose one of " + ", ".join(repr(word) for word in allowed))
        return chosen

    return choose


def _setting(default: str, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(metadata={"default": default, "parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured; field `x_y` is the setting `POSTLANE_X_Y`."""

    database_url: str = _setting("", _text, "PostgreSQL URL; empty is the embedded one.")
    queue_url: str = _setting(
        "", _text, "Job queue, `redis://...` or `postgresql://...`; empty is the database."
    )
    data_dir: Path = _setting(
        "./var", _path, "Embedded database, captured mail, generated secrets."
    )
    secret_key: str = _setting(
        "",
        _text,
        "Signs tokens and encrypts keys at rest; at least 32 characters. `postlane up` makes "
        "one in the data directory, every other command needs it set or made.",
    )
    public_url: str = _setting(
        "http://127.0.0.1:8000", lambda v: v.strip().rstrip("/"), "Links, JWT issuer, tracking."
    )
    listen: Address = _setting("127.0.0.1:8000", _address, "Where the web process listens.")
    web_workers: int = _setting(
        str(os.cpu_count() or 1), _number, "Web workers; the default is the number of cores."
    )
    worker_concurrency: int = _setting(
        "200",
        _number,
        "Jobs that one worker runs at a time. Nearly all of them wait for a mail exchanger; too "
        "few, and mail to hosts that answer waits behind mail to hosts that do not.",
    )
    limits_file: Path | None = _setting(
        "",
        _optional_path,
        "TOML file with connections, messages_per_connection, messages_per_minute, _hour and "
        "_day for providers, in the form of delivery/limits.toml; 0 is no limit. Empty is ours.",
    )
    smtp_listen: Address | None = _setting(
        "127.0.0.1:2587",
        _address,
        "SMTP submission, signed in to with an API key as the password; empty turns it off.",
    )
    tls_certificate: Path | None = _setting(
        "",
        _optional_path,
        "PEM file with the certificate chain of SMTP submission, which then needs STARTTLS; "
        "without one, only programs on this machine may sign in.",
    )
    tls_key: Path | None = _setting(
        "", _optional_path, "PEM file with the private key of the certificate."
    )
    smtps_listen: Address | None = _setting(
        "",
        _address,
        "SMTP submission that is encrypted from the start, usually port 465; empty turns it off. "
        "It needs the certificate.",
    )
    smtp_once: str = _setting(
        "off",
        _one_of("off", "message_id"),
        "`message_id` takes a message that comes again by SMTP within 24 hours, with the same "
        "Message-ID to the same recipients, for the same one and sends it once.",
    )
    inbound_listen: Address | None = _setting(
        "127.0.0.1:2525",
        _address,
        "Bounces, complaints and unsubscribes from other mail servers; empty turns it off. The "
        "MX of `bounce.` and the host name leads here, from port 25.",
    )
    delivery: str = _setting(
        "capture",
        _one_of("capture", "direct", "relay"),
        "`capture` keeps mail on this machine, `direct` looks up MX hosts, `relay` uses a "
        "smarthost.",
    )
    relay_url: str = _setting("", _text, "`smtp://user:password@host:port` for `relay`.")
    kumomta_url: str = _setting(
        "",
        lambda v: v.strip().rstrip("/"),
        "HTTP listener of a KumoMTA, `http://user:password@host:port`, for the vMTAs below.",
    )
    kumomta_vmtas: frozenset[str] = _setting(
        "",
        lambda v: frozenset(part.strip() for part in v.split(",") if part.strip()),
        "Names of vMTAs whose mail KumoMTA delivers, separated by commas; `*` is all.",
    )
    keep_content_days: int = _setting(
        "3",
        _days(0, 30),
        "How long a message can be read after its last recipient is final; 0 to 30.",
    )
    keep_message_days: int = _setting(
        "30",
        _days(1, 400),
        "How long messages, their recipients, attempts and events are kept; 1 to 400.",
    )
    mx_port: int = _setting("25", _number, "Port for direct delivery; another one for tests.")
    ca_file: Path | None = _setting(
        "",
        _optional_path,
        "PEM file with the certificate authorities to trust when mail is sent; empty is the "
        "system's.",
    )
    dns_servers: tuple[Address, ...] = _setting(
        "",
        _addresses,
        "`host:port,...` for every look-up; empty is the system's resolvers. Where they say that "
        "DNSSEC has validated an answer they are believed, so the way to them has to be safe.",
    )
    hostname: str = _setting(
        socket.getfqdn(),
        lambda v: v.strip().lower().rstrip("."),
        "EHLO name, Message-ID domain, target of the DNS records customers publish; the "
        "default is the machine's name.",
    )
    notice_from: str = _setting(
        "",
        _mailbox,
        "Whom invitations and other mail of the platform itself are from, `address@example.com` "
        "or `Name <address@example.com>`; empty is postmaster at the host name.",
    )
    registration: str = _setting(
        "open",
        _one_of("open", "first_user", "closed"),
        "Who may register; `first_user` only while there is none.",
    )
    token_lifetime_seconds: int = _setting(
        "86400", _number, "How long a sign-in lasts; 300 to 604800."
    )
    payment: str = _setting(
        "auto",
        _one_of("auto", "manual", "stripe"),
        "Payment provider; `auto` is `stripe` where its key is set, else `manual`. With `manual`, "
        "new organizations are on the plan `self_hosted` and an operator says which invoices are "
        "paid; with `stripe` they begin with a `trial`.",
    )
    stripe_secret_key: str = _setting("", _text, "Secret key of the Stripe account, `sk_...`.")
    stripe_webhook_secret: str = _setting(
        "",
        _text,
        "Signing secret, `whsec_...`, of the Stripe webhook that calls "
        "`POST /internal/billing/stripe`.",
    )
    stripe_api_url: str = _setting(
        "https://api.stripe.com",
        lambda v: v.strip().rstrip("/"),
        "Where Stripe's API is; another one for tests.",
    )
    invoice_seller: str = _setting(
        "",
        lambda v: v.replace("\\n", "\n").strip(),
        "Who sells, as invoices say it: name, address and tax number, in lines separated by "
        "`\\n`; empty is the host name.",
    )
    source_addresses: tuple[Network, ...] = _setting(
        "",
        _networks,
        "Addresses or networks that vMTAs may have as theirs; needed where workers run on other "
        "machines than the web process. Empty is every address of this machine.",
    )
    private_destinations: tuple[Network, ...] = _setting(
        "deny",
        _private_destinations,
        "What may be reached though it is private when something is called or fetched that a "
        "customer names, such as a webhook or the logo of a domain: `deny`, or networks to allow.",
    )
    webhook_urls: str = _setting(
        "https",
        _one_of("https", "any"),
        "Which addresses webhooks may have: `https`, or `any`, which takes plain HTTP as well.",
    )
    private_exchangers: tuple[Network, ...] = _setting(
        "deny",
        _private_destinations,
        "Where mail exchangers may be though it is private: `deny`, or networks to allow. Names "
        "that strangers publish would lead direct delivery into this network.",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        "", _networks, "Networks whose `X-Forwarded-For` counts."
    )
    documents: str = _setting(
        "any",
        _one_of("any", "text", "trusted"),
        "Which GraphQL documents clients may run: `any`, and by their hash alone once sent; "
        "`text`, by their hash only those of the file of trusted ones; `trusted`, only those.",
    )
    trusted_documents: Path | None = _setting(
        "",
        _optional_path,
        "JSON file with the documents of clients by their SHA-256, as Relay's compiler, GraphQL "
        "Code Generator and Apollo's manifest tools write it.",
    )
    websocket_origins: frozenset[str] = _setting(
        "",
        _origins,
        "Origins such as `https://app.example.org` whose pages may open WebSockets, beside that "
        "of the public URL; `*` is any. Programs that are no browsers have none.",
    )
    metrics_allow: tuple[Network, ...] = _setting(
        "127.0.0.0/8,::1/128",
        _networks,
        "Networks that may read `/metrics` of the whole deployment without a credential.",
    )
    audit_days: int = _setting(
        "730", _days(30, 36_500), "Days that entries of the audit log are kept; 30 to 36500."
    )
    ledger_days: int = _setting(
        "730",
        _days(90, 36_500),
        "Days that lines of the ledger of credits can be read, 90 to 36500; what they add up to "
        "is kept.",
    )
    log_format: str = _setting(
        "auto", _one_of("auto", "text", "json"), "`auto` is text on a terminal, else json."
    )
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "The least level that is logged."
    )
    environment: str = _setting(
        "production",
        _one_of("production", "development"),
        "`development` lets anybody introspect the schema.",
    )


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings that *environ* makes, with the file it names beneath it.

    Raises:
        SettingsError: a name is unknown, or a value does not parse.
    """
    given = dict(environ)
    if path := given.get(f"{PREFIX}ENV_FILE"):
        given = {**read_env_file(Path(path)), **given}
    known = {PREFIX + f.name.upper(): f for f in fields(Settings)}
    given = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    given.pop(f"{PREFIX}ENV_FILE", None)
    for name in sorted(given.keys() - known.keys()):
        raise SettingsError(f"{name} is not a setting. See docs/operating.md for the list.")
    values: dict[str, Any] = {}
    for name, declared in known.items():
        text = given.get(name, declared.metadata["default"])
        try:
            values[declared.name] = declared.metadata["parse"](text)
        except ValueError as error:
            raise SettingsError(f"{name}={text!r} is not valid: {error}.") from error
    return _checked(Settings(**values))


def _checked(found: Settings) -> Settings:
    if found.delivery == "relay" and not found.relay_url:
        raise SettingsError("POSTLANE_DELIVERY=relay needs POSTLANE_RELAY_URL.")
    if found.kumomta_vmtas and not found.kumomta_url.startswith(("http://", "https://")):
        raise SettingsError(
            "POSTLANE_KUMOMTA_VMTAS needs POSTLANE_KUMOMTA_URL, http:// or https://."
        )
    if found.secret_key and len(found.secret_key) < 32:
        raise SettingsError("POSTLANE_SECRET_KEY needs at least 32 characters.")
    if not 300 <= found.token_lifetime_seconds <= 604_800:
        raise SettingsError("POSTLANE_TOKEN_LIFETIME_SECONDS must be 300 to 604800.")
    if bool(found.tls_certificate) != bool(found.tls_key):
        raise SettingsError("POSTLANE_TLS_CERTIFICATE and POSTLANE_TLS_KEY need each other.")
    if found.smtps_listen is not None and found.tls_certificate is None:
        raise SettingsError("POSTLANE_SMTPS_LISTEN needs POSTLANE_TLS_CERTIFICATE.")
    if found.documents == "trusted" and not found.trusted_documents:
        raise SettingsError("POSTLANE_DOCUMENTS=trusted needs POSTLANE_TRUSTED_DOCUMENTS.")
    if bool(found.stripe_secret_key) != bool(found.stripe_webhook_secret):
        raise SettingsError(
            "POSTLANE_STRIPE_SECRET_KEY and POSTLANE_STRIPE_WEBHOOK_SECRET need each other."
        )
    if found.payment == "stripe" and not found.stripe_secret_key:
        raise SettingsError("POSTLANE_PAYMENT=stripe needs POSTLANE_STRIPE_SECRET_KEY.")
    if found.listen is None:
        raise SettingsError("POSTLANE_LISTEN cannot be empty.")
    return found


def read_env_file(path: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file; `#` starts a comment line, quotes are stripped."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"POSTLANE_ENV_FILE={path} cannot be read: {error}.") from error
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith("#"):
            found[name.removeprefix("export ").strip()] = value.strip().strip("\"'")
    return found


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return this process's settings, read once.

    A process that was told its secret and its database by `postlane up` finds both in
    its environment.
    """
    found = load(os.environ)
    if not found.secret_key:
        path = found.data_dir / "secret_key"
        if not path.is_file():
            raise SettingsError(
                "POSTLANE_SECRET_KEY is not set. Set it to 32 random characters or more, or "
                "start with `postlane up`, which makes one."
            )
        values = {f.name: getattr(found, f.name) for f in fields(found)}
        found = Settings(**{**values, "secret_key": path.read_text("ascii").strip()})
    return found
