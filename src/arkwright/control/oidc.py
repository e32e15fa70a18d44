"""An issuer of accounts, by OpenID Connect: where it is, what it signs by, and whom it says somebody is.

Law: every answer is bounded in size and time and none is followed elsewhere; a token counts when the issuer's own key
signed it, for this platform, for this attempt, now. Secrets, codes and tokens are in no log and in no error.
"""

import asyncio
import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import structlog

from arkwright.basics.errors import Forbidden, InternalError, UpstreamFailed
from arkwright.basics.settings import Settings
from arkwright.domain import oidc as rules
from arkwright.store.oidc import Attempt

ANSWER_BYTES_MAX = 512 * 1024
TIMEOUT_S, TOTAL_S = 5.0, 15.0
LEEWAY_S = 60
_METADATA_S = 3600.0
_KEYS_S = 60.0  # At most this often for a key that is not known yet.
_KEYS_MAX = 50
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Signed by a key that only the issuer has: never by a shared secret, never by none.
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")

log = structlog.get_logger("oidc")


class Issuer:
    """One per control process. Authlib is imported where it is used: it comes with the extra `oidc`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metadata: dict[str, Any] = {}
        self._metadata_until_s = 0.0
        self._keys: dict[str, Any] = {}
        self._keys_until_s = 0.0

    @property
    def configured(self) -> bool:
        return bool(self._settings.oidc_issuer and self._settings.oidc_client_id)

    async def departure(self, redirect_uri: str) -> tuple[str, Attempt]:
        """Where to send a browser, and what to remember for when it comes back."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        _check_rules(self._settings)
        metadata = await self._discovered()
        attempt = Attempt(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
        )
        address: str = prepare_grant_uri(
            metadata["authorization_endpoint"],
            client_id=self._settings.oidc_client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope="openid email profile",
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return address, attempt

    async def arrival(self, attempt: Attempt, told: dict[str, str]) -> dict[str, Any]:
        """The claims of who came back with `told`. Raises Forbidden for whatever does not fit, UpstreamFailed for an
        issuer that does not answer.
        """
        if not hmac.compare_digest(told.get("state", "").encode(), attempt.state.encode()):
            raise _refused("state")
        if told.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise _refused("issuer")
        if told.get("error") or not told.get("code"):
            raise _refused("answer")
        answer = await self._redeemed(attempt, told["code"])
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise _refused("answer")
        return await self._verified(id_token, attempt.nonce, answer.get("access_token"))

    async def _redeemed(self, attempt: Attempt, code: str) -> dict[str, Any]:
        """What the issuer gives for a code."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        metadata, settings = await self._discovered(), self._settings
        ways = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        way = next((known for known in ("client_secret_basic", "client_secret_post") if known in ways), ways[0])
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=attempt.redirect_uri, code_verifier=attempt.verifier
        )
        headers = {"content-type": "application/x-www-form-urlencoded"}
        auth = ClientAuth(
            settings.oidc_client_id, settings.oidc_client_secret, way if settings.oidc_client_secret else "none"
        )
        uri, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, body)
        return await _exchange("POST", uri, headers, body.encode())

    async def _verified(self, id_token: str, nonce: str, access_token: Any) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import errors, jwt
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        metadata, settings = await self._discovered(), self._settings
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(algorithms=[name for name in _ALGORITHMS if name in offered], strict_check_header=False)
        options: Any = {
            "iss": {"essential": True, "value": settings.oidc_issuer},
            "aud": {"essential": True, "value": settings.oidc_client_id},
        }
        params = {"nonce": nonce, "client_id": settings.oidc_client_id, "access_token": access_token}
        try:
            try:
                token = jwt.decode(id_token, KeySet.import_key_set(await self._signing_keys()), registry=registry)
            except errors.InvalidKeyIdError:  # A key that came since.
                token = jwt.decode(
                    id_token, KeySet.import_key_set(await self._signing_keys(anew=True)), registry=registry
                )
            claims = CodeIDToken(token.claims, token.header, options, params)
            claims.validate(leeway=LEEWAY_S)
        except (errors.JoseError, ValueError, TypeError, KeyError) as error:
            log.warning("id token refused", why=type(error).__name__)
            raise _refused("token") from None
        if not isinstance(claims.get("sub"), str) or not 1 <= len(claims["sub"]) <= 255:
            raise _refused("token")
        return dict(claims)

    async def _discovered(self) -> dict[str, Any]:
        from authlib.oidc.discovery import OpenIDProviderMetadata

        if self._metadata_until_s > time.monotonic():
            return self._metadata
        issuer = self._settings.oidc_issuer
        found = await _exchange("GET", issuer.rstrip("/") + "/.well-known/openid-configuration", {}, b"")
        if found.get("issuer") != issuer:
            raise UpstreamFailed("the issuer calls itself by another name than oidc_issuer", code="oidc_issuer")
        metadata = OpenIDProviderMetadata(found)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _checked_url(str(metadata.get(name) or ""))
        self._metadata, self._metadata_until_s = dict(metadata), time.monotonic() + _METADATA_S
        return self._metadata

    async def _signing_keys(self, *, anew: bool = False) -> Any:
        now = time.monotonic()
        stale = not self._keys or now >= self._keys_until_s + (0 if anew else _METADATA_S)
        if stale:
            found = await _exchange("GET", (await self._discovered())["jwks_uri"], {}, b"")
            keys = found.get("keys")
            usable = [key for key in keys if _signs(key)] if isinstance(keys, list) else []
            self._keys, self._keys_until_s = {"keys": usable[:_KEYS_MAX]}, now + _KEYS_S
        return self._keys


def _check_rules(settings: Settings) -> None:
    """Raises InternalError for a setting that says no role, before anybody is sent away."""
    try:
        rules.mapping(settings.oidc_roles)
        if settings.oidc_auto_join:
            rules.grant(settings.oidc_auto_join)
    except ValueError as error:
        raise InternalError(f"oidc_roles or oidc_auto_join of this platform's settings: {error}") from None


def _signs(key: Any) -> bool:
    known = isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP")
    return known and key.get("use", "sig") == "sig" and "d" not in key


def _checked_url(url: str) -> str:
    """Encrypted, or not beyond this machine."""
    split = urlsplit(url)
    if split.scheme == "https" or (split.scheme == "http" and split.hostname in _LOOPBACK):
        return url
    raise UpstreamFailed("the issuer has an address that is not https", code="oidc_issuer")


async def _exchange(method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The JSON object that one request brings. Raises UpstreamFailed."""
    try:
        async with (
            asyncio.timeout(TOTAL_S),
            httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
            client.stream(
                method, _checked_url(url), headers={"accept": "application/json", **headers}, content=body
            ) as answer,
        ):
            read = bytearray()
            async for part in answer.aiter_bytes():
                read += part
                if len(read) > ANSWER_BYTES_MAX:
                    raise UpstreamFailed("the issuer says more than anybody reads", code="oidc_issuer")
        if answer.status_code != 200:
            log.warning("issuer refused", status=answer.status_code)
            raise UpstreamFailed(f"the issuer answered {answer.status_code}", code="oidc_issuer")
        return msgspec.json.decode(bytes(read), type=dict[str, Any])
    except (httpx.HTTPError, TimeoutError) as error:
        raise UpstreamFailed(f"the issuer does not answer: {type(error).__name__}", code="oidc_issuer") from None
    except msgspec.DecodeError:
        raise UpstreamFailed("the issuer answers with what is no JSON object", code="oidc_issuer") from None


def _refused(what: str) -> Forbidden:
    return Forbidden("the issuer's answer does not fit this sign-in; begin again", code="oidc_refused", param=what)
