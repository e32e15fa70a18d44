"""What every page is given: who looks, at whose things, and the ways to answer.

Law: nobody who is not signed in gets here; a page asks for a right before it reads, a form's handler before it changes,
and another tenant's thing is not there (404), whoever asks for it.
"""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from arkwright.basics.errors import Forbidden, NotFound
from arkwright.console import periods, rendering, rights, visits
from arkwright.console.console import Console
from arkwright.console.listing import Listing
from arkwright.console.rights import Right
from arkwright.console.screen import GROUPS, Screen
from arkwright.console.sessions import form_is_ours, form_token
from arkwright.console.viewer import Locale, Theme, Viewer
from arkwright.console.visits import Form, Visit
from arkwright.console.words import translations
from arkwright.control import organizations
from arkwright.control.platform import Platform
from arkwright.control.session import Session
from arkwright.reports.report import Span
from arkwright.store.tenancy import Organization

LIMIT = 50
_QUERY_FIELDS_MAX = 40
_QUERY_LENGTH_MAX = 2_000
_FILES = {"csv": "text/csv", "json": "application/json"}


class Scope(msgspec.Struct, frozen=True):
    """Whose things a page shows; `organization` None: everybody's, which only the platform's own people see."""

    organization: Organization | None

    @property
    def organization_id(self) -> str | None:
        return None if self.organization is None else self.organization.id

    @property
    def name(self) -> str:
        return "" if self.organization is None else self.organization.name


class Look:
    """One visit of a person who is signed in."""

    def __init__(self, console: Console, request: Visit, viewer: Viewer, token: str) -> None:
        self.console = console
        self.platform: Platform = console.platform
        self.request = request
        self.viewer = viewer
        self.at = datetime.now(UTC)
        self.query = _query(request)
        self.locale: Locale = visits.locale(request, viewer.locale)
        self.theme: Theme = visits.theme(request, viewer.theme)
        self._token = token
        self._scope: Scope | None = None

    # Whose things, and what this person may do.

    async def scope(self, right: Right) -> Scope:
        """By `?organization=` (id or name); without it everything, or the first organization that the person has this
        right in. Raises NotFound for another's, Forbidden where the role has not the right.
        """
        reference = self.query.get("organization", "")
        if rights.on_platform(self.viewer, right):
            self._scope = Scope(await self._organization(reference) if reference else None)
            return self._scope
        members = self.viewer.memberships
        if reference and self.viewer.membership(reference) is None:
            raise NotFound(f"there is no organization {reference[:200]!r}", param="organization")
        mine = [each for each in members if not reference or reference in (each.organization_id, each.name)]
        allowed = [each for each in mine if rights.within(self.viewer, right, each.organization_id)]
        if not allowed:
            raise Forbidden("your role has no access to this page")
        self._scope = Scope(await self._organization(allowed[0].organization_id))
        return self._scope

    def require(self, right: Right, organization_id: str = "") -> None:
        """Over the platform, or within one organization. Raises Forbidden."""
        if not self.may(right, organization_id):
            raise Forbidden("your role has no access to this")

    def may(self, right: Right, organization_id: str = "") -> bool:
        if organization_id:
            return rights.within(self.viewer, right, organization_id)
        return rights.on_platform(self.viewer, right)

    async def _organization(self, reference: str) -> Organization:
        async with self.platform.reading() as connection:
            return await organizations.get(connection, reference)

    # What was asked.

    def period(self, default: str = periods.DEFAULT) -> Span:
        """Of `?period=`. Raises InvalidInput."""
        return periods.named(self.query.get("period", default), self.at)

    async def form(self) -> Form:
        """What was posted, once it is known to come from a form of ours in this session. Raises Forbidden."""
        fields = await visits.form(self.request)
        given = fields.get("token", "") or self.request.headers.get("x-form-token", "")
        if visits.from_elsewhere(self.request) or not form_is_ours(self._token, given):
            raise Forbidden("this form was not made for this session")
        return fields

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Session]:
        """One audited transaction of this person; the data plane knows of it when it ends."""
        async with self.platform.changing(self.actor) as session:
            yield session

    @property
    def actor(self) -> str:
        return f"person {self.viewer.login}"

    # Answers.

    def say(self, text: str, **values: object) -> str:
        """A text in the person's language, for messages made in Python."""
        told = translations(self.locale).gettext(text)
        return told % values if values else told

    def page(
        self, template: str, *, status: int = 200, cookies: tuple[Cookie, ...] = (), **values: Any
    ) -> Response[str]:
        told, forgotten = visits.told(self.request)
        return rendering.page(
            template,
            locale=self.locale,
            status=status,
            cookies=(*cookies, *forgotten),
            look=self,
            theme=self.theme,
            menu=self.menu(),
            told=told,
            token=form_token(self._token),
            **values,
        )

    def fragment(self, template: str, **values: Any) -> Response[str]:
        """A part of a page, for a poll; what was to be told once waits for the next whole page."""
        return rendering.page(template, locale=self.locale, look=self, token=form_token(self._token), **values)

    def listing(self, template: str, listing: Listing, **values: Any) -> Response[Any]:
        """The page, or with `?as=csv`, `?as=json` its rows as a file."""
        form = self.query.get("as", "")
        if form in _FILES:
            content = listing.as_csv() if form == "csv" else listing.as_json()
            return rendering.file(content, _FILES[form], f"{listing.name}.csv" if form == "csv" else "")
        return self.page(template, listing=listing, **values)

    def redirect(self, path: str, told: str = "") -> Response[str]:
        """To a path below /console. `told`: shown once, on the page that comes."""
        return rendering.redirect(rendering.PATH + path, [visits.tell(self.request, told)] if told else [])

    # Addresses.

    def url(self, path: str | None = None, **changed: object) -> str:
        """This page's address with some of its query changed (None or empty: left out); or another page's, which keeps
        whose things are looked at.
        """
        kept = dict(self.query) if path is None else {}
        if path is not None and self._scope is not None and self._carried():
            kept["organization"] = self._scope.name
        kept |= {name: "" if value is None else str(value) for name, value in changed.items()}
        query = urlencode({name: value for name, value in kept.items() if value})
        where = self.request.url.path if path is None else rendering.PATH + (path if path != "/" else "")
        return f"{where}?{query}" if query else where

    def curl(self) -> str:
        """This page's rows from a shell."""
        origin = visits.origin(self.request, self.platform.settings)
        address = shlex.quote(origin + self.url(**{"as": "json"}))
        return f'curl -H "Authorization: Bearer $ARKWRIGHT_TOKEN" {address}'

    @property
    def base_url(self) -> str:
        return visits.origin(self.request, self.platform.settings)

    def menu(self) -> list[tuple[str, list[Screen]]]:
        """The screens that this person has, by group."""
        mine = [screen for screen in self.console.screens if rights.anywhere(self.viewer, screen.right)]
        grouped = [(title, [each for each in mine if each.group == group]) for group, title in GROUPS.items()]
        return [(title, screens) for title, screens in grouped if screens]

    def first_screen(self) -> str:
        """Where somebody begins who does not see the whole platform."""
        return next((screens[0].path for _title, screens in self.menu() if screens), "/account")

    def here(self, screen: Screen) -> bool:
        path = self.request.url.path.removeprefix(rendering.PATH).rstrip("/")
        own = screen.path.rstrip("/")
        return path == own or (own != "" and path.startswith(own + "/"))

    def organization_name(self) -> str:
        return "" if self._scope is None else self._scope.name

    def _carried(self) -> bool:
        """Whether a link has to say whose things are meant: not where there is only one answer."""
        assert self._scope is not None
        return self._scope.organization is not None and (
            self.viewer.platform_role != "" or len(self.viewer.memberships) > 1
        )


async def look(request: Visit, console: NamedDependency[Console]) -> Look:
    """Raises SignInNeeded."""
    token, viewer = await visits.viewer(request, console.sessions)
    return Look(console, request, viewer, token)


def _query(request: Visit) -> dict[str, str]:
    """The first of each name; bounded, without what no address of ours has."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if len(found) < _QUERY_FIELDS_MAX and len(value) <= _QUERY_LENGTH_MAX and "\0" not in value:
            found.setdefault(name, value)
    return found
