"""What belongs to one tenant is not there for another: every place that takes a reference.

The places are found by walking the schema. A new field that takes an id fails here until
`KINDS` says whose id it takes.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
)

from postlane.blocklists.tables import Listing
from postlane.bulk.tables import BulkAction
from postlane.core import clock
from postlane.core.actor import Actor, ActorKind, ApiKeyId, OrganizationId
from postlane.core.database import fetch
from postlane.delivery.tables import CapturedMessage
from postlane.delivery.work import roll_up
from postlane.domains.tables import DomainCheck
from postlane.exports.tables import Export
from postlane.graphql.context import Context
from postlane.graphql.documents import prepare
from postlane.graphql.execute import Result
from postlane.graphql.live import Credential, subscribe
from postlane.graphql.nodes import global_id, registered
from postlane.graphql.scalars import write_time
from postlane.graphql.schema import CORE
from postlane.messages.tables import Erasure
from postlane.removals.tables import Removal
from postlane.suppressions.tables import SuppressionImport
from postlane.templates.tables import Template, TemplateVersion
from postlane.tracking.tables import TrackingChoice
from postlane.vmtas.tables import Pool, Vmta
from tests.billing.setup import make_invoice
from tests.client import Client
from tests.credits.books import give
from tests.factories import (
    make_actor,
    make_api_key,
    make_api_request,
    make_block,
    make_domain,
    make_identity,
    make_ingress_mailbox,
    make_membership,
    make_organization,
    make_passkey,
    make_project,
    make_session,
    make_suppression,
    make_webhook,
)
from tests.people import PASSWORD

TEXT_REFERENCES = frozenset(
    {
        "allowedDomains",
        "defaultPool",
        "layout",
        "number",
        "pool",
        "reassignTo",
        "targetId",
        "template",
        "vmta",
    }
)
"""Fields that refer to something by a plain string or number; `test_texts.py` knows the others."""

MESSAGE = {"to": ["ada@example.net"], "subject": "Hello", "text": "Hello there."}

NUMBER = "SELECT number FROM projects WHERE id = {}"
VERSION = {"texts": [{"text": "{{ content }}"}]}

KINDS = {
    "Mutation.archiveProject(input.projectId)": "Project",
    "Mutation.archiveProject(input.project.id)": "Project",
    "Mutation.archiveProject(input.project.number)": "Project number",
    "Mutation.archiveProject(input.project.uid)": "Project uid",
    "Mutation.updateProject(input.project.id)": "Project",
    "Mutation.updateProject(input.project.number)": "Project number",
    "Mutation.updateProject(input.project.uid)": "Project uid",
    "Mutation.restoreProject(input.projectId)": "Project",
    "Billing.invoice(id)": "Invoice",
    "Mutation.cancelBulkAction(input.bulkActionId)": "BulkAction",
    "Mutation.cancelExport(input.exportId)": "Export",
    "Mutation.cancelMessage(input.id)": "Message",
    "Mutation.changeRole(input.userId)": "User",
    "Mutation.chooseTracking(input.projectId)": "Project",
    "Mutation.checkInboundTls(input.domain.id)": "Domain",
    "Mutation.checkInboundTls(input.domain.name)": "Domain name",
    "Mutation.createDomain(input.defaultPool)": "Pool name",
    "Mutation.addSuppression(input.projectId)": "Project",
    "Mutation.importSuppressions(input.projectId)": "Project",
    "Mutation.createApiKey(input.allowedDomains)": "Domain uuid",
    "Mutation.createApiKey(input.projectId)": "Project",
    "Mutation.createTemplate(input.projectId)": "Project",
    "Mutation.deleteTemplate(input.template.id)": "Template",
    "Mutation.deleteTemplate(input.template.slug)": "Template slug",
    "Mutation.previewTemplate(input.template.id)": "Template",
    "Mutation.previewTemplate(input.template.slug)": "Template slug",
    "Mutation.publishTemplate(input.template.id)": "Template",
    "Mutation.publishTemplate(input.template.slug)": "Template slug",
    "Mutation.renameTemplate(input.template.id)": "Template",
    "Mutation.renameTemplate(input.template.slug)": "Template slug",
    "Mutation.saveTemplate(input.template.id)": "Template",
    "Mutation.saveTemplate(input.template.slug)": "Template slug",
    "Mutation.createTemplate(input.version.layout)": "Template slug",
    "Mutation.saveTemplate(input.version.layout)": "Template uuid",
    "Mutation.previewTemplate(input.draft.layout)": "Template slug",
    "Mutation.sendMessage(input.template.template)": "Template slug",
    "Mutation.sendPersonalMessage(input.template)": "Template uuid",
    "Mutation.simulateDelivery(input.message.template.template)": "Template uuid",
    "Mutation.createIngressMailbox(input.projectId)": "Project",
    "Mutation.updateIngressMailbox(input.mailbox.id)": "IngressMailbox",
    "Mutation.updateIngressMailbox(input.mailbox.number)": "IngressMailbox number",
    "Mutation.updateIngressMailbox(input.mailbox.uid)": "IngressMailbox uid",
    "Mutation.lookIntoIngressMailbox(input.mailbox.id)": "IngressMailbox",
    "Mutation.lookIntoIngressMailbox(input.mailbox.number)": "IngressMailbox number",
    "Mutation.lookIntoIngressMailbox(input.mailbox.uid)": "IngressMailbox uid",
    "Mutation.deleteIngressMailbox(input.mailbox.id)": "IngressMailbox",
    "Mutation.deleteIngressMailbox(input.mailbox.number)": "IngressMailbox number",
    "Mutation.deleteIngressMailbox(input.mailbox.uid)": "IngressMailbox uid",
    "Organization.ingressMailbox(ref.id)": "IngressMailbox",
    "Organization.ingressMailbox(ref.number)": "IngressMailbox number",
    "Organization.ingressMailbox(ref.uid)": "IngressMailbox uid",
    "Organization.ingressMails(mailbox)": "IngressMailbox",
    "Mutation.createWebhook(input.projectId)": "Project",
    "Mutation.updateWebhook(input.webhookId)": "Webhook",
    "Mutation.deleteWebhook(input.webhookId)": "Webhook",
    "Mutation.testWebhook(input.webhookId)": "Webhook",
    "Mutation.replayWebhookCall(input.callId)": "WebhookCall",
    "Mutation.replayWebhookCalls(input.webhookId)": "Webhook",
    "Mutation.deleteApiKey(input.apiKeyId)": "ApiKey",
    "Mutation.deleteCreditAlert(input.id)": "CreditAlert",
    "Mutation.deleteDomain(input.domain.id)": "Domain",
    "Mutation.deleteDomain(input.domain.name)": "Domain name",
    "Mutation.endSession(input.sessionId)": "Session",
    "Mutation.renamePasskey(input.passkeyId)": "Passkey",
    "Mutation.removePasskey(input.passkeyId)": "Passkey",
    "Mutation.unlinkProvider(input.identityId)": "ProviderIdentity",
    "Mutation.grantCredits(input.organization.id)": "Organization",
    "Mutation.grantCredits(input.organization.slug)": "Organization slug",
    "Mutation.markInvoicePaid(input.invoiceId)": "Invoice",
    "Mutation.removeMember(input.userId)": "User",
    "Mutation.removeSuppression(input.suppression.address)": "Suppression address",
    "Mutation.removeSuppression(input.suppression.id)": "Suppression",
    "Mutation.removeLater(input.subject.suppressionId)": "Suppression",
    "Mutation.removeLater(input.subject.apiKeyId)": "ApiKey",
    "Mutation.removeLater(input.subject.userId)": "User",
    "Mutation.undoRemoval(input.removalId)": "Removal",
    "Mutation.resendInvitation(input.invitationId)": "Invitation",
    "Mutation.resendMessage(input.id)": "Message",
    "Mutation.resolveAutoBlock(input.blockId)": "AutoBlock",
    "Mutation.setReputationPolicy(input.organizationId)": "Organization",
    "Mutation.flushQueue(input.queue)": "Queue",
    "Mutation.holdQueue(input.queue)": "Queue",
    "Mutation.releaseQueue(input.queue)": "Queue",
    "Mutation.rotateApiKey(input.apiKeyId)": "ApiKey",
    "Mutation.rotateDomainDkim(input.domain.id)": "Domain",
    "Mutation.rotateDomainDkim(input.domain.name)": "Domain name",
    "Mutation.sendMessage(input.pool)": "Pool name",
    "Mutation.sendMessage(input.vmta)": "Vmta uuid",
    "Mutation.simulateDelivery(input.message.pool)": "Pool name",
    "Mutation.simulateDelivery(input.message.vmta)": "Vmta uuid",
    "Mutation.simulateDelivery(input.messageId)": "Message",
    "Mutation.switchOrganization(input.organizationId)": "Organization",
    "Mutation.updateApiKey(input.apiKeyId)": "ApiKey",
    "Mutation.updateDomain(input.defaultPool)": "Pool name",
    "Mutation.updateDomain(input.domain.id)": "Domain",
    "Mutation.updateDomain(input.domain.name)": "Domain name",
    "Mutation.updateDomainBimi(input.domain.id)": "Domain",
    "Mutation.updateDomainBimi(input.domain.name)": "Domain name",
    "Mutation.updateProject(input.projectId)": "Project",
    "Mutation.updateTracking(input.projectId)": "Project",
    "Mutation.verifyDomain(input.domain.id)": "Domain",
    "Mutation.verifyDomain(input.domain.name)": "Domain name",
    "Mutation.withdrawInvitation(input.invitationId)": "Invitation",
    "Mutation.updateVmta(input.vmta.id)": "Vmta",
    "Mutation.updateVmta(input.vmta.name)": "Vmta name",
    "Mutation.pauseVmta(input.vmta.id)": "Vmta",
    "Mutation.pauseVmta(input.vmta.name)": "Vmta name",
    "Mutation.resumeVmta(input.vmta.id)": "Vmta",
    "Mutation.resumeVmta(input.vmta.name)": "Vmta name",
    "Mutation.checkVmta(input.vmta.id)": "Vmta",
    "Mutation.checkVmta(input.vmta.name)": "Vmta name",
    "Mutation.deleteVmta(input.reassignTo)": "Vmta uuid",
    "Mutation.deleteVmta(input.vmta.id)": "Vmta",
    "Mutation.deleteVmta(input.vmta.name)": "Vmta name",
    "Organization.vmtaQueues(ref.id)": "Vmta",
    "Organization.vmtaQueues(ref.name)": "Vmta name",
    "Organization.apiKey(id)": "ApiKey",
    "Organization.apiRequests(filter.apiKeyId)": "ApiKey",
    "Organization.auditLog(filter.apiKeyId)": "ApiKey",
    "Organization.auditLog(filter.targetId)": "Message uuid",
    "Organization.auditLog(filter.userId)": "User",
    "Organization.capturedMessage(id)": "Captured message",
    "Organization.delivery(id)": "Delivery",
    "Organization.deliveryByNumber(number)": "Delivery number",
    "Organization.domain(ref.id)": "Domain",
    "Organization.domain(ref.name)": "Domain name",
    "Organization.domainChecks(domain.id)": "Domain",
    "Organization.domainChecks(domain.name)": "Domain name",
    "Organization.member(id)": "User",
    "Organization.message(id)": "Message",
    "Organization.messageByNumber(number)": "Message number",
    "Organization.messages(filter.apiKey)": "ApiKey",
    "Organization.messages(filter.domain)": "Domain",
    "Organization.messages(filter.pool)": "Pool name",
    "Organization.messages(filter.vmta)": "Vmta uuid",
    "Organization.project(id)": "Project",
    "Organization.queue(id)": "Queue",
    "Organization.queueOverview(pool)": "Pool name",
    "Organization.queueOverview(vmta)": "Vmta uuid",
    "Organization.queues(filter.pool)": "Pool name",
    "Organization.queues(filter.vmta)": "Vmta uuid",
    "Organization.vmta(ref.id)": "Vmta",
    "Organization.template(ref.id)": "Template",
    "Organization.template(ref.slug)": "Template slug",
    "Organization.webhook(id)": "Webhook",
    "Organization.vmta(ref.name)": "Vmta name",
    "Organization.vmtas(filter.pool)": "Pool name",
    "Query.node(id)": "Message",
    "Query.nodes(ids)": "Domain",
    "Subscription.messageEvents(messageId)": "Message",
    "Subscription.messageEvents(projectId)": "Project",
    "Subscription.organizationChanges(messageIds)": "Message",
    "Subscription.queueChanges(filter.pool)": "Pool name",
    "Subscription.queueChanges(filter.vmta)": "Vmta uuid",
    "Subscription.queueChanges(queueId)": "Queue",
}
"""What each place refers to: a type, or another way to name one of its objects."""

FILTERED = ("apiKey", "domain", "pool", "vmta")
EXPORTED = (
    *(f"{subject}.{field}" for subject in ("messages", "events") for field in FILTERED),
    *(f"auditLog.{field}" for field in ("apiKeyId", "targetId", "userId")),
)

NO_REFERENCES = frozenset(
    {
        *(f"Mutation.startExport(input.subject.{each})" for each in EXPORTED),
        "Mutation.createVmta(input.allowedDomains)",
        *(f"Mutation.startBulkAction(input.filter.{each})" for each in FILTERED),
        "Mutation.createVmta(input.pool)",
        "Mutation.updateProject(input.allowedDomains)",
        "Mutation.updateVmta(input.allowedDomains)",
        "Mutation.updateVmta(input.pool)",
        "VmtaQueues.queues(filter.pool)",
        "Webhook.calls(filter.message)",
        "VmtaQueues.queues(filter.vmta)",
    }
)
"""Labels that make a pool of one's own, names that are compared with, and filters: within what a
reference has found, and of lists that are read later, with the same rights as `Organization`
shows them."""

PERSONAL = frozenset(
    {
        "acceptInvitation",
        "changePassword",
        "createOrganization",
        "endSession",
        "removePasskey",
        "renamePasskey",
        "unlinkProvider",
        "switchOrganization",
        "updateViewer",
    }
)
"""What only a person does."""

OWN_ALONE = frozenset({"Passkey", "ProviderIdentity", "Session"})
"""Kinds of objects that only the person sees whose they are."""


def given(field: str, world: "World") -> dict[str, Any]:
    """Return what a mutation needs beside the reference."""
    needed: dict[str, dict[str, Any]] = {
        "addSuppression": {"address": "ada@example.net"},
        "changeRole": {"role": "VIEWER"},
        "chooseTracking": {"address": "ada@example.net", "opens": False},
        "createApiKey": {"name": "Key", "scopes": ["messages:read"]},
        "deleteVmta": {"vmta": {"name": world.names["Vmta name"]}},
        "createDomain": {"name": f"other-{world.domain}"},
        "createTemplate": {"slug": "another", "version": VERSION},
        "previewTemplate": {"draft": VERSION},
        "publishTemplate": {"number": 1},
        "renameTemplate": {"name": "Renamed"},
        "saveTemplate": {"template": {"slug": world.names["Template slug"]}, "version": VERSION},
        "sendPersonalMessage": {
            "from": f"shop@{world.domain}",
            "recipients": [{"address": "ada@example.net"}],
        },
        "createIngressMailbox": {"url": f"https://{world.domain}/mail"},
        "updateIngressMailbox": {"label": "Renamed"},
        "createWebhook": {"url": f"https://{world.domain}/hooks", "events": ["*"]},
        "grantCredits": {"type": "EMAIL", "amount": 1},
        "setReputationPolicy": {"policy": "STRICT"},
        "importSuppressions": {"data": "YWRhQGV4YW1wbGUubmV0"},
        "removePasskey": {"password": PASSWORD},
        "renamePasskey": {"name": "Renamed"},
        "unlinkProvider": {"password": PASSWORD},
        "replayWebhookCalls": {"since": write_time(clock.now() - timedelta(hours=1))},
        "sendMessage": MESSAGE | {"from": f"shop@{world.domain}"},
        "simulateDelivery": {"message": MESSAGE | {"from": f"shop@{world.domain}"}},
        "updateApiKey": {"name": "Renamed"},
        "updateDomain": {"domain": {"name": world.domain}, "trackOpens": True},
        "updateDomainBimi": {"enabled": False},
        "updateProject": {"name": "Renamed"},
        "updateTracking": {"opens": True},
    }
    return needed.get(field, {})


NAMED_ONE_WAY = frozenset({"domain", "template", "vmta"})
WHOLE = NAMED_ONE_WAY | {"version", "draft"}
"""Objects that are needed where the reference is not in them."""


def merged(needed: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return *value* with what is needed beside it; of what is left out nothing is needed.

    A domain is named one way only, so what is needed of it is not put beside the reference.
    """
    inner = {
        name: merged(needed[name], value[name])
        for name in needed.keys() & value.keys() - NAMED_ONE_WAY
        if isinstance(value[name], dict) and isinstance(needed[name], dict)
    }
    outer = {k: v for k, v in needed.items() if not isinstance(v, dict) or k in WHOLE}
    return outer | value | inner


@dataclass(frozen=True, slots=True)
class Place:
    """A way into the schema by a reference: a field, and the path to it in an argument."""

    on: str
    field: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.on}.{self.field}({'.'.join(self.path)})"

    @property
    def definition(self) -> GraphQLField:
        parent = CORE.type_map[self.on]
        assert isinstance(parent, GraphQLObjectType)
        return parent.fields[self.field]

    def document(self) -> str:
        """Return a document that calls the field with one variable."""
        type_ = self.definition.args[self.path[0]].type
        call = f"{self.field}({self.path[0]}: $value){selection(self.definition)}"
        if self.on == "Billing":
            call = f"billing {{ {call} }}"
        if self.on in ("Organization", "Billing"):
            call = f"organization {{ {call} }}"
        kind = {"Mutation": "mutation", "Subscription": "subscription"}.get(self.on, "query")
        return f"{kind} ($value: {type_}) {{ {call} }}"

    def variables(self, reference: str, world: "World") -> dict[str, Any]:
        """Return the variable that holds *reference* where the path ends."""
        argument: GraphQLArgument = self.definition.args[self.path[0]]
        is_list = isinstance(get_nullable_type(argument.type), GraphQLList)
        # A number is one whether it names something or not.
        named: Any = int(reference) if self.path[-1] == "number" else reference
        value: Any = [named] if is_list else named
        for step in reversed(self.path[1:]):
            value = {step: value}
        if self.on == "Mutation":
            value = merged(given(self.field, world), value)
        return {"value": value}


def selection(definition: GraphQLField) -> str:
    named = get_named_type(definition.type)
    if isinstance(named, GraphQLObjectType) and "pageInfo" in named.fields:
        return " { nodes { __typename } }"
    return " { __typename }"


def places() -> Iterator[Place]:
    """Yield every place of the schema that takes a reference."""
    for name, type_ in sorted(CORE.type_map.items()):
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            for field, definition in type_.fields.items():
                for argument, declared in definition.args.items():
                    for path in references(declared.type, (argument,)):
                        yield Place(name, field, path)


def references(type_: GraphQLInputType, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    named = get_named_type(type_)
    is_text = named.name in ("String", "BigInt")
    if named.name == "ID" or (is_text and path[-1] in TEXT_REFERENCES):
        yield path
    elif isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            if named.name.endswith("Ref"):
                yield (*path, name)
            elif not is_list_of_inputs(field.type):
                # What is in a list of inputs is the same input as in the single field.
                yield from references(field.type, (*path, name))


def is_list_of_inputs(type_: GraphQLInputType) -> bool:
    is_list = isinstance(get_nullable_type(type_), GraphQLList)
    return is_list and isinstance(get_named_type(type_), GraphQLInputObjectType)


@dataclass(frozen=True, slots=True)
class World:
    """A tenant with one object of every kind."""

    actor: Actor
    """Asks with an API key, so that something was sent with one."""
    person: Actor
    domain: str
    names: dict[str, str]
    """How each kind of object is referred to."""
    uuids: dict[str, UUID]


async def make_world(client: Client) -> World:
    organization = await make_organization()
    membership = await make_membership(organization)
    key = await make_api_key(organization, membership=membership)
    actor = await make_actor(
        organization,
        kind=ActorKind.API_KEY,
        user_id=membership.user_id,
        api_key_id=ApiKeyId(key.row.id),
    )
    domain = await make_domain(organization.id)
    check = DomainCheck(domain_id=domain.id, status="verified")
    await check.save()
    suppression = await make_suppression(organization.id, f"gone@{domain.name}")
    imported = SuppressionImport(organization_id=organization.id, reason="manual")
    await imported.save()
    choice = TrackingChoice(organization_id=organization.id, address_key=f"a@{domain.name}")
    await choice.save()
    erasure = Erasure(organization_id=organization.id, key="#0")
    await erasure.save()
    export = Export(organization_id=organization.id, dataset="messages", filter={})
    await export.save()
    removal = Removal(
        organization_id=organization.id,
        kind="suppression",
        target_id=suppression.id,
        due_at=clock.now(),
    )
    await removal.save()
    bulk = BulkAction(organization_id=organization.id, kind="retry", filter={})
    await bulk.save()
    pool = Pool(organization_id=organization.id, name=f"pool-{domain.name}")
    await pool.save()
    vmta = Vmta(organization_id=organization.id, name=f"vmta-{domain.name}")
    await vmta.save()
    block = make_block(organization.id, str(domain.id))
    await block.save()
    listing = Listing(
        organization_id=organization.id, vmta_id=vmta.id, zone="bl.example", severity="low"
    )
    await listing.save()
    tomorrow = clock.now() + timedelta(days=1)
    sent = await client.data(
        """mutation ($send: SendMessageInput!, $invite: InviteMemberInput!) {
          sendMessage(input: $send) { message { uuid number deliveries { uuid number } } }
          inviteMember(input: $invite) { invitation { uuid } }
          setCreditAlert(input: {type: EMAIL, threshold: 5}) { alert { uuid } }
          setTlsRequirement(input: {domain: "bank.example", tls: VERIFIED}) {
            requirement { uuid }
          }
        }""",
        {
            "send": MESSAGE | {"from": f"shop@{domain.name}", "sendAt": write_time(tomorrow)},
            "invite": {"email": f"new@{domain.name}", "role": "VIEWER"},
        },
        actor=actor,
    )
    message = sent["sendMessage"]["message"]
    entries = await fetch(
        "SELECT id FROM audit_entries WHERE organization_id = {} LIMIT 1", organization.id
    )
    credits = await fetch(
        "SELECT id FROM credit_entries WHERE organization_id = {} LIMIT 1", organization.id
    )
    await roll_up()
    queues = await fetch("SELECT id FROM queues WHERE organization_id = {}", organization.id)
    member = await make_membership(organization)
    project = await make_project(organization, uid=f"uid of {domain.name}")
    person = await make_actor(organization)
    session = await make_session(person)
    passkey, identity = await make_passkey(person), await make_identity(person)
    lot_id = await give(OrganizationId(organization.id), 10)
    invoice = await make_invoice(OrganizationId(organization.id))
    webhook, called, replay = await make_webhook(organization, f"https://{domain.name}/hooks")
    box = f"box of {domain.name}"
    mailbox, number, mail = await make_ingress_mailbox(organization.id, box)
    template = Template(
        organization_id=organization.id,
        slug=f"t-{domain.name.partition('.')[0]}",
        name="Template",
        syntax="jinja",
        latest=1,
        published=1,
    )
    await template.save()
    texts = {"": {"locale": None, "subject": "s", "html": None, "text": "{{ content }}x"}}
    template_version = TemplateVersion(template_id=template.id, number=1, texts=json.dumps(texts))
    await template_version.save()
    captured = CapturedMessage(
        organization_id=organization.id, envelope_from="", envelope_to="ada@example.net", data=b"x"
    )
    await captured.save()
    asked = make_api_request(organization.id, key.row.id)
    await asked.save()
    uuids = {
        "ApiKey": key.row.id,
        "ApiRequest": asked.id,
        "AuditEntry": entries[0]["id"],
        "AutoBlock": block.id,
        "BlocklistListing": listing.id,
        "BulkAction": bulk.id,
        "CreditAlert": UUID(sent["setCreditAlert"]["alert"]["uuid"]),
        "CreditEntry": credits[0]["id"],
        "CreditLotRecord": lot_id,
        "Delivery": UUID(message["deliveries"][0]["uuid"]),
        "Domain": domain.id,
        "DomainCheck": check.id,
        "Erasure": erasure.id,
        "Export": export.id,
        "IngressMail": mail,
        "IngressMailbox": mailbox,
        "Invitation": UUID(sent["inviteMember"]["invitation"]["uuid"]),
        "Invoice": invoice.id,
        "Message": UUID(message["uuid"]),
        "Organization": organization.id,
        "Passkey": passkey.id,
        "Pool": pool.id,
        "Project": project.id,
        "ProviderIdentity": identity.id,
        "Queue": queues[0]["id"],
        "Removal": removal.id,
        "Session": session.id,
        "Suppression": suppression.id,
        "TlsRequirement": UUID(sent["setTlsRequirement"]["requirement"]["uuid"]),
        "SuppressionImport": imported.id,
        "Template": template.id,
        "TemplateVersion": template_version.id,
        "TrackingChoice": choice.id,
        "User": member.user_id,
        "Vmta": vmta.id,
        "Webhook": webhook,
        "WebhookCall": called,
        "WebhookReplay": replay,
    }
    names = {kind: str(global_id(kind, uuid)) for kind, uuid in uuids.items()}
    names |= {f"{kind} uuid": str(uuid) for kind, uuid in uuids.items()}
    names |= {
        "Captured message": str(captured.id),
        "Delivery number": str(message["deliveries"][0]["number"]),
        "Domain name": domain.name,
        "IngressMailbox number": str(number),
        "IngressMailbox uid": f"box of {domain.name}",
        "Message number": str(message["number"]),
        "Organization slug": organization.slug,
        "Pool name": pool.name,
        "Project number": str((await fetch(NUMBER, project.id))[0]["number"]),
        "Project uid": str(project.uid),
        "Suppression address": suppression.address,
        "Template slug": template.slug,
        "Vmta name": vmta.name,
    }
    return World(actor, person, domain.name, names, uuids)


@pytest.fixture(scope="module")
def strangers() -> list[World]:
    """The tenant that asks for what it does not have; it never changes, so one will do."""
    return []


async def fingerprint() -> dict[str, str]:
    """Return a digest of every table, but not of when credentials were last used, and for what.

    That is written a moment after the request, by a task of its own.
    """
    tables = await fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
        "AND tablename NOT LIKE 'saq%' AND tablename NOT IN "
        "('rate_buckets', 'api_requests', 'api_key_uses')"
    )
    # As a sum, because the order of the rows says nothing: sorting them takes longer.
    row_text = "(to_jsonb(t) - '{last_used_at,last_used_address}'::text[])::text"
    digest = f"count(*) || ':' || sum(hashtextextended({row_text}, 0))"
    rows = await fetch(
        " UNION ALL ".join(
            f"SELECT '{row['tablename']}' AS name, {digest} AS digest FROM {row['tablename']} t"
            for row in tables
        )
    )
    return {row["name"]: str(row["digest"]) for row in rows}


def is_hidden(place: Place, body: dict[str, Any]) -> bool:
    """Say whether an answer is that of something that is not there."""
    if errors := body.get("errors"):
        return all(is_not_found(error["extensions"]) for error in errors)
    data = body["data"]["organization"] if place.on == "Organization" else body["data"]
    return data[place.field] in (None, [None], {"nodes": []})


def is_not_found(extensions: dict[str, Any]) -> bool:
    details = {detail["code"] for detail in extensions.get("details", ())}
    return extensions["code"] == "NOT_FOUND" or details == {"NOT_FOUND"}


PLACES = [place for place in places() if str(place) not in NO_REFERENCES]


def test_every_place_that_takes_a_reference_has_an_example() -> None:
    assert sorted(map(str, PLACES)) == sorted(KINDS)


async def stranger(client: Client, strangers: list[World]) -> World:
    if not strangers:
        strangers.append(await make_world(client))
    return strangers[0]


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_a_stranger_finds_nothing_and_changes_nothing(
    client: Client, strangers: list[World], place: Place
) -> None:
    ours, theirs = await stranger(client, strangers), await make_world(client)
    reference = theirs.names[KINDS[str(place)]]
    before = await fingerprint()

    refused = await call(client, place, reference, ours)
    after = await fingerprint()
    allowed = await call(client, place, reference, theirs)

    assert is_hidden(place, refused), refused
    assert after == before
    assert not any(is_not_found(e["extensions"]) for e in allowed.get("errors", ())), allowed


async def call(client: Client, place: Place, reference: str, world: World) -> dict[str, Any]:
    sent = place.variables(reference, world)
    actor = world.person if place.field in PERSONAL else world.actor
    if place.on == "Subscription":
        return await begin(place, sent, actor)
    return await client.graphql(place.document(), sent, actor=actor)


async def begin(place: Place, variables: dict[str, Any], actor: Actor) -> dict[str, Any]:
    """Begin a subscription and end it at once; it answers why it cannot begin, or nothing yet."""
    prepared = prepare(place.document())
    credential = Credential(lambda: asyncio.sleep(0, actor))
    begun = await subscribe(
        prepared.node, prepared.operation(None), variables, Context(actor), credential
    )
    if isinstance(begun, Result):
        return {"errors": [refusal.formatted("test") for refusal in begun.errors]}
    begun.stream.close()
    return {"data": {place.field: None}}


@pytest.mark.parametrize("kind", sorted(registered()))
async def test_a_strangers_node_is_not_there(
    client: Client, strangers: list[World], kind: str
) -> None:
    ours, theirs = await stranger(client, strangers), await make_world(client)
    query = "query ($id: ID!) { node(id: $id) { uuid } }"
    asking = "person" if kind in OWN_ALONE else "actor"
    variables = {"id": theirs.names[kind]}

    found = await client.data(query, variables, actor=getattr(theirs, asking))
    hidden = await client.data(query, variables, actor=getattr(ours, asking))

    assert found == {"node": {"uuid": str(theirs.uuids[kind])}}
    assert hidden == {"node": None}
