"""/webhooks"""

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from arkwright.control import webhooks
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.control.webhooks import Tried, WebhookSpec, WebhookView
from arkwright.store.webhooks import Delivery


@get("/webhooks")
async def list_webhooks(call: Call, after: After = "", limit: Limit = LIMIT) -> Page[WebhookView]:
    async with call.reading() as connection:
        return await webhooks.listing(connection, after, limit)


@post("/webhooks")
async def create_webhook(call: Call, data: JSONBody[WebhookSpec]) -> WebhookView:
    """Its `secret` is in this answer and in no other."""
    async with call.changing() as session:
        change = await webhooks.create(session, data)
        return webhooks.shown(await webhooks.get(session.connection, change.id), change.secret)


@get("/webhooks/{webhook:str}")
async def get_webhook(call: Call, webhook: FromPath[str]) -> WebhookView:
    async with call.reading() as connection:
        return webhooks.shown(await webhooks.get(connection, webhook))


@post("/webhooks/{webhook:str}/pause", status_code=200)
async def pause_webhook(call: Call, webhook: FromPath[str]) -> WebhookView:
    """Nothing is sent; its place is kept."""
    async with call.changing() as session:
        change = await webhooks.pause(session, webhook, paused=True)
        return webhooks.shown(await webhooks.get(session.connection, change.id))


@post("/webhooks/{webhook:str}/resume", status_code=200)
async def resume_webhook(call: Call, webhook: FromPath[str]) -> WebhookView:
    """Go on from its place, at once."""
    async with call.changing() as session:
        change = await webhooks.pause(session, webhook, paused=False)
        return webhooks.shown(await webhooks.get(session.connection, change.id))


@post("/webhooks/{webhook:str}/test", status_code=200)
async def send_test(call: Call, webhook: FromPath[str]) -> Tried:
    """Send one event of type maas.test.v1 now."""
    return await webhooks.test(call.platform, webhook)


@get("/webhooks/{webhook:str}/deliveries")
async def list_deliveries(call: Call, webhook: FromPath[str], limit: Limit = LIMIT) -> list[Delivery]:
    """The last messages, newest first."""
    async with call.reading() as connection:
        return await webhooks.deliveries(connection, webhook, limit)


@delete("/webhooks/{webhook:str}")
async def delete_webhook(call: Call, webhook: FromPath[str]) -> None:
    async with call.changing() as session:
        await webhooks.delete(session, webhook)


ROUTES = [
    list_webhooks,
    create_webhook,
    get_webhook,
    pause_webhook,
    resume_webhook,
    send_test,
    list_deliveries,
    delete_webhook,
]
