"""/bootstrap, /deploy and /whoami: the platform as a whole."""

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from arkwright import __version__
from arkwright.control import bootstrap
from arkwright.control.bootstrap import Bootstrap, Deployed, DeploySpec
from arkwright.control.routes.call import Call


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which platform answers, and as whom it takes the caller; `stalled` says which journals the ledger cannot read."""

    version: str
    actor: str
    currency: str
    snapshot_version: int
    ready: bool
    stalled: dict[str, str]


@post("/bootstrap", status_code=200)
async def first_start(call: Call) -> Bootstrap:
    """Once in a platform's life: its first organization, project, key and operator. Secrets come this once."""
    async with call.changing() as session:
        return await bootstrap.bootstrap(session)


@post("/deploy", status_code=200)
async def deploy(call: Call, data: JSONBody[DeploySpec]) -> Deployed:
    """Serve a model of the model list, or of a source in the model store: deployment, model and price, if missing."""
    async with call.changing() as session:
        return await bootstrap.deploy(session, call.platform.settings, data)


@get("/whoami")
async def whoami(call: Call) -> Identity:
    platform = call.platform
    return Identity(
        version=__version__,
        actor=call.actor,
        currency=platform.settings.currency,
        snapshot_version=platform.words.snapshot_version,
        ready=platform.words.ready,
        stalled=platform.settler.stalled,
    )


ROUTES = [first_start, deploy, whoami]
