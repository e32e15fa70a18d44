"""Signing in and out: passwords checked, sessions begun, found and ended; who a browser or a token is.

Law: an unknown login, a wrong password and a disabled person are refused alike, after the same work; a session's token
is known to its browser only, and nothing here logs what was typed.
"""

import asyncio
import hashlib
import hmac
import secrets

import structlog

from arkwright.basics import secrets as passwords
from arkwright.console.throttle import Allowance, Throttle
from arkwright.console.viewer import Viewer
from arkwright.control import console_sessions, people
from arkwright.control.console_sessions import LIFETIME_S as LIFETIME_S
from arkwright.control.people import PASSWORD_LENGTH_MAX as PASSWORD_LENGTH_MAX
from arkwright.control.platform import Platform
from arkwright.domain.people import Means, Membership
from arkwright.store.people import Holder, Person

_CHECKS_AT_ONCE = 2  # Each takes 64 MiB for a moment.
_KNOCKS = Allowance(burst=600, every_s=0.1)
_PURPOSE = b"arkwright console form"

log = structlog.get_logger("console")


class Sessions:
    """One per control process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._throttle = Throttle()
        self._knocks = Throttle(_KNOCKS, _KNOCKS)
        self._checking = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._nobody = ""  # A hash that no password fits: what an unknown login is checked against.

    def admit(self, name: str) -> int:
        """Zero, or how many seconds to wait before this login (invitation, …) may be tried again."""
        wait_s = self._throttle.admit(name, asyncio.get_running_loop().time())
        if wait_s:
            log.warning("sign-in throttled", wait_s=wait_s)
        return wait_s

    def admit_knock(self) -> int:
        """The same for whoever comes to a door without trying anything yet: bounds what a flood of them costs."""
        return self._knocks.admit("", asyncio.get_running_loop().time())

    async def known(self, login: str, password: str) -> Person | None:
        """Who has this login and this password, and may come in; None when refused."""
        async with self._platform.reading() as connection:
            person = await people.find(connection, login)
        if not await self._is(person, password):
            log.warning("sign-in refused")
            return None
        self._throttle.forgive(login)
        return person

    async def begin(self, person: Person, means: Means, user_agent: str, former_token: str) -> str:
        """The token of a new session, which ends the former one of that browser."""
        async with self._platform.reading() as connection:
            session = self._platform.session(connection, f"person {person.login}")
            return await console_sessions.begin(session, person, means, user_agent, former_token)

    async def viewer(self, token: str) -> Viewer | None:
        """Who looks; None when nobody is signed in by this token."""
        if not token:
            return None
        async with self._platform.reading() as connection:
            found = await console_sessions.holder(connection, token)
        return _viewer(*found, session_id=found[0].by_id) if found else None

    async def bearer(self, token: str) -> Viewer | None:
        """Who reads by this personal token; None when it is none that works."""
        async with self._platform.reading() as connection:
            found = await console_sessions.bearer(connection, token)
        return _viewer(*found) if found else None

    async def end(self, token: str, *, everywhere: bool) -> None:
        """Revoke the session, or all of the same person's; does nothing for one that has ended."""
        async with self._platform.reading() as connection:
            await console_sessions.end(self._platform.session(connection, ""), token, everywhere=everywhere)

    async def _is(self, person: Person | None, password: str) -> bool:
        async with self._checking:
            if not self._nobody:
                self._nobody = await asyncio.to_thread(passwords.hash_password, secrets.token_urlsafe(32))
            known = (person.password_hash if person else "") or self._nobody
            matches = await asyncio.to_thread(passwords.password_matches, known, password)
        return matches and person is not None and not person.disabled


def new_form_secret() -> str:
    """What the form of a browser without a session is tied to."""
    return secrets.token_urlsafe(32)


def form_token(secret: str) -> str:
    """What a form must carry: only who was sent the cookie can have been shown this page."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def form_is_ours(secret: str, given: str) -> bool:
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), given.encode(errors="replace"))


def _viewer(holder: Holder, memberships: tuple[Membership, ...], session_id: str = "") -> Viewer:
    return Viewer(
        person_id=holder.id,
        login=holder.login,
        platform_role=holder.platform_role,
        memberships=memberships,
        locale=holder.locale,
        theme=holder.theme,
        session_id=session_id,
    )
