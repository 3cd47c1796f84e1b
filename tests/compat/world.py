"""What an example takes for granted, made with real rows and real requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from saq import Worker

from postlane.accounts.tables import Membership, Organization
from postlane.billing.tables import BillingAccount
from postlane.blocklists.work import test_lists
from postlane.core import clock
from postlane.core.actor import OrganizationId, Origin, Role, UserId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_token
from postlane.core.queue import open_queue
from postlane.credits.lots import grant
from postlane.credits.rules import CreditType, LotSource
from postlane.credits.tables import CreditPackage
from postlane.delivery.work import roll_up
from postlane.graphql.payloads import shaped_for
from postlane.greylisting.rules import Arrival
from postlane.greylisting.work import judge
from postlane.jobs.webhooks import Caller
from postlane.protection.catalogue import all_rules
from postlane.protection.rules import Measure, Strictness
from postlane.protection.work import begin
from postlane.security.operations import sign_in
from postlane.server.auth import actor_for_webhook
from tests.analytics.setup import roll_up_all
from tests.analytics.test_answers import campaign
from tests.billing.setup import make_invoice, make_package, settings_with
from tests.blocklists.zones import ZONES, list_subject, public_address, publish_test_points
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.marks import make_mark
from tests.domains.test_logo import GOOD
from tests.domains.web import BRAND, reachable_web
from tests.factories import (
    make_actor,
    make_api_key,
    make_domain,
    make_membership,
    make_organization,
    make_user,
)
from tests.parts import CLAMD, RSPAMD, skip_without
from tests.scanners import running_clamd, running_rspamd
from tests.stripe_server import StripeServer
from tests.tracking.hits import mailed
from tests.vmtas.setup import INVENTORY, unused_address
from tests.webhooks.receiver import Receiver, reachable

HOST = "mail.postlane.test"
PASSWORD = "correct horse battery staple"


@dataclass
class World:
    """One organization with its owner, who is signed in, and the names an example uses."""

    client: Client
    dns: DnsServer
    organization: Organization
    owner: Membership
    headers: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    receivers: list[Receiver] = field(default_factory=list)
    """Of webhooks."""
    leaves: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is to be undone after the test."""

    async def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request as the owner."""
        more = {} if body is None else {"json": body}
        return await self.client.request(method, path, headers=self.headers, **more)


async def make_world(client: Client, dns: DnsServer) -> World:
    """Make an organization as the contract's examples have it."""
    email = f"{new_token(12).lower()}@example.com"
    organization = await make_organization(name="Example Ltd", plan="professional")
    user = await make_user(
        email=email, name="Ada Admin", platform_admin=True, last_login_at=clock.now()
    )
    owner = await make_membership(organization, user)
    signed_in = await sign_in(
        UserId(user.id), OrganizationId(organization.id), Origin("192.0.2.1", "test")
    )
    headers = {"authorization": f"Bearer {signed_in.token.text}"}
    names = {"{email}": email, "{host}": HOST}
    return World(client, dns, organization, owner, headers, names)


async def a_worker(world: World) -> None:
    """Somebody is there to deliver mail."""
    opened = await open_queue("")
    worker = Worker(opened, functions=[])
    await worker.worker_info(ttl=3600)

    async def leave() -> None:
        await opened.write_worker_info(worker.id, await worker.worker_info(ttl=0), ttl=-1)

    world.leaves.push_async_callback(leave)


async def no_account(world: World) -> None:
    """Nobody has the address, and nobody is signed in."""
    world.names["{email}"] = f"{new_token(12).lower()}@example.com"
    world.headers.clear()


async def an_account(world: World) -> None:
    """Somebody has registered."""
    await no_account(world)
    body = {
        "email": world.names["{email}"],
        "password": PASSWORD,
        "name": "Ada Admin",
        "organization_name": "Example Ltd",
    }
    answer = await world.client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text


async def a_member(world: World) -> None:
    """A developer belongs to the organization, and has made two API keys."""
    email = f"{new_token(12).lower()}@example.com"
    user = await make_user(
        email=email, name="Dev Eloper", timezone="Europe/Paris", last_login_at=clock.now()
    )
    membership = await make_membership(world.organization, user, role=Role.DEVELOPER)
    for _ in range(2):
        await make_api_key(world.organization, membership=membership)
    world.names |= {"{member}": str(user.id), "{member_email}": email}


async def credits(world: World) -> None:
    """The plan includes 100,000 emails, and 50,000 were bought."""
    organization_id = OrganizationId(world.organization.id)
    now = clock.now()
    for amount, source, days in (
        (100_000, LotSource.INCLUDED, 20),
        (50_000, LotSource.PURCHASE, 365),
    ):
        async with transaction() as tx:
            ends = now + timedelta(days=days)
            await grant(tx, organization_id, amount=amount, source=source, expires_at=ends)


async def credits_to_validate(world: World) -> None:
    """5,000 credits of the type `validation` were bought."""
    async with transaction() as tx:
        await grant(
            tx,
            OrganizationId(world.organization.id),
            amount=5000,
            source=LotSource.PURCHASE,
            credit_type=CreditType.VALIDATION,
        )


async def a_package(world: World) -> None:
    """One package is sold, to everybody."""
    world.names["{package}"] = f"inbound-{new_token(8).lower()}"
    await CreditPackage(
        code=world.names["{package}"],
        name="100,000 emails",
        type="inbound",
        quantity=100_000,
        price_amount=4000,
        price_currency="USD",
        validity_days=365,
    ).save()


async def an_alert(world: World) -> None:
    """There is an alert at 20 percent."""
    body = {
        "type": "email",
        "threshold": 20,
        "unit": "percent",
        "recipients": ["ops@example.com"],
    }
    answer = await world.request("POST", "/api/v1/credits/alerts", body)
    assert answer.status_code == 201, answer.text


async def an_api_key(world: World) -> None:
    """There is an API key that can send."""
    made = await make_api_key(
        world.organization,
        membership=world.owner,
        name="Web shop",
        scopes=["messages:send", "messages:read"],
    )
    world.names["{api_key}"] = str(made.row.id)


async def a_rotated_api_key(world: World) -> None:
    """There is an API key whose old secret is still good."""
    body = {
        "name": "Web shop",
        "scopes": ["messages:send", "messages:read"],
        "allowed_ips": ["198.51.100.0/24"],
    }
    made = await world.request("POST", "/api/v1/api-keys", body)
    world.names["{api_key}"] = made.json()["id"]
    await world.request("POST", f"/api/v1/api-keys/{made.json()['id']}/rotate")


async def a_sending_domain(world: World) -> None:
    """The organization may send from `yourdomain.com`."""
    domain = await make_domain(world.organization.id)
    world.names |= {"yourdomain.com": domain.name, "{domain_id}": str(domain.id)}


async def a_message(world: World) -> None:
    """One message waits to be sent."""
    await a_sending_domain(world)
    body = {
        "from": f"sender@{world.names['yourdomain.com']}",
        "to": "recipient@example.com",
        "subject": "Hello",
        "html": "<p>Hello!</p>",
        "track_opens": True,
        "track_clicks": True,
    }
    answer = await world.request("POST", "/api/v1/messages/send", body)
    assert answer.status_code == 202, answer.text
    world.names["{message}"] = answer.json()["id"]


async def a_queue(world: World) -> None:
    """One message waits in a queue, and was counted."""
    await credits(world)
    await a_message(world)
    await roll_up()
    rows = await fetch("SELECT id FROM queues WHERE organization_id = {}", world.organization.id)
    world.names["{queue}"] = str(rows[0]["id"])


async def an_address(world: World) -> None:
    """The deployment has an address that nobody uses."""
    world.leaves.enter_context(settings_with(source_addresses=INVENTORY))
    world.names |= {"{address}": unused_address(), "{today}": clock.now().date().isoformat()}


async def a_vmta(world: World) -> None:
    """There is a vMTA on the first day of its warm-up."""
    await an_address(world)
    body = {
        "name": "tx-1",
        "ip_address": world.names["{address}"],
        "hostname": "mta1.example.com",
        "warmup": {"enabled": True},
    }
    answer = await world.request("POST", "/api/v1/vmtas", body)
    assert answer.status_code == 201, answer.text
    world.names["{vmta}"] = answer.json()["id"]


async def tested_blocklists(world: World) -> None:
    """The deployment asks two lists, which pass their tests."""
    world.leaves.enter_context(settings_with(blocklists=",".join(ZONES)))
    for zone in ZONES:
        publish_test_points(world.dns, zone)
    await test_lists()


async def a_listed_address(world: World) -> None:
    """The address of a vMTA is on a list, and was looked up."""
    await tested_blocklists(world)
    address = public_address()
    world.leaves.enter_context(settings_with(source_addresses="11.0.0.0/8"))
    body = {"name": "tx-1", "ip_address": address, "hostname": "mta1.example.com"}
    made = await world.request("POST", "/api/v1/vmtas", body)
    assert made.status_code == 201, made.text
    list_subject(world.dns, address, ZONES[0], "127.0.0.3", reason="See the list's lookup page")
    world.names |= {"{address}": address, "{vmta}": made.json()["id"]}
    checked = await world.request("POST", "/api/v1/security/dnsbl/check", {"ip": address})
    assert checked.status_code == 200, checked.text


async def greylisting(world: World) -> None:
    """The deployment greylists mail from outside, but not everybody's."""
    exempt = "192.0.2.0/24,example.net"
    world.leaves.enter_context(settings_with(greylisting="on", greylisting_exempt=exempt))


async def greylisted_mail(world: World) -> None:
    """One mail came again, one is waited for, and one is of an exempt network."""
    await greylisting(world)
    at = clock.now() - timedelta(minutes=30)

    async def arrives(peer: str, sender: str, *, minutes: int = 0) -> None:
        to = f"{world.organization.slug}@example.com"
        with clock.frozen(at + timedelta(minutes=minutes)):
            arrival = Arrival(world.organization.id, peer, sender, to)
            await judge(arrival, is_report=False)

    await arrives("198.51.101.7", "a@stranger.example")
    await arrives("198.51.101.7", "a@stranger.example", minutes=10)
    await arrives("198.51.100.7", "b@stranger.example", minutes=11)
    await arrives("192.0.2.7", "c@stranger.example", minutes=12)


async def a_tripped_rule(world: World) -> None:
    """50 of the last 610 messages from the domain have bounced."""
    await a_sending_domain(world)
    sums = {"delivered": 560, "hard_bounced": 50, "soft_bounced": 0, "blocked": 0}
    measured = Measure(
        world.organization.id,
        world.names["{domain_id}"],
        world.names["yourdomain.com"],
        8.2,
        610,
        sums,
    )
    await begin(all_rules()["high_bounce_rate"], measured, Strictness.STANDARD, is_dry=False)
    rows = await fetch(
        "SELECT id FROM auto_blocks WHERE organization_id = {}", world.organization.id
    )
    world.names["{block}"] = str(rows[0]["id"])


async def a_spam_scanner(world: World) -> None:
    """The deployment has an rspamd, and the organization a credit for it."""
    skip_without(RSPAMD)
    url = await world.leaves.enter_async_context(running_rspamd(world.dns))
    world.leaves.enter_context(settings_with(rspamd_url=url))
    await _bought(world, CreditType.SPAM_CHECK)


async def a_virus_scanner(world: World) -> None:
    """The deployment has a clamd, and the organization a credit for it."""
    skip_without(CLAMD)
    place, _ = await world.leaves.enter_async_context(running_clamd())
    world.leaves.enter_context(settings_with(clamd=place))
    await _bought(world, CreditType.AV_SCAN)


async def _bought(world: World, credit_type: CreditType) -> None:
    async with transaction() as tx:
        await grant(
            tx,
            OrganizationId(world.organization.id),
            amount=1,
            source=LotSource.PURCHASE,
            credit_type=credit_type,
        )


async def a_paused_vmta(world: World) -> None:
    """There is a vMTA that is paused."""
    await a_vmta(world)
    answer = await world.request("POST", f"/api/v1/vmtas/{world.names['{vmta}']}/pause")
    assert answer.status_code == 200, answer.text


async def a_published_domain(world: World) -> None:
    """A domain was set up, and its records are in the DNS."""
    name = f"{new_token(12).lower()}.example"
    made = (await world.request("POST", "/api/v1/domains", {"domain": name})).json()
    world.dns.set(f"_spf.{HOST}", "TXT", "v=spf1 ip4:192.0.2.0/24 -all")
    for record in made["records"]:
        world.dns.set(record["name"], record["type"], record["value"])
    world.names |= {"{domain_id}": made["id"], "{domain}": name}


async def a_verified_domain(world: World) -> None:
    """A domain is verified."""
    await a_published_domain(world)
    path = f"/api/v1/domains/{world.names['{domain_id}']}/verify"
    answer = await world.request("POST", path)
    assert answer.json()["status"] == "verified", answer.text


async def a_logo(world: World) -> None:
    """A brand's web server has a good logo and a mark certificate for it."""
    web = world.leaves.enter_context(reachable_web(world.dns, pytest.MonkeyPatch()))
    logo = GOOD.encode()
    web.set("/brand/logo.svg", logo, "image/svg+xml")
    mark = make_mark(world.names["{domain}"], logo, at=clock.now())
    web.set("/brand/vmc.pem", mark, "application/x-pem-file")
    world.names["{brand}"] = f"https://{BRAND}:{web.port}/brand"


async def a_payment_provider(world: World) -> None:
    """The deployment takes payments."""
    stripe = world.leaves.enter_context(StripeServer())
    world.leaves.enter_context(settings_with(**stripe.settings()))


async def email_100k(world: World) -> None:
    """100,000 emails are for sale."""
    await make_package()


async def a_stored_card(world: World) -> None:
    """The organization pays for the plan Starter with a card."""
    await a_payment_provider(world)
    organization_id = OrganizationId(world.organization.id)
    await Organization.update({Organization.plan: "starter"}).where(
        Organization.id == organization_id
    )
    address = {"line1": "1 Example Street", "city": "London", "postal_code": "EC1A 1AA"}
    card = {"type": "card", "brand": "visa", "last4": "4242", "expires": "2028-04"}
    await BillingAccount(
        organization_id=organization_id,
        legal_name="Example Limited",
        billing_email="billing@example.com",
        address=json.dumps(address | {"country": "GB"}),
        customer_ref=f"cus_{new_token(12)}",
        payment_method=json.dumps(card),
        payment_method_ref="pm_good",
    ).save()


async def an_invoice(world: World) -> None:
    """Credits were bought, and are not paid yet."""
    await make_invoice(OrganizationId(world.organization.id))


async def a_campaign(world: World) -> None:
    """Ten recipients got mail two days ago, and everything was counted."""
    actor = await make_actor(world.organization)
    at = clock.now().replace(hour=9, minute=10, second=0, microsecond=0) - timedelta(days=2)
    await campaign(actor, at, tags=["order"])
    await roll_up_all()
    world.names |= {
        "{from}": (at - timedelta(hours=9, minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "{to}": (at + timedelta(hours=14, minutes=50)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


async def a_webhook(world: World) -> None:
    """There is a webhook, which its receiver has never been called by."""
    server = world.leaves.enter_context(reachable(world.dns, pytest.MonkeyPatch()))
    receiver = Receiver(server)
    receiver.serve()
    world.receivers.append(receiver)
    body = {
        "url": receiver.url,
        "events": ["message.queued", "message.bounced", "message.complained"],
        "description": "CRM sync",
    }
    answer = await world.request("POST", "/api/v1/webhooks", body)
    assert answer.status_code == 201, answer.text
    world.names |= {"{webhook}": answer.json()["id"], "{hook_url}": receiver.url}


async def a_failing_call(world: World) -> None:
    """A message was accepted, and the webhook's receiver answered 500 when it was told."""
    await credits(world)
    await a_webhook(world)
    world.receivers[0].then(500, body=b"oops")
    await a_message(world)
    # Events are read once no older transaction can add any, be it one of somebody else's.
    for _ in range(100):
        await Caller(shaped_for(actor_for_webhook)).round()
        if world.receivers[0].asked:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the receiver was not called")


async def usage_rolled_up(world: World) -> None:
    """Usage has been written down up to this hour."""
    await fetch(
        "INSERT INTO usage_marks (id, rolled_up_to) VALUES (1, date_trunc('hour', now())) "
        "ON CONFLICT (id) DO UPDATE SET rolled_up_to = excluded.rolled_up_to"
    )


async def a_tracked_recipient(world: World) -> None:
    """Somebody has mail with a pixel and a link."""
    mail = await mailed()
    world.names |= {
        "{pixel}": mail.pixel.rpartition("/")[2].removesuffix(".gif"),
        "{link}": mail.link(target="https://shop.example/offer").rpartition("/")[2],
    }


GIVEN: dict[str, Callable[[World], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        a_worker,
        a_tracked_recipient,
        no_account,
        an_account,
        a_member,
        credits,
        credits_to_validate,
        a_package,
        an_alert,
        an_api_key,
        a_rotated_api_key,
        a_sending_domain,
        a_message,
        a_queue,
        an_address,
        a_vmta,
        a_paused_vmta,
        greylisting,
        greylisted_mail,
        a_tripped_rule,
        a_spam_scanner,
        a_virus_scanner,
        tested_blocklists,
        a_listed_address,
        a_published_domain,
        a_verified_domain,
        a_payment_provider,
        email_100k,
        a_stored_card,
        an_invoice,
        a_webhook,
        a_failing_call,
        usage_rolled_up,
        a_campaign,
        a_logo,
    )
}
