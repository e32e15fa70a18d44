"""Accepting an invitation: somebody new, or somebody who is known here, by the link that they were given.

Law: a link that lets nobody in is not there (404), whatever it was; a refused form leaves the invitation open.
"""

from typing import Any

import psycopg
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from arkwright.basics.errors import ArkwrightError, Conflict, Forbidden, NotFound, Unauthenticated
from arkwright.basics.ids import secret_sha256
from arkwright.console import rendering, visits
from arkwright.console.console import Console
from arkwright.console.role_words import ROLES
from arkwright.console.sessions import form_is_ours, form_token, new_form_secret
from arkwright.console.viewer import Viewer
from arkwright.console.visits import FORM_COOKIE, Form, Visit
from arkwright.control import invitations, people
from arkwright.control.invitations import Welcome
from arkwright.domain.people import Means
from arkwright.store.people import Person

LOGIN_LENGTH_MAX = 120


@get("/invitations/{invitation:str}")
async def invited(request: Visit, console: NamedDependency[Console], invitation: FromPath[str]) -> Response[Any]:
    return await _show(request, console, invitation)


@post("/invitations/{invitation:str}", status_code=200)
async def accept(request: Visit, console: NamedDependency[Console], invitation: FromPath[str]) -> Response[Any]:
    fields = await visits.form(request)
    try:
        _check(request, fields)
        person, means = await _join(request, console, invitation, fields)
    except NotFound:
        raise
    except ArkwrightError as error:
        return await _show(request, console, invitation, fields, error)
    agent = request.headers.get("user-agent", "")
    token = await console.sessions.begin(person, means, agent, visits.session_token(request))
    cookies = [visits.session_cookie(request, token), visits.forget(request, FORM_COOKIE)]
    return rendering.redirect(rendering.PATH, cookies)


def _check(request: Visit, fields: Form) -> None:
    """The form was made for this browser, whether or not somebody is signed in there."""
    secret = visits.form_secret(request)
    if visits.from_elsewhere(request) or not form_is_ours(secret, fields.get("token", "")):
        raise Forbidden("this form had gone stale, or your browser keeps no cookies for this site; try again")


async def _join(request: Visit, console: Console, token: str, fields: Form) -> tuple[Person, Means]:
    chosen, login, password = fields.get("as", "new"), fields.get("login", ""), fields.get("password", "")
    platform, digest = console.platform, secret_sha256(token[:200])
    if console.sessions.admit(f"invitation {digest.hex()}") or (chosen != "me" and console.sessions.admit(login)):
        raise Forbidden("too many attempts; try again later")
    known = await _known(request, console, chosen, login, password)
    try:
        async with platform.changing("invitation") as session:
            if known is not None:
                return await invitations.accept(session, digest, known), "password"
            if chosen != "new" or not login:
                raise Unauthenticated("login or password is wrong")
            checked = people.checked_password(password)
            return await invitations.accept_as_new(session, digest, login, checked), "invitation"
    except psycopg.errors.UniqueViolation:
        raise Conflict("this login is taken; choose another one") from None


async def _known(request: Visit, console: Console, chosen: str, login: str, password: str) -> Person | None:
    """Who says that they are known, and is."""
    if chosen == "me":
        viewer = await _viewer(request, console)
        if viewer is None:
            return None
        async with console.platform.reading() as connection:
            return await people.get(connection, viewer.login)
    return await console.sessions.known(login, password) if chosen == "known" else None


async def _viewer(request: Visit, console: Console) -> Viewer | None:
    return await console.sessions.viewer(visits.session_token(request))


async def _show(
    request: Visit, console: Console, token: str, fields: Form | None = None, error: ArkwrightError | None = None
) -> Response[Any]:
    if console.sessions.admit_knock():
        raise Forbidden("too many attempts; try again later")
    async with console.platform.reading() as connection:
        welcome: Welcome = await invitations.welcome(connection, secret_sha256(token[:200]))
    secret = visits.form_secret(request) or new_form_secret()
    viewer = await _viewer(request, console)
    return rendering.page(
        "invitation.html",
        locale=visits.locale(request, viewer.locale if viewer else None),
        theme=visits.theme(request, viewer.theme if viewer else None),
        status=error.status if error else 200,
        cookies=[visits.form_cookie(request, secret)],
        token=form_token(secret),
        welcome=welcome,
        viewer=viewer,
        invitation=token,
        here=f"{rendering.PATH}/invitations/{token}",
        issuer=visits.issuer(request),
        complaint=error.message if error else "",
        chosen=fields.get("as", "") if fields else "",
        login=fields.get("login", "")[:LOGIN_LENGTH_MAX] if fields else "",
        role_words=ROLES,
    )


ROUTES = [invited, accept]
