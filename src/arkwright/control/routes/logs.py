"""/logs: what the processes of this host wrote."""

from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter

from arkwright.control import logs
from arkwright.control.logs import PAGE_BYTES, LogFile, LogPage
from arkwright.control.routes.call import Call

From = Annotated[
    int | None, QueryParameter(name="from", description="`next` of the page before; default: the end of it.", ge=0)
]
Most = Annotated[int, QueryParameter(description="Bytes to read at most.", ge=1, le=PAGE_BYTES)]


@get("/logs")
async def list_logs(call: Call) -> list[LogFile]:
    return await logs.listing(call.platform.settings)


@get("/logs/{name:str}")
async def get_log(call: Call, name: FromPath[str], after: From = None, most: Most = PAGE_BYTES) -> LogPage:
    """Whole lines; what looks like a secret is hidden."""
    return await logs.page(call.platform.settings, name, after, most)


ROUTES = [list_logs, get_log]
