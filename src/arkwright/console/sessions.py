"""Signing in and out: passwords checked, sessions begun, found and ended.

Law: an unknown login, a wrong password, a disabled person and one who is no operator are refused alike, after the same
work; a session's token is known to its browser only, and nothing here logs what was typed.
"""

import asyncio
import hashlib
import hmac
import secrets

import structlog

from arkwright.basics import secrets as passwords
from arkwright.basics.ids import secret_sha256
from arkwright.console.throttle import Throttle
from arkwright.console.viewer import Viewer
from arkwright.control.platform import Platform
from arkwright.store import changes, console_sessions, tenancy
from arkwright.store.console_sessions import Operator
from arkwright.store.database import Connection
from arkwright.store.tenancy import Person

LIFETIME_S = 12 * 3600
PASSWORD_LENGTH_MAX = 1_000
_CHECKS_AT_ONCE = 2  # Each takes 64 MiB for a moment.
_PURPOSE = b"arkwright console form"

log = structlog.get_logger("console")


class Sessions:
    """One per control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._throttle = Throttle()
        self._checking = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._nobody = ""  # A hash that no password fits: what an unknown login is checked against.

    def admit(self, login: str) -> int:
        """Zero, or how many seconds to wait before this login may be tried again."""
        wait_s = self._throttle.admit(login, asyncio.get_running_loop().time())
        if wait_s:
            log.warning("sign-in throttled", wait_s=wait_s)
        return wait_s

    async def begin(self, login: str, password: str, former_token: str) -> str | None:
        """The token of a new session, which ends the former one of that browser; None when refused."""
        async with self._platform.reading() as connection:
            person = await tenancy.person(connection, login)
        if not await self._is(person, password):
            log.warning("sign-in refused")
            return None
        assert person is not None
        self._throttle.forgive(login)
        token = secrets.token_urlsafe(32)
        async with self._platform.reading() as connection:
            if former_token:
                await console_sessions.delete(connection, secret_sha256(former_token))
            await console_sessions.insert(connection, secret_sha256(token), person.id, LIFETIME_S)
            await _note(connection, person.login, "console.sign_in")
        return token

    async def operator(self, token: str) -> Operator | None:
        if not token:
            return None
        async with self._platform.reading() as connection:
            return await console_sessions.operator(connection, secret_sha256(token))

    async def viewer(self, token: str) -> Viewer | None:
        """Who looks; None when nobody is signed in by this token."""
        operator = await self.operator(token)
        return Viewer(person_id=operator.id, login=operator.login, platform_role="operator") if operator else None

    async def end(self, token: str, *, everywhere: bool) -> None:
        """Revoke the session, or all of the same person's; does nothing for one that has ended."""
        digest = secret_sha256(token)
        async with self._platform.reading() as connection:
            operator = await console_sessions.operator(connection, digest)
            await console_sessions.delete(connection, digest)
            if operator is not None:
                if everywhere:
                    await console_sessions.delete_all_of(connection, operator.id)
                await _note(connection, operator.login, "console.sign_out" + ("_everywhere" if everywhere else ""))

    async def _is(self, person: Person | None, password: str) -> bool:
        async with self._checking:
            if not self._nobody:
                self._nobody = await asyncio.to_thread(passwords.hash_password, secrets.token_urlsafe(32))
            known = self._nobody if person is None else person.password_hash
            matches = await asyncio.to_thread(passwords.password_matches, known, password)
        return matches and person is not None and person.operator and not person.disabled


def new_form_secret() -> str:
    """What the form of a browser without a session is tied to."""
    return secrets.token_urlsafe(32)


def form_token(secret: str) -> str:
    """What a form must carry: only who was sent the cookie can have been shown this page."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def form_is_ours(secret: str, given: str) -> bool:
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), given.encode(errors="replace"))


async def _note(connection: Connection, login: str, action: str) -> None:
    await changes.record(
        connection, actor=f"person {login}", action=action, subject=f"person {login}", before=None, after=None
    )
