"""/usage and /organizations/{organization}/usage"""

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from arkwright.control import usage
from arkwright.control.routes.call import Call
from arkwright.control.usage import UsageReport

By = Annotated[
    str, QueryParameter(description="Comma-separated: organization, project, key, model, target; hour or day.")
]


@get("/usage")
async def get_usage(
    call: Call, by: By = "model", since: FromQuery[datetime | None] = None, until: FromQuery[datetime | None] = None
) -> UsageReport:
    """Of all organizations; hours that began from `since` to before `until`."""
    return await usage.report(call.platform, None, _dimensions(by), since, until)


@get("/organizations/{organization:str}/usage")
async def get_organization_usage(
    call: Call,
    organization: FromPath[str],
    by: By = "model",
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> UsageReport:
    """Of one organization; hours that began from `since` to before `until`."""
    return await usage.report(call.platform, organization, _dimensions(by), since, until)


def _dimensions(by: str) -> list[str]:
    return [part.strip() for part in by.split(",") if part.strip() and part.strip() != "total"]


ROUTES = [get_usage, get_organization_usage]
