"""Every text that an argument takes is known: it refers to nothing, or a test guards what it does.

`test_tenancy.py` walks what refers to an object by an id or a name. What is left are texts that are
kept, shown or compared as they are. A new one fails here until somebody has said which it is.
"""

from collections.abc import Iterator
from pathlib import Path

from graphql import GraphQLInputObjectType, GraphQLInputType, GraphQLObjectType, get_named_type

from postlane.graphql.schema import CORE
from tests.test_tenancy import places

ROOT = Path(__file__).resolve().parents[1]
KEPT = """
    amount billingEmail cancelUrl city content contentId contentType country data description
    dkimSelector document envelopeSender event events filename from groupName hostname html ip
    ipAddress legalName line1 line2 locale name note organizationName period postalCode priceAmount
    priceCurrency quantity raw reason redirectTo region replyTo returnPathDomain selector sender
    smtpResponse subject submitter successUrl tag tagHeader tags taxId text timezone to bcc cc uid
    trackingDomain value exempt allowedNetworks recipients idempotencyKey
"""
"""Kept, shown or sent as they are: content, names that are given, addresses, details of oneself."""
BY_PLACE = frozenset(
    {
        "Webhook.signatureCheck(body)",
        *(
            f"Mutation.{operation}IngressMailbox(input.{path})"
            for operation in ("create", "update")
            for path in ("url", "label", "account.host", "account.username")
        ),
    }
)
"""Kept or compared there; elsewhere these names may refer to something."""
COMPARED = """
    action address after batchId batchIds before domain domains messageId pool pools
    recipient recipientDomain recipientDomains reference search senderDomain target targetType
    template vmta vmtas rule
"""
"""Filters and cursors within one's own; in lists of inputs, what is walked in the single one."""
OF_THE_DEPLOYMENT = "blocklists issuer language packageId payloadVersion plan scopes type zone"
"""Of a list that is the same for everybody."""
GUARDED = {
    "code": "tests/security/test_provider.py",
    "credential": "tests/security/test_passkeys.py",
    "currentPassword": "tests/security/test_credentials.py",
    "invitationToken": "tests/accounts/test_invitations.py",
    "newPassword": "tests/security/test_resets.py",
    "organizationSlug": "tests/accounts/test_signing_in.py",
    "password": "tests/accounts/test_signing_in.py",
    "proof": "tests/security/test_provider.py",
    "recoveryCode": "tests/security/test_second_factor.py",
    "slug": "tests/security/test_visits.py",
    "state": "tests/security/test_provider.py",
    "ticket": "tests/security/test_passkeys.py",
    "token": "tests/security/test_resets.py",
    "totpCode": "tests/security/test_second_factor.py",
}
"""Proofs, each with the test of what somebody else's is worth; a slug is an operator's, or new."""


def texts() -> Iterator[str]:
    """Yield the last name of each place that takes a text, or a large number, and is not walked."""
    walked = BY_PLACE | {str(place) for place in places()}
    for on, type_ in CORE.type_map.items():
        if isinstance(type_, GraphQLObjectType) and not on.startswith("__"):
            for field, definition in type_.fields.items():
                for argument, declared in definition.args.items():
                    for path in leaves(declared.type, (argument,)):
                        if f"{on}.{field}({'.'.join(path)})" not in walked:
                            yield path[-1]


def leaves(type_: GraphQLInputType, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    named = get_named_type(type_)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from leaves(field.type, (*path, name))
    elif named.name in ("String", "UUID", "BigInt"):
        yield path


def test_every_text_is_known() -> None:
    known = {*KEPT.split(), *COMPARED.split(), *OF_THE_DEPLOYMENT.split(), *GUARDED}

    assert set(texts()) == known


def test_what_guards_a_proof_is_there() -> None:
    for path in set(GUARDED.values()):
        assert "def test_" in (ROOT / path).read_text("utf-8"), path
