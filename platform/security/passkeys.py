"""Passkeys: keys that a person's device holds, and uses only for who unlocks it.

One proves two things at once, the device and who uses it; so it is a second factor, and as good
as a password with one. Each is tied to our address, so that no other site can ask for it.

What is asked of a device is in a sealed ticket, which whoever began keeps: nothing is stored
before somebody has answered. Then it is, so that no answer is taken twice.

Source: https://www.w3.org/TR/webauthn-3/
"""

import json
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ..accounts.operations import hold_person
from ..accounts.queries import Person
from ..core import clock
from ..core.actor import UserId
from ..core.crypto import SealBroken, seal, unseal
from ..core.database import Tx, fetch
from ..core.errors import DetailCode, InvalidInput
from ..core.ids import new_id
from ..core.settings import settings
from .errors import PasskeyExists, PasskeyLimitReached, PasskeysUnavailable, PasskeyWrong
from .tables import Passkey

PURPOSE = "passkey"
RELYING_PARTY = "Postlane"
SIGN_IN = "sign in"
CHALLENGE_BYTES = 32
TICKET_LIFE = timedelta(minutes=15)
MOST = 20
"""Passkeys of one person."""
LONGEST_NAME = 100
LONGEST_ANSWER = 20_000
"""Characters; those of browsers have about a thousand."""

FAULTS = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What the library says of an answer that is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to ask a device for, and what has to come back with its answer."""

    ticket: str
    options: str
    """JSON, as `PublicKeyCredential.parseCreationOptionsFromJSON` and its like take it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device said."""

    ticket: str
    credential: str
    """JSON, as `PublicKeyCredential.toJSON` makes it."""


def ask_to_register(user: Person, known: Sequence[bytes]) -> Asked:
    """Return what makes a device make a passkey; one that holds one of *known* makes no other.

    Raises:
        PasskeysUnavailable: browsers do not use passkeys at our address.
    """
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = generate_registration_options(
        rp_id=_relying_party().id,
        rp_name=RELYING_PARTY,
        user_id=user.id.bytes,
        user_name=user.email,
        user_display_name=user.name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
    )
    return Asked(_ticket(challenge, purpose=_registering(user.id)), options_to_json(options))


def ask_to_sign_in() -> Asked:
    """Return what makes a device show who its owner is; whoever it is, it is the same.

    Raises:
        PasskeysUnavailable: browsers do not use passkeys at our address.
    """
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = generate_authentication_options(
        rp_id=_relying_party().id,
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return Asked(_ticket(challenge, purpose=SIGN_IN), options_to_json(options))


def ask_if_possible() -> Asked | None:
    """Return what `ask_to_sign_in` does; None where browsers do not use passkeys."""
    try:
        return ask_to_sign_in()
    except PasskeysUnavailable:
        return None


async def add(tx: Tx, user: Person, answer: Answer, *, name: str) -> Passkey:
    """Write down the passkey that a device has made for *user*.

    Raises:
        PasskeyWrong: the answer is not one to what we asked of this person, is too late or was
            used before, or the device did not ask who uses it.
        PasskeyExists: it belongs to an account already.
        PasskeyLimitReached: the person has 20.
    """
    challenge = _challenge(answer.ticket, purpose=_registering(user.id))
    party = _relying_party()
    try:
        credential = parse_registration_credential_json(_read(answer.credential))
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except FAULTS as error:
        raise PasskeyWrong from error
    passkey = Passkey(
        id=new_id(),
        user_id=user.id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=name,
        is_synced=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        created_at=clock.now(),
    )
    # Of two who add a passkey at the same moment, one counts after the other.
    await hold_person(tx, user.id)
    await _spend(challenge)
    if len(await credential_ids(user.id)) >= MOST:
        raise PasskeyLimitReached
    if not await _insert(passkey):
        raise PasskeyExists
    return passkey


async def prove(tx: Tx, answer: Answer, *, user_id: UserId | None = None) -> UserId:
    """Return whose passkey has answered; with *user_id*, nobody else's counts.

    Raises:
        PasskeyWrong: it is not one to what we asked, is too late or was used before; nobody, or
            somebody else, has the passkey; the device did not ask who uses it; or it counts
            less than it did, as a copy would.
    """
    challenge = _challenge(answer.ticket, purpose=SIGN_IN)
    try:
        credential = parse_authentication_credential_json(_read(answer.credential))
    except FAULTS as error:
        raise PasskeyWrong from error
    rows = await fetch(
        "SELECT id, user_id, public_key, sign_count FROM passkeys WHERE credential_id = {} "
        "FOR UPDATE",
        credential.raw_id,
    )
    if not rows or (user_id is not None and rows[0]["user_id"] != user_id):
        raise PasskeyWrong
    row = rows[0]
    # The device names whom it holds the passkey for: that has to be who we know it of.
    handle = credential.response.user_handle
    if handle is not None and handle != row["user_id"].bytes:
        raise PasskeyWrong
    found = _verified(credential, challenge, row["public_key"], count=row["sign_count"])
    await _spend(challenge)
    await fetch(
        "UPDATE passkeys SET sign_count = {}, last_used_at = {} WHERE id = {}",
        found.new_sign_count,
        clock.now(),
        row["id"],
    )
    return UserId(row["user_id"])


async def credential_ids(user_id: UserId) -> list[bytes]:
    """Return the ids by which devices know the person's passkeys."""
    rows = await fetch("SELECT credential_id FROM passkeys WHERE user_id = {}", user_id)
    return [bytes(row["credential_id"]) for row in rows]


def checked_name(name: str) -> str:
    """Return *name* without what is around it.

    Raises:
        InvalidInput: it has not 1 to 100 characters that can be shown.
    """
    found = name.strip()
    if not 1 <= len(found) <= LONGEST_NAME or not found.isprintable():
        raise InvalidInput.of(
            "name",
            DetailCode.TOO_LONG if len(found) > LONGEST_NAME else DetailCode.INVALID_FORMAT,
            f"A passkey's name has 1 to {LONGEST_NAME} characters.",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Party:
    id: str
    origin: str


def _relying_party() -> _Party:
    parts = urlsplit(settings().public_url)
    host = parts.hostname or ""
    is_local = host == "localhost" or host.endswith(".localhost")
    if not host or _is_address(host) or (parts.scheme != "https" and not is_local):
        raise PasskeysUnavailable
    return _Party(host, f"{parts.scheme}://{parts.netloc}".lower())


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _registering(user_id: UserId) -> str:
    return f"register {user_id.hex}"


def _ticket(challenge: bytes, *, purpose: str) -> str:
    until = (clock.now() + TICKET_LIFE).timestamp()
    text = json.dumps({"challenge": challenge.hex(), "until": until, "for": purpose})
    return seal(text.encode(), purpose=PURPOSE).hex()


def _challenge(ticket: str, *, purpose: str) -> bytes:
    try:
        found = json.loads(unseal(bytes.fromhex(ticket[:LONGEST_ANSWER]), purpose=PURPOSE))
    except (SealBroken, ValueError) as error:
        raise PasskeyWrong from error
    if found["for"] != purpose or found["until"] < clock.now().timestamp():
        raise PasskeyWrong
    return bytes.fromhex(found["challenge"])


def _read(credential: str) -> dict[str, object]:
    if len(credential) > LONGEST_ANSWER:
        raise ValueError("too long to be an answer")
    found = json.loads(credential)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _verified(
    credential: AuthenticationCredential, challenge: bytes, public_key: bytes, *, count: int
) -> VerifiedAuthentication:
    party = _relying_party()
    try:
        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except FAULTS as error:
        raise PasskeyWrong from error


async def _spend(challenge: bytes) -> None:
    # Inserting is the test: of two who answer the same question at one moment, one wins.
    if not await fetch(
        "INSERT INTO spent_challenges (digest, expires_at) VALUES ({}, {}) "
        "ON CONFLICT (digest) DO NOTHING RETURNING digest",
        sha256(challenge).digest(),
        clock.now() + TICKET_LIFE,
    ):
        raise PasskeyWrong


async def _insert(passkey: Passkey) -> bool:
    rows = await fetch(
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, "
        "is_synced, created_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (credential_id) DO NOTHING RETURNING id",
        passkey.id,
        passkey.user_id,
        passkey.credential_id,
        passkey.public_key,
        passkey.sign_count,
        passkey.name,
        passkey.is_synced,
        passkey.created_at,
    )
    return bool(rows)


async def has(user_id: UserId, passkey_id: uuid.UUID) -> bool:
    """Say whether the person has this passkey."""
    rows = await fetch("SELECT FROM passkeys WHERE id = {} AND user_id = {}", passkey_id, user_id)
    return bool(rows)


async def rename(tx: Tx, user_id: UserId, passkey_id: uuid.UUID, *, name: str) -> bool:
    """Give a passkey of the person another name; say whether they have it."""
    rows = await fetch(
        "UPDATE passkeys SET name = {} WHERE id = {} AND user_id = {} RETURNING id",
        name,
        passkey_id,
        user_id,
    )
    return bool(rows)


async def remove(tx: Tx, user_id: UserId, passkey_id: uuid.UUID) -> bool:
    """Forget a passkey of the person; say whether they had it."""
    rows = await fetch(
        "DELETE FROM passkeys WHERE id = {} AND user_id = {} RETURNING id", passkey_id, user_id
    )
    return bool(rows)
