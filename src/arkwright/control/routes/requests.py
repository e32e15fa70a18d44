"""/requests: every admitted one, those that failed among them."""

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from arkwright.control import requests
from arkwright.control.requests import Filters, Histogram, RequestPage, RequestView, Status
from arkwright.control.routes.call import LIMIT, After, Call, Limit

Endpoint = Annotated[str, QueryParameter(description="`chat.completions` and the like, or an `ep-…`.", max_length=200)]
Longer = Annotated[int, QueryParameter(description="Only those that took at least so long.", ge=0)]


async def asked(
    organization: FromQuery[str] = "",
    project: FromQuery[str] = "",
    key: FromQuery[str] = "",
    model: FromQuery[str] = "",
    endpoint: Endpoint = "",
    target: FromQuery[str] = "",
    status: FromQuery[Status] = "",
    finish: FromQuery[str] = "",
    streamed: FromQuery[bool | None] = None,
    longer_than_ms: Longer = 0,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
) -> Filters:
    """`key` and `project`: their ids."""
    return Filters(
        organization=organization, project=project, key=key, model=model, endpoint=endpoint, target=target,
        status=status, finish=finish, streamed=streamed, longer_than_ms=longer_than_ms, since=since, until=until,
    )  # fmt: skip


Wanted = NamedDependency[Filters]
_ASKED = {"filters": Provide(asked)}


@get("/requests", dependencies=_ASKED)
async def list_requests(call: Call, filters: Wanted, after: After = "", limit: Limit = LIMIT) -> RequestPage:
    """Newest first."""
    return await requests.listing(call.platform, filters, after=after, limit=limit)


@get("/requests/histogram", dependencies=_ASKED)
async def get_request_histogram(call: Call, filters: Wanted) -> Histogram:
    """How many there were, and how many failed, over the period (by default a day)."""
    return await requests.histogram(call.platform, filters)


@get("/requests/{request_id:str}")
async def get_request(call: Call, request_id: FromPath[str]) -> RequestView:
    """By the `x-request-id` of its answer: where its time went, what was tried, what it cost or why it failed."""
    return await requests.get(call.platform, request_id)


ROUTES = [list_requests, get_request_histogram, get_request]
