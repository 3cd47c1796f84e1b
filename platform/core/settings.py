"""Settings from the environment, or from the file that POSTLANE_ENV_FILE names.

Declared once, here, with type, default and meaning; `docs/operating.md` is generated
from it. A name that is not declared is an error at start, because a misspelt setting
that is silently ignored is found only when it matters.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import setting_forms

PREFIX = "POSTLANE_"
Network = IPv4Network | IPv6Network


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


_days, _one_of = setting_forms.between, setting_forms.one_of

PLANS = ("trial", "starter", "professional", "enterprise", "self_hosted")
KEPT = ("contents", "messages", "calls", "requests", "audit")
_PLAN_DAYS = re.compile(rf"({'|'.join(PLANS)})\.({'|'.join(KEPT)})=([0-9]{{1,5}})")


def _days_by_plan(value: str) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for part in value.split(","):
        match = _PLAN_DAYS.fullmatch(part.strip())
        if match is not None:
            found[match[1], match[2]] = int(match[3])
        elif part.strip():
            raise ValueError(
                "write each as plan.what=days, such as trial.messages=7; plans are "
                f"{', '.join(PLANS)}, and what is one of {', '.join(KEPT)}"
            )
    return found


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


def _clamd(value: str) -> str:
    place = value.strip()
    if place and not place.removeprefix("unix:").startswith("/"):
        _address(place)
    return place


def _names(value: str) -> tuple[str, ...]:
    found = (part.strip().lower().rstrip(".") for part in value.split(","))
    return tuple(dict.fromkeys(name for name in found if name))


def _private_destinations(value: str) -> tuple[Network, ...]:
    return () if value.strip().lower() in ("", "deny") else _networks(value)


def _setting(default: str, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(metadata={"default": default, "parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured; field `x_y` is the setting `POSTLANE_X_Y`."""

    database_url: str = _setting("", _text, "PostgreSQL URL; empty is the embedded one.")
    queue_url: str = _setting(
        "", _text, "Job queue, `redis://...` or `postgresql://...`; empty is the database."
    )
    row_security: str = _setting(
        "auto",
        _one_of("off", "auto", "on"),
        "Whether the database itself keeps organizations apart, behind the code that does so: "
        "`on` does not start without, `auto` goes without where the database lacks the role for "
        "it, which `postlane doctor` tells how to make.",
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
    old_secret_keys: tuple[str, ...] = _setting(
        "",
        lambda v: tuple(v.split()),
        "Further secret keys, separated by spaces: what was made with them is read, and nothing "
        "is made with them any more. See `postlane rotate-keys`.",
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
    sink_domains: frozenset[str] = _setting(
        "null.postageapp.com",
        lambda v: frozenset(part.strip().lower() for part in v.split(",") if part.strip()),
        "Domains to which nothing is sent, separated by commas: mail to them is kept here and "
        "counts as delivered.",
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
    keep_call_days: int = _setting(
        "14",
        _days(1, 90),
        "How long calls of webhooks are kept, and can be replayed; 1 to 90.",
    )
    keep_request_days: int = _setting(
        "7",
        _days(0, 90),
        "How long the log of requests with API keys is kept; 0 to 90, and 0 writes none.",
    )
    keep_days_by_plan: Mapping[tuple[str, str], int] = _setting(
        "",
        _days_by_plan,
        "Where organizations on a plan have things kept for less long than the others: "
        "`trial.messages=7,trial.contents=1`; what is kept is `contents`, `messages`, `calls` of "
        "webhooks, `requests` and `audit`.",
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
        setting_forms.mailbox,
        "Whom invitations and other mail of the platform itself are from, `address@example.com` "
        "or `Name <address@example.com>`; empty is postmaster at the host name.",
    )
    strangers_per_minute: int = _setting(
        "600",
        _days(0, 1_000_000),
        "Requests without a credential that `/graphql` and the pages for people take from one "
        "network address in a minute, a sixth of them at once; 0 is any number.",
    )
    registration: str = _setting(
        "open",
        _one_of("open", "first_user", "closed"),
        "Who may register; `first_user` only while there is none.",
    )
    oidc_issuer: str = _setting(
        "",
        setting_forms.issuer,
        "Provider of identities that people may sign in with by OpenID Connect, such as "
        "`https://id.example.com`; empty is none. It sends them back to "
        "`/login/provider/callback` and `/account/provider/callback` at the public URL.",
    )
    oidc_client_id: str = _setting("", _text, "What the provider calls this deployment.")
    oidc_client_secret: str = _setting(
        "", _text, "Shared with the provider; empty is a public client, which PKCE alone protects."
    )
    oidc_name: str = _setting(
        "single sign-on", _text, "What the button to the provider says, after `Sign in with`."
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
    blocklists: tuple[str, ...] = _setting(
        "zen.spamhaus.org,b.barracudacentral.org,bl.spamcop.net,psbl.surriel.com,"
        "bl.mailspike.net,dnsbl.dronebl.org,ix.dnsbl.manitu.net,dnsbl-1.uceprotect.net",
        _names,
        "Zones of the DNS blocklists that are asked, separated by commas; empty is none. Read the "
        "terms of each, which the list of known ones tells: some need a registration, and most "
        "refuse public resolvers.",
    )
    blocklists_file: Path | None = _setting(
        "",
        _optional_path,
        "TOML file with further blocklists, in the form of blocklists/lists.toml, and under "
        "[keys] the keys of those that need one.",
    )
    blocklist_hours: int = _setting(
        "24",
        _days(1, 168),
        "Hours between two looks at the address of a vMTA in the blocklists; 1 to 168.",
    )
    auto_block: str = _setting(
        "on",
        _one_of("off", "dry_run", "on"),
        "Whether rules stop what hurts, such as a domain whose mail bounces; `dry_run` writes down "
        "what they would stop.",
    )
    auto_block_file: Path | None = _setting(
        "",
        _optional_path,
        "TOML file that changes rules, in the form of protection/rules.toml: threshold, "
        "window_seconds, minimum_volume, duration_seconds, action, enabled, and locked, which "
        "keeps organizations from switching one.",
    )
    greylisting: str = _setting(
        "off",
        _one_of("off", "on"),
        "Whether mail from outside has to come again before it is taken, unless an organization "
        "says otherwise for its own addresses. Bounces to signed addresses never have to.",
    )
    greylisting_delay_seconds: int = _setting(
        "300", _days(1, 3_600), "How long mail is put off that was not seen before; 1 to 3600."
    )
    greylisting_exempt: str = _setting(
        "",
        _text,
        "Networks and domains that are never put off, separated by commas, beside the large "
        "senders of greylisting/large_senders.toml. Clients of a domain are known by a host name "
        "that leads back to them, or by SPF.",
    )
    rspamd_url: str = _setting(
        "",
        lambda v: v.strip().rstrip("/"),
        "Normal worker of an rspamd, `http://host:11333`; empty is none, and nothing is scanned "
        "for spam.",
    )
    clamd: str = _setting(
        "",
        _clamd,
        "Where a clamd listens, `unix:/run/clamav/clamd.ctl` or `host:3310`; empty is none, and "
        "nothing is scanned for viruses.",
    )
    scan_outgoing: str = _setting(
        "off",
        _one_of("off", "virus", "spam", "all"),
        "What outgoing mail is scanned for before its first attempt, unless an organization says "
        "otherwise; mail that fails bounces.",
    )
    scan_inbound: str = _setting(
        "off",
        _one_of("off", "virus", "spam", "all"),
        "What mail from outside is scanned for before it is taken, unless an organization says "
        "otherwise. Reports about mail that was sent are always taken.",
    )
    scan_threshold: int = _setting(
        "15", _days(1, 20), "Score of rspamd from which on mail is spam for the two above; 1 to 20."
    )
    scan_down: str = _setting(
        "hold",
        _one_of("hold", "pass"),
        "What becomes of mail that has to be scanned while the scanner does not answer: `hold` "
        "tries it again later, `pass` lets it go, unless an organization says otherwise.",
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
        setting_forms.origins,
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
    _check_scanners(found)
    if found.secret_key and len(found.secret_key) < 32:
        raise SettingsError("POSTLANE_SECRET_KEY needs at least 32 characters.")
    if any(len(key) < 32 for key in found.old_secret_keys):
        raise SettingsError("POSTLANE_OLD_SECRET_KEYS needs at least 32 characters for each key.")
    if not 300 <= found.token_lifetime_seconds <= 604_800:
        raise SettingsError("POSTLANE_TOKEN_LIFETIME_SECONDS must be 300 to 604800.")
    if bool(found.tls_certificate) != bool(found.tls_key):
        raise SettingsError("POSTLANE_TLS_CERTIFICATE and POSTLANE_TLS_KEY need each other.")
    if found.smtps_listen is not None and found.tls_certificate is None:
        raise SettingsError("POSTLANE_SMTPS_LISTEN needs POSTLANE_TLS_CERTIFICATE.")
    if found.oidc_issuer and not found.oidc_client_id:
        raise SettingsError("POSTLANE_OIDC_ISSUER needs POSTLANE_OIDC_CLIENT_ID.")
    if found.documents == "trusted" and not found.trusted_documents:
        raise SettingsError("POSTLANE_DOCUMENTS=trusted needs POSTLANE_TRUSTED_DOCUMENTS.")
    if bool(found.stripe_secret_key) != bool(found.stripe_webhook_secret):
        raise SettingsError(
            "POSTLANE_STRIPE_SECRET_KEY and POSTLANE_STRIPE_WEBHOOK_SECRET need each other."
        )
    if found.payment == "stripe" and not found.stripe_secret_key:
        raise SettingsError("POSTLANE_PAYMENT=stripe needs POSTLANE_STRIPE_SECRET_KEY.")
    usual = {
        "contents": found.keep_content_days,
        "messages": found.keep_message_days,
        "calls": found.keep_call_days,
        "requests": found.keep_request_days,
        "audit": found.audit_days,
    }
    for (plan, kind), days in found.keep_days_by_plan.items():
        if not (kind != "contents") <= days <= usual[kind]:
            raise SettingsError(
                f"POSTLANE_KEEP_DAYS_BY_PLAN has {plan}.{kind}={days}: a plan can have "
                f"{int(kind != 'contents')} to {usual[kind]} days, as the whole deployment has."
            )
    if found.listen is None:
        raise SettingsError("POSTLANE_LISTEN cannot be empty.")
    return found


def _check_scanners(found: Settings) -> None:
    scanned = {found.scan_outgoing, found.scan_inbound}
    if scanned & {"spam", "all"} and not found.rspamd_url:
        raise SettingsError("Scanning for spam needs POSTLANE_RSPAMD_URL.")
    if scanned & {"virus", "all"} and not found.clamd:
        raise SettingsError("Scanning for viruses needs POSTLANE_CLAMD.")
    if found.rspamd_url and not found.rspamd_url.startswith(("http://", "https://")):
        raise SettingsError("POSTLANE_RSPAMD_URL has to begin with http:// or https://.")


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
    if found.secret_key:
        return found
    keys = stored_secrets(found.data_dir)
    if not keys:
        raise SettingsError(
            "POSTLANE_SECRET_KEY is not set. Set it to 32 random characters or more, or "
            "start with `postlane up`, which makes one."
        )
    return replace(found, secret_key=keys[0], old_secret_keys=(*found.old_secret_keys, *keys[1:]))


SECRET_FILE = "secret_key"
"""In the data directory: the secret key in the first line, older ones in those below it."""


def stored_secrets(data_dir: Path) -> tuple[str, ...]:
    """Return the secret keys that *data_dir* holds, the one in use first."""
    path = data_dir / SECRET_FILE
    return tuple(path.read_text("ascii").split()) if path.is_file() else ()
