"""/metrics: what the gateway's own /metrics tells this machine, for whoever has an admin key."""

import asyncio
import time

from litestar import get

from arkwright.control.routes.call import Call
from arkwright.host import metric_boards


@get("/metrics", media_type="text/plain; version=0.0.4; charset=utf-8")
async def host_metrics(call: Call) -> str:
    """Of all workers of this host and of the control process, in Prometheus' text format."""
    directory = call.platform.settings.paths.run / "metrics"
    boards = await asyncio.to_thread(metric_boards.read, directory, time.time())
    return metric_boards.render(boards).decode()


ROUTES = [host_metrics]
