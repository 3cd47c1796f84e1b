"""What `postlane up --demo` adds: an organization to try things with, and one message sent.

Everything is done as anybody would do it, over HTTP: GraphQL makes the organization, its API
key and its domain, the REST API sends. The domain is verified by looking its records up, at a
small name server that this module runs for the zone `postlane.test`.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg
import dkim
import dns.exception
import dns.resolver

from ..core.settings import Address, Settings
from .api import Api, ApiRefused
from .data_dir import write_private
from .demo_dns import DemoNameServer, Record
from .faults import CommandFailed
from .following import Fate, follow, send

ZONE = "postlane.test"
"""A name that means nothing on the Internet (RFC 6761 section 6.2)."""
HOSTNAME = f"mail.{ZONE}"
DOMAIN = f"demo.{ZONE}"
SENDER = f"Postlane <hello@{DOMAIN}>"
RECIPIENT = f"you@inbox.{ZONE}"
FILE = "demo.json"
FOLLOW_SECONDS = 30.0
CAPTURE_SECONDS = 5.0

REGISTER = """
mutation Register($input: RegisterInput!) { register(input: $input) { token } }
"""
CREATE_API_KEY = """
mutation CreateApiKey($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }
"""
CREATE_DOMAIN = """
mutation CreateDomain($input: CreateDomainInput!) {
  createDomain(input: $input) { domain { name } }
}
"""
VERIFY_DOMAIN = """
mutation VerifyDomain($input: VerifyDomainInput!) {
  verifyDomain(input: $input) { domain { status } records { name status message } }
}
"""
RECORDS = """
query Records { organization { domains(first: 100) { nodes { records { type name value } } } } }
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was made at the first start; kept for the next ones."""

    email: str
    password: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a verifier says of the DKIM signature on what was received."""

    verdict: str
    domain: str
    selector: str


async def prepare(api: Api, server: DemoNameServer, data_dir: Path) -> Credentials:
    """Return the credentials of the demonstration, whose domain is verified; made once."""
    path = data_dir / FILE
    kept = _read(path)
    if kept is None:
        kept = await _make(api)
        write_private(path, json.dumps(asdict(kept), indent=2) + "\n")
    owner = api.signed_in(kept.api_key)
    try:
        await _publish(owner, server)
    except ApiRefused as error:
        raise CommandFailed(
            f"The sign-in in {path} is not known to this database: {error} Remove the file, and "
            "the next start makes another organization."
        ) from error
    await _verify(owner)
    return kept


async def demonstrate(api: Api, key: str) -> Fate:
    """Send one message through the REST API and return what became of it."""
    owner = api.signed_in(key)
    message_id = await send(
        owner,
        sender=SENDER,
        recipient=RECIPIENT,
        subject="Postlane is up",
        text="This message went through the queue, was signed and was delivered.",
    )
    return await follow(owner, message_id, seconds=FOLLOW_SECONDS)


async def captured(database_url: str, message_id: str) -> bytes | None:
    """Return the bytes that the capturing mail exchanger received, None if there are none."""
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(int(CAPTURE_SECONDS / 0.1)):
            found: bytes | None = await connection.fetchval(
                "SELECT c.data FROM captured_messages c JOIN deliveries d ON d.id = c.delivery_id "
                "WHERE d.message_id = $1::uuid ORDER BY c.id DESC LIMIT 1",
                message_id,
            )
            if found is not None:
                return found
            await asyncio.sleep(0.1)
        return None
    finally:
        await connection.close()


async def verify_signature(message: bytes, server: Address) -> Signature:
    """Return what dkimpy says of *message*, with the key that *server* publishes.

    The signer is our own code, so the verifier is somebody else's.
    """
    return await asyncio.to_thread(_verify_signature, message, server)


def summary(
    *,
    found: Settings,
    url: str,
    kept: Credentials,
    fate: Fate,
    signature: Signature | None,
) -> str:
    """Return what is printed once everything has happened."""
    told = "no message was captured"
    if signature is not None:
        told = (
            f"{signature.verdict} (d={signature.domain}, s={signature.selector}; verified by "
            "dkimpy with the key that DNS serves)"
        )
    lines = {
        "Dashboard": f"{url}/login",
        "GraphQL": f"POST {url}/graphql",
        "SMTP": f"{found.smtp_listen}, the API key is the password" if found.smtp_listen else "off",
        "Sign-in": f"{kept.email}  password {kept.password}",
        "API key": kept.api_key,
        "": "",
        "Sent": f"message {fate.message_id} through POST {url}/api/v1/messages/send",
        "Outcome": f"{RECIPIENT}: {fate.status} after {fate.seconds:.1f} s",
        "SMTP reply": f"{fate.reply or 'none yet'}{f' (from {fate.host})' if fate.host else ''}",
        "DKIM": told,
        "See it": f"curl -H 'Authorization: Bearer {kept.api_key}' "
        f"{url}/api/v1/messages/{fate.message_id}",
    }
    shown = "\n".join(f"  {name:11} {line}".rstrip() for name, line in lines.items())
    return (
        f"\n{shown}\n\n  Mail is captured: nothing leaves this machine. All of it is kept in\n"
        f"  {found.data_dir}. Ctrl-C stops Postlane.\n"
    )


async def _make(api: Api) -> Credentials:
    email, password = f"owner-{secrets.token_hex(3)}@{DOMAIN}", secrets.token_urlsafe(18)
    registered = await api.graphql(
        REGISTER,
        input={
            "email": email,
            "password": password,
            "name": "Demo Owner",
            "organizationName": "Demo",
        },
    )
    person = api.signed_in(registered["register"]["token"])
    key = await person.graphql(CREATE_API_KEY, input={"name": "Demo", "scopes": ["*"]})
    await person.graphql(CREATE_DOMAIN, input={"name": DOMAIN})
    return Credentials(email, password, key["createApiKey"]["key"])


async def _publish(owner: Api, server: DemoNameServer) -> None:
    found = await owner.graphql(RECORDS)
    wanted = [
        Record(record["name"], record["type"], record["value"])
        for domain in found["organization"]["domains"]["nodes"]
        for record in domain["records"]
    ]
    server.publish([*deployment_records(), *wanted])


def deployment_records() -> Sequence[Record]:
    """Return what an operator publishes for the deployment itself."""
    return (
        Record(HOSTNAME, "A", "127.0.0.1"),
        Record(f"bounce.{HOSTNAME}", "A", "127.0.0.1"),
        Record(f"track.{HOSTNAME}", "A", "127.0.0.1"),
        Record(f"mx.{HOSTNAME}", "A", "127.0.0.1"),
        Record(f"_spf.{HOSTNAME}", "TXT", "v=spf1 ip4:127.0.0.1 ip6:::1 -all"),
    )


async def _verify(owner: Api) -> None:
    found = (await owner.graphql(VERIFY_DOMAIN, input={"domain": {"name": DOMAIN}}))["verifyDomain"]
    if found["domain"]["status"] != "VERIFIED":
        wrong = [r for r in found["records"] if r["status"] != "VERIFIED"]
        told = "; ".join(f"{r['name']}: {r['message'] or r['status']}" for r in wrong)
        raise CommandFailed(f"The domain {DOMAIN} could not be verified: {told}.")


def _verify_signature(message: bytes, server: Address) -> Signature:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server.host], server.port

    def look_up(name: bytes, timeout: float = 5) -> bytes | None:
        try:
            answer = resolver.resolve(name.decode("ascii"), "TXT", lifetime=timeout)
        except dns.exception.DNSException:
            return None
        return b"".join(next(iter(answer)).strings)

    checked = dkim.DKIM(message)
    try:
        verdict = "pass" if checked.verify(dnsfunc=look_up) else "fail"
    except dkim.DKIMException as error:
        verdict = f"fail: {error}"
    domain, selector = checked.domain or b"", checked.selector or b""
    return Signature(verdict, domain.decode("ascii"), selector.decode("ascii"))


def _read(path: Path) -> Credentials | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return Credentials(**values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise CommandFailed(
            f"{path} was changed and cannot be read: {error}. Remove it."
        ) from error
