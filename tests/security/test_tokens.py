"""Tokens: only ours, only for here, only in their time."""

import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postlane.core import clock
from postlane.core.actor import OrganizationId, Origin, Role, UserId
from postlane.core.errors import OperationError
from postlane.core.ids import new_id
from postlane.security import tokens, work
from postlane.security.credentials import actor_from_token
from postlane.security.operations import sign_in
from postlane.security.tables import SigningKey
from tests.factories import make_membership, make_organization

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
Forge = Callable[..., str]


@pytest.fixture
async def forge(database: None) -> Forge:
    """Make tokens as we do, but for what a test changes."""
    keys = await tokens.signing_keys()

    def make(key: Any = None, algorithm: str = "EdDSA", kid: Any = None, **changes: Any) -> str:
        claims: dict[str, Any] = {
            "iss": "http://postlane.test",
            "aud": "api",
            "sub": str(new_id()),
            "org_id": str(new_id()),
            "role": "owner",
            "tv": 1,
            "iat": int(clock.now().timestamp()),
            "exp": int(clock.now().timestamp()) + 3600,
            "jti": str(new_id()),
        }
        claims = {k: v for k, v in (claims | changes).items() if v is not None}
        return jwt.encode(
            claims,
            key if key is not None else keys.signing,
            algorithm=algorithm,
            headers={"kid": kid or keys.newest},
        )

    return make


async def code(call: Awaitable[Any]) -> str:
    """Return the code with which *call* is refused."""
    with pytest.raises(OperationError) as refusal:
        await call
    return refusal.value.error_code.value


async def signed_in() -> Any:
    """Sign a new person in."""
    organization = await make_organization()
    membership = await make_membership(organization)
    return await sign_in(UserId(membership.user_id), OrganizationId(organization.id), Origin())


async def test_token_says_whose_it_is_and_for_how_long(database: None) -> None:
    with clock.frozen(NOON):
        found = await signed_in()

    claims = jwt.decode(found.token.text, options={"verify_signature": False})
    header = jwt.get_unverified_header(found.token.text)
    assert claims == {
        "iss": "http://postlane.test",
        "aud": "api",
        "sub": str(found.actor.user_id),
        "org_id": str(found.actor.organization_id),
        "role": "owner",
        "tv": 1,
        "iat": 1780315200,
        "exp": 1780315200 + 86_400,
        "jti": str(found.actor.token_id),
    }
    assert (header["alg"], header["typ"]) == ("EdDSA", "JWT")
    assert uuid.UUID(header["kid"])


async def test_token_ends_a_minute_after_its_time(database: None) -> None:
    with clock.frozen(NOON):
        found = await signed_in()

    with clock.frozen(NOON + timedelta(days=1, seconds=59)):
        assert (await actor_from_token(found.token.text, Origin())).role is Role.OWNER
    with clock.frozen(NOON + timedelta(days=1, seconds=60)):
        assert await code(actor_from_token(found.token.text, Origin())) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://elsewhere.test"},
        {"aud": "dashboard"},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"jti": None},
        {"tv": None},
        {"sub": "not-a-uuid"},
        {"sub": 7},
        {"org_id": ["x"]},
        {"tv": "1"},
        {"exp": "tomorrow"},
        {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200},
        {"kid": "00000000-0000-0000-0000-000000000000"},
        {"kid": "../../etc/passwd"},
    ],
)
async def test_token_with_another_claim_is_refused(forge: Forge, changes: Any) -> None:
    assert await code(tokens.verified(forge(**changes))) == "INVALID_TOKEN"


async def test_token_of_another_key_is_refused(forge: Forge) -> None:
    assert await code(tokens.verified(forge(key=Ed25519PrivateKey.generate()))) == "INVALID_TOKEN"


async def test_token_without_a_signature_is_refused(forge: Forge) -> None:
    header, body, _ = forge().split(".")
    fields = json.loads(base64.urlsafe_b64decode(header + "=="))
    for algorithm in ("none", "None", "NONE", ""):
        text = json.dumps(fields | {"alg": algorithm}).encode()
        forged = base64.urlsafe_b64encode(text).decode().rstrip("=")

        assert await code(tokens.verified(f"{forged}.{body}.")) == "INVALID_TOKEN"


async def test_public_key_is_no_secret_of_an_hmac(database: None, forge: Forge) -> None:
    keys = await tokens.signing_keys()
    public = keys.signing.public_key().public_bytes_raw()

    assert await code(tokens.verified(forge(key=public, algorithm="HS256"))) == "INVALID_TOKEN"


async def test_changed_body_is_refused(forge: Forge) -> None:
    one, other = forge().split("."), forge().split(".")

    assert await code(tokens.verified(f"{one[0]}.{other[1]}.{one[2]}")) == "INVALID_TOKEN"


async def test_rotated_signing_key_still_verifies_until_its_tokens_end(database: None) -> None:
    old = await signed_in()
    await work.rotate_signing_key()
    keys = await tokens.refresh()

    new = await signed_in()

    kids = [jwt.get_unverified_header(found.token.text)["kid"] for found in (old, new)]
    assert kids[1] == keys.newest != kids[0]
    assert await actor_from_token(old.token.text, Origin())
    assert await actor_from_token(new.token.text, Origin())
    with clock.frozen(clock.now() + timedelta(days=8)):
        await work.tidy()
    assert [str(row.id) for row in await SigningKey.objects()] == [keys.newest]


async def test_private_key_is_sealed_in_its_row(database: None) -> None:
    keys = await tokens.signing_keys()
    raw = keys.signing.private_bytes_raw()

    rows = await SigningKey.objects()

    assert rows
    assert all(raw not in bytes(row.private_key) for row in rows)
