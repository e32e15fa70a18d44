"""Whoever is signed in, looked at as somebody in a role: what a page shows depends on who its viewer is."""

import msgspec
import pytest

from arkwright.console.sessions import Sessions
from arkwright.console.viewer import Membership, PlatformRole, Viewer
from arkwright.domain.tenancy import Role


def become(monkeypatch: pytest.MonkeyPatch, *memberships: tuple[str, Role], platform_role: PlatformRole = "") -> None:
    """From now on the session's person is this, and no longer what they were; a session that has ended stays so."""
    real = Sessions.viewer

    async def viewer(self: Sessions, token: str) -> Viewer | None:
        found = await real(self, token)
        member_of = tuple(Membership(name, name, role) for name, role in memberships)
        if found is None:
            return None
        return msgspec.structs.replace(found, platform_role=platform_role, memberships=member_of)

    monkeypatch.setattr(Sessions, "viewer", viewer)
