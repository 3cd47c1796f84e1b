"""The key for calls in Postal's format: made once, sealed, and published in two forms."""

import asyncio
import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from postlane.core.database import fetch
from tests.client import Client
from tests.server.commands import environment, postlane_command
from tests.workers import own_database

PATH = "/.well-known/jwks.json"


async def test_anybody_reads_the_public_key(client: Client, database: None) -> None:
    first, second, head = await client.get(PATH), await client.get(PATH), await client.head(PATH)

    assert (first.status_code, head.status_code, head.content) == (200, 200, b"")
    assert first.headers["content-type"].startswith("application/json")
    assert first.json() == second.json()
    (entry,) = first.json()["keys"]
    assert list(entry) == ["kty", "n", "e", "kid", "use", "alg"]


async def test_the_key_is_stored_once_and_sealed(client: Client, database: None) -> None:
    await asyncio.gather(*(client.get(PATH) for _ in range(4)))

    rows = await fetch("SELECT private_key FROM postal_signing_keys")
    assert len(rows) == 1
    assert len(rows[0]["private_key"]) > 1_000
    assert b"PRIVATE KEY" not in bytes(rows[0]["private_key"])


@pytest.mark.slow
async def test_commands_side_by_side_print_one_key(
    database: None, database_url: str, tmp_path: Path
) -> None:
    async with own_database(database_url) as url:
        env = environment(tmp_path, database_url=url, secret_key="k" * 40)
        found = await asyncio.gather(
            *(postlane_command("print-postal-key", env=env) for _ in range(3))
        )

    assert [each.code for each in found] == [0, 0, 0]
    assert len({each.out for each in found}) == 1
    lines = dict(line.split(":", 1) for line in found[0].out.splitlines())
    assert list(lines) == ["kid", "p", "TXT record"]
    p = lines["p"].strip()
    assert lines["TXT record"].strip() == f"v=DKIM1; t=s; h=sha256; p={p};"
    key = load_der_public_key(base64.b64decode(p, validate=True))
    assert isinstance(key, rsa.RSAPublicKey)
    numbers = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert lines["kid"].strip() == hashlib.sha256(numbers).hexdigest()
