"""/apply and /export: the whole platform as one TOML text."""

from litestar import MediaType, Request, get, post
from litestar.datastructures import State
from litestar.params import FromQuery

from arkwright.control.apply import Applied, apply
from arkwright.control.export import export
from arkwright.control.routes.call import Call, text_of


@post("/apply", status_code=200)
async def apply_declaration(
    call: Call, request: Request[object, object, State], dry_run: FromQuery[bool] = False
) -> Applied:
    """The body is the file's text (`application/toml`). Answers when the data plane serves by it."""
    return await apply(call.platform, call.actor, await text_of(request), dry_run=dry_run)


@get("/export", media_type=MediaType.TEXT)
async def export_declaration(call: Call) -> str:
    """A file that `apply` finds nothing to change by; without secrets."""
    async with call.platform.database.snapshot() as connection:
        return await export(connection)


ROUTES = [apply_declaration, export_declaration]
