"""/audit: that what was served, charged and booked is one and the same."""

from litestar import get, post

from arkwright.control import audit, checks
from arkwright.control.audit import Report
from arkwright.control.routes.call import Call
from arkwright.store import checks as store
from arkwright.store.checks import Kept


@post("/audit/verify", status_code=200)
async def verify(call: Call) -> Report:
    """Read every journal and the whole ledger; may take minutes. `ok` is false when anything does not agree."""
    platform = call.platform
    paths = platform.settings.paths
    host = paths.host_id.read_text().strip()
    return await audit.verify(platform.database, paths.journal, host=host, settler=platform.settler)


@post("/audit/check", status_code=200)
async def check(call: Call) -> Report:
    """Check the books without the journals, and keep what was found; may take minutes."""
    return await checks.check(call.platform)


@get("/audit/check")
async def last_check(call: Call) -> Kept | None:
    """What the last check found; null before the first."""
    async with call.reading() as connection:
        return await store.last(connection)


ROUTES = [verify, check, last_check]
