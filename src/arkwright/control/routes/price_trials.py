"""/price-trials: drafts of prices tried on what was really used."""

from litestar import get, post
from litestar.params import FromPath, JSONBody

from arkwright.control import price_trials
from arkwright.control.price_trials import TrialSpec, TrialView
from arkwright.control.routes.call import Call


@post("/price-trials", status_code=202)
async def start_trial(call: Call, data: JSONBody[TrialSpec]) -> TrialView:
    """Begin one; it runs on by itself, and changes nothing."""
    return await price_trials.start(call.platform, call.actor, data)


@get("/price-trials", sync_to_thread=False)
def list_trials(call: Call) -> list[TrialView]:
    """The newest first, without what they found. They are kept until control is started anew."""
    return price_trials.listing(call.platform)


@get("/price-trials/{trial:str}", sync_to_thread=False)
def get_trial(call: Call, trial: FromPath[str]) -> TrialView:
    """How far it has come, and in the end what it found."""
    return price_trials.get(call.platform, trial)


ROUTES = [start_trial, list_trials, get_trial]
