"""Signing in and out.

Law: no POST does anything before its form has shown the token that belongs to the browser's cookie.
"""

from collections.abc import Sequence
from typing import Literal

from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from arkwright.basics.errors import ArkwrightError, Forbidden
from arkwright.console import rendering, visits
from arkwright.console.console import Console
from arkwright.console.pages import preferences
from arkwright.console.sessions import PASSWORD_LENGTH_MAX, form_is_ours, form_token, new_form_secret
from arkwright.console.visits import FORM_COOKIE, SESSION_COOKIE, Visit

LOGIN_LENGTH_MAX = 254
Complaint = Literal["", "refused", "throttled", "form", "issuer"]
_STATUS: dict[Complaint, int] = {"": 200, "refused": 401, "throttled": 429, "form": 403, "issuer": 403}


@post("/sign-in")
async def sign_in(request: Visit, console: NamedDependency[Console]) -> Response[str]:
    fields = await visits.form(request)
    if visits.from_elsewhere(request) or not form_is_ours(visits.form_secret(request), fields.get("token", "")):
        return show(request, "form", fields.get("login", ""), back=fields.get("back", ""))
    login, password = fields.get("login", ""), fields.get("password", "")
    wait_s = console.sessions.admit(login)
    if wait_s:
        return show(request, "throttled", login, wait_s, back=fields.get("back", ""))
    if len(login) > LOGIN_LENGTH_MAX or len(password) > PASSWORD_LENGTH_MAX:
        return show(request, "refused", "")
    person = await console.sessions.known(login, password)
    if person is None:
        return show(request, "refused", login, back=fields.get("back", ""))
    agent = request.headers.get("user-agent", "")
    token = await console.sessions.begin(person, "password", agent, visits.session_token(request))
    cookies = [visits.session_cookie(request, token), visits.forget(request, FORM_COOKIE)]
    return rendering.redirect(preferences.below_console(fields.get("back", "")), cookies)


@post("/sign-out")
async def sign_out(request: Visit, console: NamedDependency[Console]) -> Response[str]:
    fields = await visits.form(request)
    token = visits.session_token(request)
    if visits.from_elsewhere(request) or not form_is_ours(token, fields.get("token", "")):
        raise Forbidden("this form was not made for this session")
    await console.sessions.end(token, everywhere=bool(fields.get("everywhere")))
    return rendering.redirect(rendering.PATH, [visits.forget(request, SESSION_COOKIE)])


def show(
    request: Visit,
    complaint: Complaint = "",
    login: str = "",
    wait_s: int = 0,
    back: str = "",
    *,
    error: ArkwrightError | None = None,
    cookies: Sequence[Cookie] = (),
) -> Response[str]:
    """The sign-in page, with what was wrong. `login` is given back, so that only the password is typed again."""
    secret = visits.form_secret(request) or new_form_secret()
    return rendering.page(
        "sign_in.html",
        locale=visits.locale(request),
        theme=visits.theme(request),
        back=preferences.below_console(back or _address(request)),
        status=error.status if error else _STATUS[complaint],
        cookies=[visits.form_cookie(request, secret), *cookies],
        headers={"retry-after": str(wait_s)} if wait_s else None,
        token=form_token(secret),
        complaint=complaint,
        reason=error.message if error else "",
        issuer=visits.issuer(request),
        wait_s=wait_s,
        login=login[:LOGIN_LENGTH_MAX],
    )


def _address(request: Visit) -> str:
    """Of the page that was asked for, which the visitor goes on to; a form's is no page."""
    if request.method != "GET":
        return ""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


ROUTES = [sign_in, sign_out]
