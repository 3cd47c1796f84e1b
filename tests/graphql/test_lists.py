"""Lists cost the same however long they are: every list of the schema, with all it can show."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from postlane.accounts import queries as accounts
from postlane.audit import operations as audit
from postlane.blocklists.tables import Listing
from postlane.bulk.tables import BulkAction
from postlane.core import clock
from postlane.core.actor import Actor, OrganizationId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.delivery.tables import CapturedMessage, TlsRequirement
from postlane.delivery.work import Settlement, claim_batch, roll_up, settle_batch
from postlane.domains.tables import DomainCheck
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType
from postlane.exports.tables import Export
from postlane.graphql.schema import CORE
from postlane.mail.outcome import outcome_of_reply
from postlane.messages.tables import Erasure
from postlane.removals.tables import Removal
from postlane.suppressions.tables import RefusedLine, SuppressionImport
from postlane.templates.tables import Template, TemplateVersion
from postlane.tracking.tables import TrackingChoice
from postlane.vmtas.tables import Pool, Vmta, VmtaWarmup, WarmupDay
from postlane.webhooks.tables import WebhookCall, WebhookReplay
from tests.billing.setup import make_invoice
from tests.client import Client
from tests.credits.books import give
from tests.factories import (
    make_actor,
    make_api_key,
    make_api_request,
    make_block,
    make_domain,
    make_ingress_mailbox,
    make_membership,
    make_organization,
    make_project,
    make_session,
    make_suppression,
    make_webhook,
)
from tests.statements import count_statements

FEW, MANY = 2, 12
SEND = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { accepted } }"
INVITE = "mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { token } }"
ADD_DOMAIN = "mutation ($input: CreateDomainInput!) { createDomain(input: $input) { __typename } }"


def lists() -> Iterator[tuple[str, str]]:
    """Yield type and field of every connection in the schema."""
    for name, type_ in CORE.type_map.items():
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            for field, definition in type_.fields.items():
                if is_connection(definition):
                    yield name, field


def is_connection(definition: GraphQLField) -> bool:
    named = get_named_type(definition.type)
    return isinstance(named, GraphQLObjectType) and "pageInfo" in named.fields


def everything(type_: GraphQLObjectType, above: frozenset[str] = frozenset()) -> str:
    """Return a selection of all that an object shows without being asked for a choice."""
    chosen = ["__typename"]
    for name, field in type_.fields.items():
        if is_connection(field):
            continue
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        named = get_named_type(field.type)
        if is_leaf_type(named):
            chosen.append(name)
        elif isinstance(named, GraphQLObjectType) and named.name not in above | {"Organization"}:
            chosen.append(f"{name} {everything(named, above | {type_.name})}")
    return "{ " + " ".join(chosen) + " }"


def document_of(on: str, field: str) -> str:
    connection = get_named_type(CORE.type_map[on].fields[field].type)  # type: ignore[attr-defined]
    node = get_named_type(connection.fields["nodes"].type)
    arguments = ", ".join(["first: $n", *NEEDED.get(f"{on}.{field}", ())])
    page = f"{field}({arguments}) {{ nodes {everything(node)} pageInfo {{ endCursor }} }}"
    return f"query ($n: Int!) {{ {PATHS[on] % page} }}"


PATHS = {
    "Query": "%s",
    "Organization": "organization { %s }",
    "Billing": "organization { billing { %s } }",
    "Credits": "organization { credits { %s } }",
    "Viewer": "viewer { %s }",
    "SuppressionImport": "organization { suppressionImports(last: 1) { nodes { %s } } }",
    "Message": "organization { messages(last: 1) { nodes { %s } } }",
    "Delivery": "organization { deliveries(last: 1) { nodes { %s } } }",
    "Webhook": "organization { webhooks(last: 1) { nodes { %s } } }",
    "Template": "organization { templates(last: 1) { nodes { %s } } }",
    "VmtaQueues": 'organization { vmtaQueues(ref: {name: "vmta-0"}) { %s } }',
}
"""How a list's owner is reached."""

FIRST_OF = {
    "SuppressionImport": "suppressionImports",
    "Message": "messages",
    "Delivery": "deliveries",
    "Webhook": "webhooks",
    "Template": "templates",
}
"""Lists whose owner is the oldest of a list."""

NEEDED = {"Credits.usage": ("groupBy: DAY",)}
"""What a list must be told besides the length of its page."""


async def populate(client: Client, actor: Actor) -> None:
    """Give the organization many of everything that is listed, each with what belongs to it."""
    organization_id = actor.organization_id
    organization = await make_organization()
    domain = await make_domain(organization_id)
    message = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net", "bob@example.org"],
        "subject": "Hello",
        "text": "Hello there.",
    }
    await client.data(SEND, {"input": {"messages": [message] * MANY}}, actor=actor)
    await defer_everything(actor)
    await open_first(organization_id)
    organization.id = organization_id
    for number in range(MANY):
        await make_organization()
        await CapturedMessage(
            organization_id=organization_id,
            envelope_from="",
            envelope_to="ada@example.net",
            data=b"Subject: x\r\n\r\nx",
        ).save()
        membership = await make_membership(organization)
        project = await make_project(organization)
        key = await make_api_key(organization, membership=membership, project_id=project.id)
        await make_api_request(organization_id, key.row.id).save()
        await make_suppression(organization_id, f"gone{number}@example.net")
        await TrackingChoice(
            organization_id=organization_id, address_key=f"a{number}@example.net"
        ).save()
        webhook_id, _, _ = await make_webhook(organization, f"https://h{number}.example")
        if number == 0:
            await more_calls(organization_id, webhook_id)
        await Erasure(organization_id=organization_id, key=f"#{number}").save()
        await Export(organization_id=organization_id, dataset="messages", filter={}).save()
        await make_ingress_mailbox(organization_id, f"box {number}")
        await Removal(
            organization_id=organization_id,
            kind="suppression",
            target_id=new_id(),
            due_at=clock.now(),
        ).save()
        await BulkAction(organization_id=organization_id, kind="retry", filter={}).save()
        await Pool(organization_id=organization_id, name=f"pool-{number}").save()
        await make_block(organization_id, str(number)).save()
        await warm_up(organization_id, f"vmta-{number}")
        await TlsRequirement(
            organization_id=organization_id, domain=f"d{number}.example", tls="required"
        ).save()
        imported = SuppressionImport(organization_id=organization_id, reason="manual")
        await imported.save()
        if number == 0:
            for line in range(MANY):
                await RefusedLine(import_id=imported.id, line=line, problem="None.").save()
        await make_templates(organization_id, number)
        await make_session(actor)
        await make_invoice(organization_id)
        await DomainCheck(domain_id=domain.id, status="verified").save()
        invite = {"email": f"new{number}@{domain.name}", "role": "VIEWER"}
        await client.data(INVITE, {"input": invite}, actor=actor)
        created = {"name": f"d{number}.{domain.name}"}
        await client.data(ADD_DOMAIN, {"input": created}, actor=actor)
        with clock.frozen(clock.now() - timedelta(days=number)):
            await give(organization_id, 10)
        async with transaction() as tx:
            await audit.record(tx, actor, action="a.b", target_type="c", target_id="d")
        single = message | {"to": [f"ada@d{number}.example.net"]}
        messages = [single, single | {"vmta": "vmta-0"}]
        await client.data(SEND, {"input": {"messages": messages}}, actor=actor)
    await roll_up()


async def make_templates(organization_id: OrganizationId, number: int) -> None:
    """Make a template; the first has many versions."""
    count = MANY if number == 0 else 1
    template = Template(
        organization_id=organization_id,
        slug=f"t{number}",
        name="A template",
        syntax="jinja",
        latest=count,
        published=count,
    )
    await template.save()
    texts = json.dumps({"": {"locale": None, "subject": None, "html": None, "text": "x"}})
    for version in range(1, count + 1):
        await TemplateVersion(
            template_id=template.id, number=version, texts=texts, layout_id=template.id
        ).save()


async def more_calls(organization_id: OrganizationId, webhook_id: uuid.UUID) -> None:
    """Let a webhook have been called, and calls of it replayed, often."""
    for _ in range(MANY):
        await WebhookCall(
            organization_id=organization_id,
            webhook_id=webhook_id,
            event_id=new_id(),
            event_type="message.queued",
            state="delivered",
            delivered_at=clock.now(),
        ).save()
        await WebhookReplay(
            organization_id=organization_id,
            webhook_id=webhook_id,
            since=clock.now(),
            until=clock.now(),
        ).save()


async def open_first(organization_id: OrganizationId) -> None:
    """Let the first delivery of the first message be opened often."""
    rows = await fetch(
        "SELECT id, project_id, message_id FROM deliveries WHERE organization_id = {} "
        "ORDER BY id LIMIT 1",
        organization_id,
    )
    opened = NewEvent(
        organization_id=organization_id,
        project_id=rows[0]["project_id"],
        message_id=rows[0]["message_id"],
        delivery_id=rows[0]["id"],
        type=EventType.MESSAGE_OPENED,
        data={"machine_open": False},
        occurred_at=clock.now(),
    )
    async with transaction() as tx:
        await append(tx, [opened] * MANY)


async def warm_up(organization_id: OrganizationId, name: str) -> None:
    """Make a vMTA that is being warmed up, with days that are over."""
    vmta = Vmta(organization_id=organization_id, name=name)
    await vmta.save()
    today = clock.now().date()
    await VmtaWarmup(
        vmta_id=vmta.id,
        schedule="standard",
        target_daily_volume=50_000,
        start_on=today - timedelta(days=2),
        state="active",
        day=3,
        day_on=today,
    ).save()
    await Listing(
        organization_id=organization_id, vmta_id=vmta.id, zone="bl.example", severity="low"
    ).save()
    for day in (1, 2):
        ended_on = today - timedelta(days=3 - day)
        await WarmupDay(
            vmta_id=vmta.id, ended_on=ended_on, day=day, sent=9, rerouted=0, action="advance"
        ).save()


async def defer_everything(actor: Actor) -> None:
    """Make one attempt for each delivery, which fails for the moment."""
    outcome = outcome_of_reply(
        450, "4.2.1 Later", started_at=clock.now(), duration=timedelta(milliseconds=5)
    )
    sql = "SELECT DISTINCT queue_id FROM deliveries WHERE organization_id = {}"
    for row in await fetch(sql, actor.organization_id):
        claims = await claim_batch(row["queue_id"])
        await settle_batch([Settlement(claim, "default", outcome) for claim in claims])


async def nothing_asked() -> None:
    """Wait until nothing has asked the database for a second."""
    for _ in range(30):
        with count_statements() as sent:
            await asyncio.sleep(1)
        if not sent:
            return


@pytest.fixture(scope="module")
def populated() -> list[Actor]:
    """Who asks; made once, since nothing is changed by asking."""
    return []


@pytest.mark.parametrize(("on", "field"), list(lists()), ids=lambda name: name)
async def test_a_longer_page_takes_no_more_statements(
    client: Client, populated: list[Actor], on: str, field: str
) -> None:
    if not populated:
        populated.append(await make_actor(platform_admin=True))
        await populate(client, populated[0])
        await nothing_asked()
    document, found = document_of(on, field), {}

    for size in (FEW, MANY):
        # As in a process that has just begun: what it will keep is read once for a page, too.
        accounts._slugs.clear()
        with count_statements() as sent:
            data: Any = await client.data(document, {"n": size}, actor=populated[0])
        for key in ("viewer", "organization", "billing", "credits", "vmtaQueues"):
            data = data.get(key, data)
        if on in FIRST_OF:
            (data,) = data[FIRST_OF[on]]["nodes"]
        assert len(data[field]["nodes"]) == size, "make more of them in `populate`"
        found[size] = len(sent)

    # What is looked at every few seconds may be looked at with the first.
    assert found[MANY] <= found[FEW]
    # Of a message everything is asked for, the vMTA it names, what it says and the audit of that,
    # and of each delivery what fills its mail and what stops it.
    assert 1 <= found[MANY] <= 25
