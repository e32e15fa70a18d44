"""The audit trail: who changed what, from what, to what; of the platform, or of one organization.

Law: an organization's people see what was changed of their organization, and nothing else; secrets are in no change.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.basics.errors import InvalidInput
from arkwright.console.listing import Column, Listing
from arkwright.console.look import LIMIT, Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import changes
from arkwright.store.changes import ChangeRow, Sought

SCREEN = Screen(name="audit", path="/audit", title=_("Audit trail"), group="people", right="see_audit")
COLUMNS = (
    Column("id", _("ID"), "count"),
    Column("at", _("At"), "moment"),
    Column("actor", _("Who")),
    Column("action", _("Action")),
    Column("subject", _("What")),
    Column("before", _("Before")),
    Column("after", _("After")),
)
_SHOWN_MAX = 2_000  # Of one value; the file has all of it.


class Field(msgspec.Struct, frozen=True):
    """One that changed, as texts; empty: it was not there."""

    name: str
    old: str
    new: str


class Shown(msgspec.Struct, frozen=True):
    row: ChangeRow
    fields: list[Field]


@get("/audit")
async def trail(look: NamedDependency[Look]) -> Response[Any]:
    scope = await look.scope("see_audit")
    query = look.query
    sought = Sought(
        organization_id=scope.organization_id,
        actor=query.get("actor") or None,
        action=query.get("action") or None,
        subject=query.get("subject") or None,
        since=_day(query.get("since", ""), "since"),
        until=_after(_day(query.get("until", ""), "until")),
        before=_number(query.get("after", "")),
    )
    async with look.platform.reading() as connection:
        page = await changes.search(connection, sought, None, LIMIT)
    after = str(page.data[-1].id) if page.has_more else ""
    listing = Listing(name="audit", columns=COLUMNS, rows=[_plain(row) for row in page.data], after=after)
    return look.listing(
        "audit.html",
        listing,
        changes=[Shown(row, differences(row)) for row in page.data],
        after=after,
        since=query.get("since", ""),
        until=query.get("until", ""),
    )


def differences(row: ChangeRow) -> list[Field]:
    """The fields that differ, in the order they were written."""
    before, after = row.before or {}, row.after or {}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [Field(name, _text(before.get(name)), _text(after.get(name))) for name in names]


def _text(value: Any) -> str:
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"


def _plain(row: ChangeRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "before": "" if row.before is None else json.dumps(row.before, ensure_ascii=False),
        "after": "" if row.after is None else json.dumps(row.after, ensure_ascii=False),
    }


def _day(text: str, name: str) -> datetime | None:
    """Midnight of a day in UTC."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"{name} is a day, such as 2026-11-23", param=name) from None


def _after(day: datetime | None) -> datetime | None:
    """The day itself is meant, too."""
    return None if day is None else day + timedelta(days=1)


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0


ROUTES = [trail]
