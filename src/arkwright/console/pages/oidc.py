"""Signing in by an issuer's account: there, and back.

Law: who comes back is taken for whom the issuer says only in the browser that was sent there, once, and by what was
sent along; nothing of it is shown or logged.
"""

import psycopg
from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from arkwright.basics.errors import ArkwrightError, Conflict, LimitExceeded, NotFound
from arkwright.console import rendering, visits
from arkwright.console.console import Console
from arkwright.console.pages import sign_in
from arkwright.console.visits import Visit
from arkwright.control import sign_in as control

OIDC_COOKIE = "arkwright_oidc"
CALLBACK = f"{rendering.PATH}/sign-in/oidc/callback"
_TOLD_MAX = 4_000


@get("/sign-in/oidc")
async def depart(request: Visit, console: NamedDependency[Console]) -> Response[str]:
    """To the issuer; with an invitation, if there is one."""
    if not console.issuer.configured:
        raise NotFound("there is no issuer to sign in by")
    invitation = request.query_params.get("invitation", "")[:200]
    try:
        _admit(console.sessions.admit_knock())
        back = visits.origin(request, console.platform.settings) + CALLBACK
        address, attempt = await console.issuer.departure(back)
    except ArkwrightError as error:
        return sign_in.show(request, "issuer", error=error)
    async with console.platform.reading() as connection:
        secret = await control.depart(connection, attempt, invitation)
    return rendering.elsewhere(address, [_cookie(request, secret, control.ATTEMPT_S)])


@get("/sign-in/oidc/callback")
async def arrive(request: Visit, console: NamedDependency[Console]) -> Response[str]:
    """Back from the issuer. The session's cookie is for this site's own pages only, so that one leads on."""
    if not console.issuer.configured:
        raise NotFound("there is no issuer to sign in by")
    secret = visits.kept(request, OIDC_COOKIE)
    try:
        _admit(console.sessions.admit(f"oidc {secret}"))
        token = await _session(request, console, secret)
    except ArkwrightError as error:
        return sign_in.show(request, "issuer", error=error, cookies=[_cookie(request, "", 0)])
    cookies = [visits.session_cookie(request, token), _cookie(request, "", 0)]
    return rendering.page(
        "signed_in.html",
        locale=visits.locale(request),
        theme=visits.theme(request),
        headers={"refresh": f"0;url={rendering.PATH}"},
        cookies=cookies,
    )


async def _session(request: Visit, console: Console, secret: str) -> str:
    """A session's token. Raises what there is to say."""
    platform = console.platform
    async with platform.reading() as connection:  # Of its own: what was taken stays taken, whatever comes of it.
        attempt = await control.recall(connection, secret)
    told = {name: value[:_TOLD_MAX] for name, value in request.query_params.items()}
    claims = await console.issuer.arrival(attempt, told)
    try:
        async with platform.reading() as connection:  # The data plane has nothing to learn of it.
            session = platform.session(connection, "oidc")
            person = await control.by_issuer(session, platform.settings, claims, attempt.invitation_sha256)
    except psycopg.errors.UniqueViolation:
        raise Conflict("this account came in twice at the same moment; begin again") from None
    agent = request.headers.get("user-agent", "")
    return await console.sessions.begin(person, "oidc", agent, visits.session_token(request))


def _admit(wait_s: int) -> None:
    if wait_s:
        raise LimitExceeded("too many attempts; try again later", retry_after_s=wait_s)


def _cookie(request: Visit, value: str, max_age_s: int) -> Cookie:
    """Lax: it has to come along when the issuer sends the browser back. It opens nothing by itself."""
    made = visits.cookie(request, OIDC_COOKIE, value, max_age_s)
    made.samesite = "lax"
    return made


ROUTES = [depart, arrive]
