"""/audit: that what was served, charged and booked is one and the same."""

from litestar import post

from arkwright.control import audit
from arkwright.control.audit import Report
from arkwright.control.routes.call import Call


@post("/audit/verify", status_code=200)
async def verify(call: Call) -> Report:
    """Read every journal and the whole ledger; may take minutes. `ok` is false when anything does not agree."""
    platform = call.platform
    paths = platform.settings.paths
    host = paths.host_id.read_text().strip()
    return await audit.verify(platform.database, paths.journal, host=host, settler=platform.settler)


ROUTES = [verify]
