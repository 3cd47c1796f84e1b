"""Whatever changes something leaves an entry in the audit log, or says here why it leaves none.

The mutations are those of the schema: a new one fails here until it is in one of the tables.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from graphql import GraphQLObjectType

from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.graphql.schema import CORE
from tests.billing.setup import make_package, settings_with
from tests.client import Client
from tests.factories import make_actor
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, registered
from tests.security.test_second_factor import RENEW, REQUIRE, Person
from tests.test_tenancy import KINDS, PERSONAL, PLACES, World, make_world, selection
from tests.vmtas.setup import INVENTORY, unused_address

MUTATIONS = CORE.type_map["Mutation"]
assert isinstance(MUTATIONS, GraphQLObjectType)

WITHOUT = {
    "beginLinkingProvider": "Nothing is tied before the person is back.",
    "beginPasskey": "Nothing is added before the device has answered.",
    "beginProviderSignIn": "Nobody is signed in before they are back.",
    "beginSecondFactor": "Nothing holds before it is confirmed.",
    "checkBlocklists": "It looks something up.",
    "checkSpam": "The ledger is the record.",
    "scanFile": "The ledger is the record.",
    "checkInboundTls": "It looks something up.",
    "checkVmta": "It looks something up.",
    "consumeCredits": "The ledger is the record.",
    "sendLenientMessage": "The message is the record.",
    "sendLenientRawMessage": "The message is the record.",
    "previewTemplate": "It changes nothing.",
    "resendMessage": "The message is the record.",
    "sendMessage": "The message is the record.",
    "sendPersonalMessage": "The message is the record.",
    "sendMessages": "The messages are the record.",
    "sendRawMessage": "The message is the record.",
    "simulateDelivery": "The events are the record, and say that they are simulated.",
    "lookIntoIngressMailbox": "It looks something up.",
    "verifyDomain": "Only another status is logged; tests/domains/test_verify.py looks at it.",
}
"""Mutations that leave no entry, and why."""

ELSEWHERE = {
    "addPasskey": "tests/security/test_passkeys.py",
    "finishProviderSignIn": "tests/security/test_provider.py",
    "linkProvider": "tests/security/test_provider.py",
    "logInWithPasskey": "tests/security/test_passkeys.py",
    "logInWithProvider": "tests/security/test_provider.py",
    "removePasskey": "tests/security/test_passkeys.py",
    "unlinkProvider": "tests/security/test_provider.py",
    "beginVisit": "tests/security/test_visits.py",
    "chooseTracking": "tests/tracking/test_settings.py",
    "endVisit": "tests/security/test_visits.py",
    "eraseRecipient": "tests/tracking/test_erasing.py",
    "exportAnalytics": "tests/analytics/test_files.py",
    "generateAnalyticsReport": "tests/analytics/test_reports.py",
    "resumeOrganization": "tests/accounts/test_overseeing.py",
    "suspendOrganization": "tests/accounts/test_overseeing.py",
    "replayWebhookCalls": "tests/webhooks/test_replaying.py",
    "updateTracking": "tests/tracking/test_settings.py",
    "downgradePlan": "tests/billing/test_stripe.py",
    "upgradePlan": "tests/billing/test_stripe.py",
}
"""Mutations that need more than a reference, and where their entries are looked at."""

STORY = frozenset(
    """
    acceptInvitation changePassword confirmSecondFactor createOrganization disableSecondFactor
    endOtherSessions grantPlatformAdmin logIn logOut register renewRecoveryCodes
    requestPasswordReset requireSecondFactor resetPassword revokePlatformAdmin
    switchOrganization updateViewer
    """.split()
)
"""What a person does about themselves; one test does it all."""

LOGGED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "addSuppression": ("suppression.added", {}),
    "archiveProject": ("project.archived", {}),
    "cancelBulkAction": ("bulk_action.cancelled", {}),
    "cancelExport": ("export.cancelled", {}),
    "cancelMessage": ("message.cancelled", {}),
    "changeRole": ("user.role_changed", {}),
    "clearBlocklistCache": ("dnsbl.cache_cleared", {}),
    "createApiKey": ("api_key.created", {}),
    "createCheckout": ("billing.checkout_created", {"type": "CREDITS", "packageId": "email-100k"}),
    "createDomain": ("domain.created", {}),
    "createIngressMailbox": ("ingress_mailbox.created", {"url": "https://elsewhere.example/a"}),
    "createProject": ("project.created", {"name": "Another"}),
    "createTemplate": (
        "template.created",
        {"slug": "another", "version": {"texts": [{"text": "x"}]}},
    ),
    "createVmta": (
        "vmta.created",
        {"name": "tx-9", "hostname": "mta.example.com", "ipAddress": unused_address()},
    ),
    "createWebhook": ("webhook.created", {"url": "https://elsewhere.example/a", "events": ["*"]}),
    "deleteApiKey": ("api_key.deleted", {}),
    "deleteCreditAlert": ("credits.alert_deleted", {}),
    "deleteDomain": ("domain.deleted", {"force": True}),
    "deleteIngressMailbox": ("ingress_mailbox.deleted", {}),
    "deleteTemplate": ("template.deleted", {}),
    "deleteVmta": ("vmta.deleted", {"force": True}),
    "deleteWebhook": ("webhook.deleted", {}),
    "endSession": ("user.session_ended", {}),
    "flushQueue": ("queue.flushed", {}),
    "grantCredits": ("credits.granted", {}),
    "holdQueue": ("queue.held", {}),
    "importSuppressions": ("suppressions.imported", {}),
    "inviteMember": ("user.invited", {"email": "b@example.org", "role": "VIEWER"}),
    "markInvoicePaid": ("billing.invoice_marked_paid", {}),
    "pauseVmta": ("vmta.paused", {}),
    "publishTemplate": ("template.published", {}),
    "releaseQueue": ("queue.released", {}),
    "removeLater": ("removal.begun", {}),
    "removeMember": ("user.removed", {}),
    "removeSuppression": ("suppression.removed", {}),
    "removeTlsRequirement": ("tls_requirement.removed", {"domain": "bank.example"}),
    "renameTemplate": ("template.renamed", {}),
    "replayWebhookCall": ("webhook.replayed", {}),
    "renamePasskey": ("user.passkey_renamed", {}),
    "resendInvitation": ("user.invitation_resent", {}),
    "restoreProject": ("project.restored", {}),
    "resumeVmta": ("vmta.resumed", {}),
    "rotateApiKey": ("api_key.rotated", {}),
    "rotateDomainDkim": ("domain.dkim_rotation_started", {}),
    "saveTemplate": ("template.saved", {"version": {"texts": [{"text": "x"}]}}),
    "setCreditAlert": ("credits.alert_set", {"type": "EMAIL", "threshold": 7}),
    "setCreditPackage": (
        "credits.package_set",
        {
            "code": "audited",
            "name": "One",
            "type": "EMAIL",
            "quantity": 1,
            "priceAmount": 1,
            "priceCurrency": "USD",
        },
    ),
    "setGreylisting": ("greylisting.set", {}),
    "setReputationPolicy": ("auto_block.strictness_set", {"policy": "STRICT"}),
    "switchAutoBlockRule": ("auto_block.rule_toggled", {"rule": "virus_sent"}),
    "resolveAutoBlock": ("auto_block.resolved", {}),
    "setScanPolicy": ("scan_policy.set", {}),
    "setTlsRequirement": ("tls_requirement.set", {"domain": "other.example", "tls": "VERIFIED"}),
    "startBulkAction": ("bulk_action.started", {"kind": "RETRY", "filter": {}}),
    "startExport": ("export.started", {"subject": {"messages": {}}}),
    "testWebhook": ("webhook.tested", {}),
    "undoRemoval": ("removal.undone", {}),
    "updateApiKey": ("api_key.updated", {}),
    "updateBillingDetails": ("billing.details_updated", {"legalName": "Example Limited"}),
    "updateDomain": ("domain.updated", {}),
    "updateDomainBimi": ("domain.bimi_updated", {}),
    "updateIngressMailbox": ("ingress_mailbox.updated", {"label": "Another"}),
    "updateOrganization": ("organization.renamed", {"name": "Renamed"}),
    "updateProject": ("project.updated", {}),
    "updateVmta": (
        "vmta.updated",
        {"name": "tx-8", "hostname": "mta.example.com", "weight": 7},
    ),
    "updateWebhook": ("webhook.updated", {"description": "Another"}),
    "withdrawInvitation": ("user.invitation_withdrawn", {}),
}
"""The entry that a mutation leaves, and what it is asked for beside its reference."""

FIRST = {"releaseQueue": "holdQueue", "restoreProject": "archiveProject", "resumeVmta": "pauseVmta"}
"""What has to be done before."""

PLATFORM = frozenset({"setReputationPolicy", "grantCredits", "markInvoicePaid", "setCreditPackage"})
"""What only somebody does who looks after the deployment."""

REFERRING = {
    place.field: place
    for place in PLACES
    # What waits for a vMTA is either moved or, as here, cancelled.
    if place.on == "Mutation" and place.path[-1] != "reassignTo"
}


def test_every_mutation_is_logged_or_says_why_not() -> None:
    tables = [*LOGGED, *STORY, *WITHOUT, *ELSEWHERE]

    assert sorted(tables) == sorted(MUTATIONS.fields)


async def actions(**where: Any) -> list[str]:
    """Return the actions of the log, of one organization or of one person."""
    ((column, value),) = where.items()
    rows = await fetch(
        f"SELECT action FROM audit_entries WHERE {column} = {{}} ORDER BY id",  # type: ignore[arg-type]
        value,
    )
    return [row["action"] for row in rows]


async def run(client: Client, name: str, world: World, admin: Actor) -> None:
    """Run a mutation that nothing stands in the way of."""
    asked = LOGGED[name][1]
    if place := REFERRING.get(name):
        sent = place.variables(world.names[KINDS[str(place)]], world)["value"] | asked
    else:
        sent = asked
    actor = world.person if name in PERSONAL else world.actor
    field = MUTATIONS.fields[name]
    document = (
        f"mutation ($input: {field.args['input'].type}) "
        f"{{ {name}(input: $input){selection(field)} }}"
    )
    await client.data(document, {"input": sent}, actor=admin if name in PLATFORM else actor)


@pytest.mark.parametrize("name", LOGGED)
async def test_a_mutation_leaves_its_entry(client: Client, name: str) -> None:
    world, admin = await make_world(client), await make_actor(platform_admin=True)
    await make_package()
    of_whom = {"organization_id": world.actor.organization_id}
    if name == "setCreditPackage":
        of_whom = {"organization_id": admin.organization_id}
    with settings_with(source_addresses=INVENTORY):
        if name in FIRST:
            await run(client, FIRST[name], world, admin)
        before = await actions(**of_whom)

        await run(client, name, world, admin)

    new = (await actions(**of_whom))[len(before) :]
    if name in PLATFORM and not new:
        new = await actions(organization_id=admin.organization_id)
    # Mail that a forced deletion cancels is logged, too.
    assert [action for action in new if action != "message.cancelled" or new == [action]] == [
        LOGGED[name][0]
    ]


async def do(client: Client, who: Person, mutation: str, selected: str, /, **values: Any) -> Any:
    """Run a mutation as somebody and return the one field of its payload that is *selected*."""
    type_ = MUTATIONS.fields[mutation].args["input"].type
    document = f"mutation ($input: {type_}) {{ {mutation}(input: $input) {{ {selected} }} }}"
    data = await client.data(document, {"input": values}, token=who.token)
    (found,) = data[mutation].values()
    return found


async def test_the_story_of_a_person_is_in_the_log(client: Client) -> None:
    person, other, admin = [Person(client, await registered(client)) for _ in range(3)]
    await fetch("UPDATE users SET platform_admin = (email = {})", admin.email)
    invitation = await do(client, other, "inviteMember", "token", email=person.email, role="VIEWER")

    await client.data(LOG_IN, person.log_in())
    await client.data("mutation { endOtherSessions { ended } }", token=person.token)
    await do(client, person, "updateViewer", "user { name }", name="Ada B.")
    await with_a_second_factor(client, person)
    named = {"email": person.email, "password": PASSWORD}
    await do(client, admin, "grantPlatformAdmin", "granted", **named)
    await do(client, admin, "revokePlatformAdmin", "revoked", **named)
    passwords = (PASSWORD, "four purple umbrellas", "six green bicycles")
    for known, new in pairwise(passwords):
        changed = {"currentPassword": known, "newPassword": new}
        person.token = await do(client, person, "changePassword", "token", **changed)
    person.token = await do(client, person, "acceptInvitation", "token", token=invitation)
    second = await do(client, person, "createOrganization", "organization { id }", name="Second")
    person.token = await do(
        client, person, "switchOrganization", "token", organizationId=second["id"]
    )
    await client.data("mutation { logOut { loggedOut } }", token=person.token)
    await do(client, admin, "requestPasswordReset", "accepted", email=person.email)
    link = (await mailed(person.email))[-1].token
    new = {"token": link, "newPassword": "five yellow tractors"}
    await do(client, admin, "resetPassword", "passwordChanged", **new)

    assert await actions(user_id=person.id) == [
        "organization.created",
        "user.registered",
        "user.login",
        "user.sessions_ended",
        "user.updated",
        "user.second_factor_enabled",
        "user.recovery_codes_renewed",
        *["organization.second_factor_rule_changed"] * 2,
        "user.second_factor_disabled",
        *["user.password_changed"] * 2,
        *["user.joined", "user.switched"],
        *["organization.created", "user.switched"],
        "user.switched",
        "user.logout",
        "user.password_reset_requested",
        "user.password_reset",
    ]
    assert [a for a in await actions(user_id=admin.id) if a.startswith("platform_admin.")] == [
        "platform_admin.granted",
        "platform_admin.revoked",
    ]


async def with_a_second_factor(client: Client, person: Person) -> None:
    """Set one up, ask everybody for one and no longer, and remove it."""
    await person.begin()
    await person.set_up()
    proof = {"password": PASSWORD, "totpCode": person.code()}
    await client.data(RENEW, {"input": proof}, token=person.token)
    for required in (True, False):
        await client.data(REQUIRE, {"input": {"required": required}}, token=person.token)
    last = {"password": PASSWORD, "totpCode": person.code(steps=1)}
    person.token = await do(client, person, "disableSecondFactor", "token", **last)
