"""One's own account: roles, language, password, sessions and personal tokens.

Law: everything here is the signed-in person's own; a token, which only reads, changes nothing of it.
"""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.console.look import Look
from arkwright.console.role_words import MEANS, ROLES
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import console_sessions, people, personal_tokens
from arkwright.control.personal_tokens import TokenSpec

SCREEN = Screen(name="account", path="/account", title=_("Account"), group="people", right="see_account")
OTHERS = "others"


@get("/account")
async def account(look: NamedDependency[Look]) -> Response[Any]:
    return await _show(look)


@post("/account/password")
async def change_password(look: NamedDependency[Look]) -> Response[Any]:
    form = await look.form()
    wait_s = look.console.sessions.admit(look.viewer.login)
    if wait_s:
        return await _show(look, complaint=f"too many attempts; try again in {wait_s} s", status=429)
    try:
        async with look.changing() as session:
            await people.change_password(
                session,
                look.viewer.login,
                form.get("former", ""),
                form.get("wanted", ""),
                kept_session=look.viewer.session_id,
            )
    except ArkwrightError as error:
        return await _show(look, complaint=error.message, status=error.status)
    return look.redirect("/account", look.say(_("The password is changed.")))


@post("/account/sessions")
async def end_session(look: NamedDependency[Look]) -> Response[Any]:
    wanted = (await look.form()).get("session", "")
    async with look.changing() as session:
        person = await people.get(session.connection, look.viewer.login)
        if wanted == OTHERS:
            await console_sessions.revoke_all(session, person, kept=look.viewer.session_id)
        else:
            await console_sessions.revoke(session, person, wanted)
    return look.redirect("/account", look.say(_("Signed out there.")))


@post("/account/tokens", status_code=200)
async def create_token(look: NamedDependency[Look]) -> Response[Any]:
    form = await look.form()
    try:
        async with look.changing() as session:
            person = await people.get(session.connection, look.viewer.login)
            change = await personal_tokens.create(session, person, token_spec(form))
    except InvalidInput as error:
        return await _show(look, complaint=error.message, status=error.status)
    return await _show(look, secret=change.secret or "")


@post("/account/tokens/revoke")
async def revoke_token(look: NamedDependency[Look]) -> Response[Any]:
    wanted = (await look.form()).get("id", "")
    async with look.changing() as session:
        await personal_tokens.revoke(session, await people.get(session.connection, look.viewer.login), wanted)
    return look.redirect("/account", look.say(_("The token is revoked.")))


def token_spec(form: Any) -> TokenSpec:
    """Raises InvalidInput."""
    days = form.get("days", "")
    if not days.isdigit() or len(days) > 4:
        raise InvalidInput("days is a whole number", param="days")
    return TokenSpec(name=form.get("name", "").strip(), days=int(days))


async def _show(look: Look, *, complaint: str = "", secret: str = "", status: int = 200) -> Response[Any]:
    async with look.platform.reading() as connection:
        person = await people.get(connection, look.viewer.login)
        sessions = await console_sessions.listing(connection, person)
        tokens = await personal_tokens.listing(connection, person, "", personal_tokens.TOKENS_MAX)
    return look.page(
        "account.html",
        status=status,
        complaint=complaint,
        secret=secret,
        has_password=person.password_hash != "",
        sessions=sessions,
        tokens=tokens.data,
        forms=look.url("/account"),
        may_change=True,
        role_words=ROLES,
        means_words=MEANS,
    )


ROUTES = [account, change_password, end_session, create_token, revoke_token]
