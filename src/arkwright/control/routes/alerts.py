"""/alerts, and /forecast"""

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from arkwright.control import alert_sender, alerts, forecast, organizations
from arkwright.control.alert_sender import Outcome
from arkwright.control.alerts import AlertFields, AlertSpec, AlertView
from arkwright.control.forecast import ForecastView
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.store.alerts import Told

_Organization = Annotated[str | None, QueryParameter(description="Name or id; default: all, or of the platform.")]


@get("/forecast")
async def get_forecast(call: Call, organization: _Organization = None) -> list[ForecastView]:
    """What this month will come to, of an organization or (by currency) of the platform, and by which method."""
    return await forecast.report(call.platform, organization)


@get("/alerts")
async def list_alerts(
    call: Call, organization: _Organization = None, after: After = "", limit: Limit = LIMIT
) -> Page[AlertView]:
    """Those of an organization, or all."""
    async with call.reading() as connection:
        owner = None if organization is None else await organizations.get(connection, organization)
        return await alerts.listing(connection, owner, after, limit, every=owner is None)


@post("/alerts")
async def create_alert(call: Call, data: JSONBody[AlertSpec]) -> AlertView:
    """A webhook's `secret` is in this answer and in no other."""
    async with call.changing() as session:
        named = data.organization
        owner = None if named is None else await organizations.get(session.connection, named)
        change = await alerts.create(session, call.platform.settings, owner, data)
        return alerts.shown(await alerts.get(session.connection, change.id, None, every=True), change.secret)


@get("/alerts/{alert:str}")
async def get_alert(call: Call, alert: FromPath[str]) -> AlertView:
    """By id."""
    async with call.reading() as connection:
        return alerts.shown(await alerts.get(connection, alert, None, every=True))


@patch("/alerts/{alert:str}")
async def update_alert(call: Call, alert: FromPath[str], data: JSONBody[AlertFields]) -> AlertView:
    """With another threshold it stands as if nothing had been told."""
    async with call.changing() as session:
        before = await alerts.get(session.connection, alert, None, every=True)
        change = await alerts.update(session, call.platform.settings, before, data)
        return alerts.shown(await alerts.get(session.connection, before.id, None, every=True), change.secret)


@delete("/alerts/{alert:str}")
async def delete_alert(call: Call, alert: FromPath[str]) -> None:
    async with call.changing() as session:
        await alerts.delete(session, await alerts.get(session.connection, alert, None, every=True))


@post("/alerts/{alert:str}/test", status_code=200)
async def test_alert(call: Call, alert: FromPath[str]) -> list[Outcome]:
    """Send a message that says it is a test to each receiver, now."""
    async with call.reading() as connection:
        found = await alerts.get(connection, alert, None, every=True)
    return await alert_sender.test(call.platform, found)


@get("/alerts/{alert:str}/messages")
async def list_messages(call: Call, alert: FromPath[str], limit: Limit = LIMIT) -> list[Told]:
    """What its crossings told, newest first."""
    async with call.reading() as connection:
        return await alerts.messages(connection, await alerts.get(connection, alert, None, every=True), limit)


ROUTES = [
    get_forecast, list_alerts, create_alert, get_alert, update_alert, delete_alert, test_alert, list_messages,
]  # fmt: skip
