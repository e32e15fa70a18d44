"""/exports: the feed of charges as files, streamed."""

from datetime import datetime

from litestar import get
from litestar.params import FromQuery
from litestar.response import Stream

from arkwright.control import exports, focus
from arkwright.control.exports import Day
from arkwright.control.routes.call import Call

LINES = "application/x-ndjson"


@get("/exports/days")
async def list_days(
    call: Call, since: FromQuery[datetime | None] = None, until: FromQuery[datetime | None] = None
) -> list[Day]:
    """The UTC days on which events took their places in the feed, oldest first."""
    return await exports.days(call.platform, since, until)


@get("/exports/events", media_type=LINES)
async def export_events(
    call: Call,
    organization: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Stream:
    """Events placed from `since` to before `until`, one JSON document a line; amounts are whole numbers of pico.

    The last line is `{"end": …}` with how many there are and their sums. Without it, the answer was cut.
    """
    asked = await exports.period(call.platform, organization, since, until)
    return Stream(exports.told(exports.lines(call.platform, asked)), media_type=LINES)


@get("/exports/focus", media_type="text/csv")
async def export_focus(
    call: Call,
    organization: FromQuery[str | None] = None,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Stream:
    """Cost and usage by FOCUS 1.2 as CSV: one row for each line of the charges placed in the period."""
    asked = await exports.period(call.platform, organization, since, until)
    return Stream(exports.told(focus.lines(call.platform, asked)), media_type="text/csv; charset=utf-8")


ROUTES = [list_days, export_events, export_focus]
