"""Which credentials are taken, and what is said of those that are not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from postlane.accounts.tables import Membership, User
from postlane.core import clock
from postlane.core.actor import Origin
from postlane.core.errors import OperationError
from postlane.security import uses
from postlane.security.credentials import actor_from_api_key
from postlane.security.rules import KeyFormat
from postlane.security.tables import ApiKey, ApiKeyUse
from tests.client import Client
from tests.factories import make_api_key, make_membership, make_organization
from tests.people import WHO, registered

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def ask(client: Client, *headers: tuple[str, str], path: str = "/graphql") -> httpx.Response:
    """Ask who one is, with exactly these headers."""
    return await client.post(path, json={"query": WHO}, headers=httpx.Headers(list(headers)))


def code_of(answer: httpx.Response) -> str:
    """Return the code of the one refusal in an answer."""
    code: str = answer.json()["errors"][0]["extensions"]["code"]
    return code


async def test_no_credential_is_nobody(client: Client) -> None:
    answer = await ask(client)

    assert code_of(answer) == "NOT_AUTHENTICATED"


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("x-api-key", "pmta_00000000_" + "x" * 43, "INVALID_API_KEY"),
        ("x-api-key", "", "INVALID_API_KEY"),
        ("x-api-key", "x" * 100_000, "INVALID_API_KEY"),
        ("x-api-key", "pmta_' OR 1=1 --", "INVALID_API_KEY"),
        ("authorization", "Bearer pmta_", "INVALID_API_KEY"),
        ("authorization", "Bearer", "INVALID_TOKEN"),
        ("authorization", "", "INVALID_TOKEN"),
        ("authorization", "Basic YTpi", "INVALID_TOKEN"),
        ("authorization", "Bearer x.y.z", "INVALID_TOKEN"),
        ("authorization", "Bearer " + "." * 4_000, "INVALID_TOKEN"),
        ("authorization", "Bearer " + "x" * 100_000, "INVALID_TOKEN"),
        ("authorization", "Bearer two words", "INVALID_TOKEN"),
    ],
)
async def test_what_is_no_credential_of_ours_is_401(
    client: Client, header: str, value: str, code: str
) -> None:
    answer = await ask(client, (header, value))

    assert (answer.status_code, code_of(answer)) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer realm="postlane"'


@pytest.mark.parametrize("header", [b"x-api-key", b"authorization"])
async def test_header_that_is_not_ascii_is_refused(client: Client, header: bytes) -> None:
    answer = await client.post(
        "/graphql", json={"query": WHO}, headers=[(header, "Bearer pmta_é\xff".encode("latin-1"))]
    )

    assert answer.status_code == 401


async def test_credential_in_a_query_string_is_not_read(client: Client) -> None:
    key = await make_api_key(await make_organization())

    answer = await ask(client, path=f"/graphql?api_key={key.secret}&access_token={key.secret}")

    assert code_of(answer) == "NOT_AUTHENTICATED"


async def test_two_credentials_of_one_key_are_one(client: Client) -> None:
    key = await make_api_key(await make_organization())

    answer = await ask(client, ("authorization", f"bearer {key.secret}"), ("x-api-key", key.secret))

    assert "errors" not in answer.json()


async def test_two_credentials_of_two_principals_are_ambiguous(client: Client) -> None:
    organization = await make_organization()
    one, other = await make_api_key(organization), await make_api_key(organization)

    for headers in (
        [("authorization", f"Bearer {one.secret}"), ("x-api-key", other.secret)],
        [("x-api-key", one.secret), ("x-api-key", other.secret)],
        [("authorization", f"Bearer {one.secret}"), ("authorization", f"Bearer {other.secret}")],
    ):
        assert code_of(await ask(client, *headers)) == "AMBIGUOUS_CREDENTIALS"


async def test_good_credential_beside_a_bad_one_is_refused(client: Client) -> None:
    key = await make_api_key(await make_organization())

    answer = await ask(client, ("authorization", "Bearer x.y.z"), ("x-api-key", key.secret))

    assert code_of(answer) == "INVALID_TOKEN"


async def test_expired_key_is_refused(client: Client) -> None:
    key = await make_api_key(await make_organization(), expires_at=NOON)

    with clock.frozen(NOON - timedelta(seconds=1)):
        assert await client.data(WHO, key=key.secret)
    with clock.frozen(NOON):
        assert await client.refusal(WHO, key=key.secret) == "API_KEY_EXPIRED"


@pytest.mark.parametrize(
    ("address", "networks", "taken"),
    [
        ("198.51.100.7", ["198.51.100.0/24"], True),
        ("::ffff:198.51.100.7", ["198.51.100.0/24"], True),
        ("198.51.101.7", ["198.51.100.0/24"], False),
        ("2001:db8::7", ["198.51.100.0/24", "2001:db8::/32"], True),
        ("2001:db9::7", ["198.51.100.0/24", "2001:db8::/32"], False),
        (None, ["198.51.100.0/24"], False),
        ("garbage", ["0.0.0.0/0"], False),
        (None, [], True),
    ],
)
async def test_key_is_taken_from_its_networks_only(
    database: None, address: str | None, networks: list[str], taken: bool
) -> None:
    key = await make_api_key(await make_organization(), allowed_networks=networks)

    try:
        await actor_from_api_key(key.secret, Origin(address))
        code = None
    except OperationError as refusal:
        code = refusal.error_code

    assert code == (None if taken else "ADDRESS_NOT_ALLOWED")


async def test_key_from_a_foreign_network_is_403(client: Client) -> None:
    key = await make_api_key(await make_organization(), allowed_networks=["192.0.2.0/24"])

    answer = await ask(client, ("x-api-key", key.secret))

    assert (answer.status_code, code_of(answer)) == (403, "ADDRESS_NOT_ALLOWED")


async def test_disabled_person_is_refused_with_token_and_key(client: Client) -> None:
    person = await registered(client)
    organization = await make_organization()
    user = await User.objects().get(User.id == person["user"]["uuid"])
    assert user is not None
    key = await make_api_key(organization, membership=await make_membership(organization, user))

    await User.update({User.status: "disabled"}).where(User.id == user.id)

    assert await client.refusal(WHO, token=person["token"]) == "USER_DISABLED"
    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"


async def test_demotion_counts_from_the_next_request_on(client: Client) -> None:
    person = await registered(client)
    scopes = "{ viewer { credential { scopes } } }"
    before = await client.data(scopes, token=person["token"])

    await Membership.update({Membership.role: "billing"}).where(
        Membership.user_id == person["user"]["uuid"]
    )

    after = await client.data(scopes, token=person["token"])
    assert "messages:send" in before["viewer"]["credential"]["scopes"]
    assert after["viewer"]["credential"]["scopes"] == [
        "billing:read",
        "billing:write",
        "credits:alerts",
        "credits:read",
        "users:read",
    ]


async def test_suspended_organization_still_reads(client: Client) -> None:
    key = await make_api_key(await make_organization(status="suspended"))

    data = await client.data("{ viewer { credential { scopes } } }", key=key.secret)

    scopes = data["viewer"]["credential"]["scopes"]
    assert [scope for scope in scopes if not scope.endswith(":read")] == ["billing:write"]


@pytest.mark.parametrize("form", list(KeyFormat))
async def test_secret_is_taken_whole_and_as_written(database: None, form: KeyFormat) -> None:
    key = await make_api_key(await make_organization(), format=form)

    for secret in (key.secret[:-1], key.secret + "a", key.secret.swapcase(), f" {key.secret}"):
        with pytest.raises(OperationError) as refusal:
            await actor_from_api_key(secret, Origin())
        assert refusal.value.error_code == "INVALID_API_KEY"


async def test_uses_are_counted_and_written_together(database: None) -> None:
    key = await make_api_key(await make_organization())

    with clock.frozen(NOON):
        await asyncio.gather(
            *(actor_from_api_key(key.secret, Origin("192.0.2.9")) for _ in range(20))
        )
        await uses.flush()

    row = await ApiKey.objects().get(ApiKey.id == key.row.id)
    assert row is not None
    assert (row.last_used_at, row.last_used_address) == (NOON, "192.0.2.9")
    counted = await ApiKeyUse.select(ApiKeyUse.hour, ApiKeyUse.requests).where(
        ApiKeyUse.api_key_id == key.row.id
    )
    assert counted == [{"hour": NOON, "requests": 20}]


async def test_requests_of_the_last_day_are_shown(client: Client) -> None:
    key = await make_api_key(await make_organization())
    document = "{ viewer { credential { apiKey { requestsIn24Hours lastUsedAddress } } } }"
    for _ in range(3):
        await client.data(WHO, key=key.secret)
    await uses.flush()

    data = await client.data(document, key=key.secret)

    found: dict[str, Any] = data["viewer"]["credential"]["apiKey"]
    assert found == {"requestsIn24Hours": 3, "lastUsedAddress": client.address}


async def test_use_of_a_key_deleted_meanwhile_is_forgotten(database: None) -> None:
    organization = await make_organization()
    gone, kept = await make_api_key(organization), await make_api_key(organization)
    for key in (gone, kept):
        await actor_from_api_key(key.secret, Origin())
    await ApiKey.delete().where(ApiKey.id == gone.row.id)

    await uses.flush()

    assert await ApiKeyUse.count().where(ApiKeyUse.api_key_id == kept.row.id) == 1
