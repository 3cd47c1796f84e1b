"""A provider of identities that says whatever a test wants, and keeps what it was asked."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "postlane", "a secret of the provider's client"


class IdentityProvider:
    """Answers at `url`; `claims` and the rest are for a test to change."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.kid = "one"
        self.url = ""
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.signing: Any = self.key
        self.answer: dict[str, Any] | None = None
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.requests: list[str] = []
        self._nonces: dict[str, tuple[str, str]] = {}

    def goes_to(self, address: str) -> dict[str, str]:
        """Let somebody through who is sent there; return the query that they come back with."""
        parts = urlsplit(address)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(asked)
        code = f"code-{len(self.asked)}"
        self._nonces[code] = asked["nonce"], asked["code_challenge"]
        return {"state": asked["state"], "code": code}

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        """Answer in two pieces, as a network may bring any answer."""
        self.requests.append(request.path)
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        octets = json.dumps(found | self.metadata).encode()
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(octets[:20])
        await asyncio.sleep(0.05)
        await response.write(octets[20:])
        await response.write_eof()
        return response

    async def _keys(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": self.kid, "alg": "RS256"}]})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        nonce, challenge = self._nonces.pop(str(form["code"]), ("", ""))
        proof = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        basic = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        knows_us = request.headers.get("authorization") == f"Basic {basic}"
        if not knows_us or base64url(proof) != challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "person-1",
            "nonce": nonce,
            "iat": now,
            "exp": now + 60,
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"kid": self.kid}
        if self.algorithm == "HS256":
            # As an attacker would: libraries sign with no key that is public.
            parts = [{**header, "alg": "HS256"}, claims]
            text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
            token = f"{text}.{base64url(hmac.digest(self.signing, text.encode(), 'sha256'))}"
        else:
            token = jwt.encode(claims, self.signing, algorithm=self.algorithm, headers=header)
        found = self.answer or {"access_token": "unused", "token_type": "Bearer", "id_token": token}
        return web.json_response(found, status=self.status)


def base64url(octets: bytes) -> str:
    """Return *octets* as a token holds them."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    """Run one on a free port of the loopback interface."""
    provider = IdentityProvider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", provider._metadata)
    app.router.add_get("/keys", provider._keys)
    app.router.add_post("/token", provider._token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider.url = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()
