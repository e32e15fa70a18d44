"""An OpenID Connect provider on a port of this machine: real keys, real signatures, and lies where a test wants them.

It lets everybody in at once as `claims` says, checks what a provider checks (client, redirect, code once, PKCE), and
signs an ID token. `lies`: claims put in place of the true ones; `forged`: signed by a key that it does not publish.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "console", "not-so-secret"


class Provider:
    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"sub": "sub-ann", "email": "ann@acme.test", "email_verified": True}
        self.lies: dict[str, Any] = {}
        self.metadata_lies: dict[str, Any] = {}
        self.forged = False
        self.algorithm = "RS256"
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self._other = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})

    def rotate(self) -> None:
        """Another key, by another name."""
        self._key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **self.metadata_lies,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def token(self, authorization: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        asked = self._codes.pop(form.get("code", ""), None)
        if given != f"{CLIENT_ID}:{CLIENT_SECRET}" or asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if _encoded(digest) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        half = _encoded(hashlib.sha256(access.encode()).digest()[:16])
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "at_hash": half, **self.claims, **self.lies,
        }  # fmt: skip
        signer = self._other if self.forged else self._key
        header = {"alg": self.algorithm, "kid": signer.kid}
        if self.algorithm == "RS256":
            signed = jwt.encode(header, claims, signer, algorithms=["RS256"])
        else:
            signed = self._by_no_key_of_ours(header, claims)
        return 200, {"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": signed}

    def _by_no_key_of_ours(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Signed by nothing, or by what everybody knows: the public key, taken for a shared secret."""
        parts = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        public = self._key.as_pem(private=False)
        proof = b"" if self.algorithm == "none" else hmac.new(public, parts.encode(), hashlib.sha256).digest()
        return f"{parts}.{_encoded(proof)}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = scope["path"]
        self.asked.append(path)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, sent, content = 200, [(b"content-type", b"application/json")], b""
        if path == "/.well-known/openid-configuration":
            content = json.dumps(self.metadata()).encode()
        elif path == "/keys":
            content = json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()
        elif path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
            status, sent = 302, [(b"location", self.authorize(asked).encode())]
        elif path == "/token":
            status, told = self.token(headers.get("authorization", ""), dict(parse_qsl(body.decode())))
            content = json.dumps(told).encode()
        else:
            status = 404
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": content})


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        made = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(made, log_config=None, lifespan="off", access_log=False))
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield made
        finally:
            server.should_exit = True
            await task
