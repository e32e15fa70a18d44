"""Endpoints through the admin API and files: made, judged in words, changed in one step, told to gateways."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from arkwright.basics.ids import ENDPOINT_ID
from arkwright.domain import snapshot as snapshots
from arkwright.domain.endpoints import FallbackRule, Guard
from arkwright.domain.snapshot import Snapshot
from arkwright.store import catalog
from arkwright.store.catalog import Replica
from tests.integration.control.conftest import HOST, Admin

pytestmark = pytest.mark.anyio

CANARY, SHARED, MINE = (f"ep-20261124120000-{tail}" for tail in ("aaaaa", "bbbbb", "ccccc"))
FILE = f"""[[providers]]
name = "blue"
base_url = "http://127.0.0.1:9/v1"
[[providers]]
name = "green"
base_url = "http://127.0.0.1:10/v1"
[[models]]
name = "m"
provider = "blue"
upstream_name = "m-upstream"
context_tokens = 100
[[models]]
name = "other"
provider = "green"
context_tokens = 1000
[[models]]
name = "vectors"
kind = "embedding"
provider = "green"
context_tokens = 100
[[organizations]]
name = "acme"
[[organizations]]
name = "rival"
[[endpoints]]
id = "{SHARED}"
name = "shared"
model = "other"
organizations = ["acme"]
region = "eu"
sticky = true
[[endpoints]]
id = "{CANARY}"
name = "canary"
organization = "acme"
model = "m"
hedged = true
fallbacks = [
    {{ to = "shared", on = ["unavailable", "timeout"] }},
    {{ to = "other", on = ["cost"], cost_above = "0.05", currency = "USD" }},
]
members = [
    {{ provider = "blue", weight = 95 }},
    {{ provider = "green", upstream_name = "m-next", weight = 5 }},
]
mirror = {{ provider = "green", share_bp = 250 }}
guard = {{ max_output_tokens = 50, default_temperature = 0.5, refuses = ["tools", "images"] }}
[[endpoints]]
name = "plain"
model = "m"
state = "stopped"
[[keys]]
organization = "acme"
name = "k"
secret = "ak-0123456789abcdef"
models = ["{CANARY}", "m"]
[[limits]]
organization = "acme"
endpoint = "{CANARY}"
requests_per_minute = 3
budget_daily = "1"
"""


def published(admin: Admin) -> Snapshot:
    return snapshots.decode((admin.platform.settings.paths.root / "snapshot.msgpack").read_bytes())


async def made(admin: Admin) -> dict[str, Any]:
    await admin.apply(FILE)
    found: dict[str, Any] = await admin.get(f"/endpoints/{CANARY}")
    return found


async def test_a_file_goes_round(admin: Admin) -> None:
    assert (await admin.apply(FILE))["created"] == 12
    assert (await admin.apply(FILE))["unchanged"] == 12
    exported = await admin.export()
    again = await admin.apply(exported)
    assert (again["created"], again["updated"]) == (0, 0)
    assert exported.index(SHARED) < exported.index(f'id = "{CANARY}"')  # What is fallen back to comes first.


async def test_an_export_of_one_platform_is_whole_on_another(admin: Admin) -> None:
    await made(admin)
    before = {one["id"]: one for one in (await admin.get("/endpoints"))["data"]}
    exported = await admin.export()
    for id_ in (CANARY, *(id_ for id_ in before if id_ != CANARY)):
        await admin.call("DELETE", f"/endpoints/{id_}")
    assert (await admin.apply(exported.split("[[keys]]")[0]))["created"] == 3
    after = {one["id"]: one for one in (await admin.get("/endpoints"))["data"]}
    for one in (*before.values(), *after.values()):
        del one["created_at"]
    assert after == before


async def test_gateways_are_told_all_of_it(admin: Admin) -> None:
    await made(admin)
    snapshot = published(admin)
    acme, rival = (next(o.id for o in snapshot.organizations.values() if o.name == name) for name in ("acme", "rival"))
    canary = snapshot.endpoints[CANARY]
    assert canary.members is not None
    assert [(weight, [t.upstream_model for t in targets]) for weight, targets in canary.members] == [
        (95, ["m-upstream"]), (5, ["m-next"]),
    ]  # fmt: skip
    assert ([t.base_url for t in canary.mirror], canary.mirror_share_bp) == (["http://127.0.0.1:10/v1"], 250)
    assert canary.fallbacks == (
        FallbackRule(SHARED, ("unavailable", "timeout")),
        FallbackRule("other", ("cost",), 50_000_000_000, "USD"),
    )
    assert canary.guard == Guard(max_output_tokens=50, default_temperature=0.5, refuses=("tools", "images"))
    assert (canary.model, canary.hedged, canary.visible_to(acme), canary.visible_to(rival)) == ("m", True, True, False)
    shared = snapshot.endpoints[SHARED]
    assert (shared.members, shared.region, shared.sticky) == (None, "eu", True)
    assert (shared.visible_to(acme), shared.visible_to(rival)) == (True, False)
    assert [limit.subject for limit in snapshot.limits] == [CANARY]


async def test_a_deployment_calls_its_model_by_its_own_name(admin: Admin) -> None:
    await made(admin)
    for name in ("blue-engine", "green-engine"):
        deployment = await admin.post("/deployments", {"name": name, "source": "smollm2-135m-instruct"})
        replica = Replica(
            id=f"rep_{name}", deployment_id=deployment["id"], host=HOST, url="http://127.0.0.1:9/v1", sealed_key=b"",
            state="starting", last_error="", observed_at=datetime.now(UTC),
        )  # fmt: skip
        async with admin.platform.database.connection() as connection:
            await catalog.insert_replica(connection, replica)
            await catalog.observe_replica(connection, replica.id, "ready", "")
    members = [{"deployment": "blue-engine"}, {"deployment": "green-engine", "upstream_name": "adapter"}]
    one = await admin.post("/endpoints", {"name": "engines", "model": "m", "members": members})
    told = published(admin).endpoints[one["id"]].members
    assert told is not None
    assert [(t.id, t.upstream_model) for _, targets in told for t in targets] == [
        ("rep_blue-engine", "blue-engine"),
        ("rep_green-engine/adapter", "adapter"),
    ]
    assert await admin.refused("DELETE", "/deployments/green-engine", None, 409)


async def test_an_id_is_made_in_the_form_that_customers_know(admin: Admin) -> None:
    await made(admin)
    one = await admin.post("/endpoints", {"name": "new", "model": "m"})
    assert ENDPOINT_ID.fullmatch(one["id"])
    assert (one["organization"], one["state"], one["members"], one["mirror"]) == (None, "running", [], None)
    assert one["id"] in published(admin).endpoints


async def test_weights_change_in_one_step_and_only_those_that_are_named(admin: Admin) -> None:
    await made(admin)
    answer = await admin.call("PUT", f"/endpoints/{CANARY}/weights", {"weights": {"blue": 0, "green/m-next": 100}})
    assert [member["weight"] for member in answer["members"]] == [0, 100]
    answer = await admin.call("PUT", f"/endpoints/{CANARY}/weights", {"weights": {"blue": 7}})
    assert [member["weight"] for member in answer["members"]] == [7, 100]
    error = await admin.refused("PUT", f"/endpoints/{CANARY}/weights", {"weights": {"red": 1}}, 400)
    assert "green/m-next" in error["message"]
    error = await admin.refused("PUT", f"/endpoints/{CANARY}/weights", {"weights": {"blue": 0, "green/m-next": 0}}, 400)
    assert "above 0" in error["message"]
    members = published(admin).endpoints[CANARY].members
    assert members is not None
    assert [weight for weight, _ in members] == [7, 100]


async def test_it_is_stopped_and_started_and_the_audit_log_says_so(admin: Admin) -> None:
    await made(admin)
    for state in ("stopped", "running"):
        assert (await admin.call("PATCH", f"/endpoints/{CANARY}", {"state": state}))["state"] == state
        assert published(admin).endpoints[CANARY].state == state
    changes = (await admin.get("/changes", subject="endpoint acme/canary"))["data"]
    assert [change["action"] for change in changes] == ["endpoint.create", "endpoint.update", "endpoint.update"]


async def test_names_are_each_owners_own(admin: Admin) -> None:
    await made(admin)
    await admin.post("/endpoints", {"name": "canary", "model": "m"})  # The platform's.
    theirs = await admin.post("/endpoints", {"name": "canary", "model": "m", "organization": "rival"})
    assert (await admin.get("/endpoints/canary", organization="rival"))["id"] == theirs["id"]
    assert (await admin.get("/endpoints/canary", organization="acme"))["id"] == CANARY
    await admin.get(f"/endpoints/{CANARY}", organization="rival", expect=404)
    await admin.get("/endpoints/shared", organization="rival", expect=404)
    assert (await admin.get("/endpoints/shared", organization="acme"))["id"] == SHARED
    error = await admin.refused("POST", "/endpoints", {"name": "canary", "model": "m", "organization": "acme"}, 409)
    assert error["param"] == "name"
    mine = (await admin.get("/endpoints", organization="rival"))["data"]
    assert [one["id"] for one in mine] == [theirs["id"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "nothing"}, "model"),
        ({"members": [{"provider": "nobody"}]}, "members[0].provider"),
        ({"members": [{"deployment": "blue"}]}, "members[0].deployment"),
        ({"members": [{"provider": "blue", "deployment": "blue"}]}, "members[0]"),
        ({"members": [{}]}, "members[0]"),
        ({"members": [{"provider": "blue", "weight": 0}]}, "members"),
        ({"members": [{"provider": "blue", "weight": -1}]}, "members[0].weight"),
        ({"members": [{"provider": "blue", "weight": 10_001}]}, "members[0].weight"),
        ({"members": [{"provider": "blue"}, {"provider": "blue"}]}, "members"),
        ({"mirror": {"provider": "blue", "share_bp": 0}}, "mirror.share_bp"),
        ({"mirror": {"provider": "blue", "share_bp": 10_001}}, "mirror.share_bp"),
        ({"guard": {"max_output_tokens": 0}}, "guard.max_output_tokens"),
        ({"guard": {"max_output_tokens": 5, "default_output_tokens": 6}}, "guard.default_output_tokens"),
        ({"guard": {"default_temperature": 2.5}}, "guard.default_temperature"),
        ({"guard": {"refuses": ["tools", "tools"]}}, "guard.refuses"),
        ({"guard": {"refuses": ["everything"]}}, None),
        ({"guard": {"unheard_of": 1}}, None),
        ({"region": "x" * 61}, "region"),
        ({"organizations": ["acme"]}, "organizations"),
        ({"fallbacks": [{"to": "nothing", "on": ["timeout"]}]}, "fallbacks[0].to"),
        ({"fallbacks": [{"to": "vectors", "on": ["timeout"]}]}, "fallbacks[0].to"),
        ({"fallbacks": [{"to": "m", "on": ["timeout"]}]}, "fallbacks[0].to"),
        ({"fallbacks": [{"to": "other", "on": []}]}, "fallbacks[0].on"),
        ({"fallbacks": [{"to": "other", "on": ["timeout", "timeout"]}]}, "fallbacks[0].on"),
        ({"fallbacks": [{"to": "other", "on": ["bad weather"]}]}, None),
        ({"fallbacks": [{"to": "other", "on": ["cost"]}]}, "fallbacks[0].cost_above"),
        ({"fallbacks": [{"to": "other", "on": ["timeout"], "cost_above": "1"}]}, "fallbacks[0].cost_above"),
        ({"fallbacks": [{"to": "other", "on": ["cost"], "cost_above": "x"}]}, "fallbacks[0].cost_above"),
        ({"fallbacks": [{"to": "other", "on": ["timeout"]}] * 5}, "fallbacks"),
        ({"fallbacks": [{"to": CANARY, "on": ["timeout"]}]}, "fallbacks"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_by_its_field_and_changes_nothing(
    admin: Admin, fields: dict[str, Any], param: str | None
) -> None:
    before = await made(admin)
    error = await admin.refused("PATCH", f"/endpoints/{CANARY}", fields, 400)
    if param is not None:
        assert error["param"] == param, error
    assert await admin.get(f"/endpoints/{CANARY}") == before


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "x"},
        {"name": CANARY[:-1] + "d", "model": "m"},
        {"name": "x", "model": "m", "id": "ep-1"},
        {"name": "x", "model": "m", "id": CANARY + "x"},
        {"name": "x", "model": "m", "organization": "nobody"},
        {"name": "x", "model": "vectors", "guard": {"max_output_tokens": 1}},
    ],
)
async def test_what_can_not_be_made(admin: Admin, spec: dict[str, Any]) -> None:
    await made(admin)
    await admin.refused("POST", "/endpoints", spec, 400)
    assert len((await admin.get("/endpoints"))["data"]) == 3


async def test_fallbacks_are_for_whom_the_endpoint_is_for(admin: Admin) -> None:
    await made(admin)
    theirs = {"name": "theirs", "model": "m", "organization": "rival"}
    for to in (SHARED, CANARY, "shared"):
        fallbacks = [{"to": to, "on": ["timeout"]}]
        error = await admin.refused("POST", "/endpoints", {**theirs, "fallbacks": fallbacks}, 400)
        assert error["param"] == "fallbacks[0].to"
    everyones = {"name": "all", "model": "m", "fallbacks": [{"to": SHARED, "on": ["timeout"]}]}
    await admin.refused("POST", "/endpoints", everyones, 400)
    await admin.post("/endpoints", {**everyones, "organizations": ["acme"]})


async def test_two_at_once_make_no_circle(admin: Admin) -> None:
    await made(admin)
    one, two = [(await admin.post("/endpoints", {"name": name, "model": "m"}))["id"] for name in ("one", "two")]

    async def point(at: str, to: str) -> int:
        body = {"fallbacks": [{"to": to, "on": ["timeout"]}]}
        return (await admin.client.patch(f"/admin/v1/endpoints/{at}", json=body)).status_code

    assert sorted(await asyncio.gather(point(one, two), point(two, one))) == [200, 400]


async def test_a_chain_is_as_long_as_a_request_can_go(admin: Admin) -> None:
    await made(admin)
    to = "other"
    for number in range(4):
        body = {"name": f"e{number}", "model": "m", "fallbacks": [{"to": to, "on": ["timeout"]}]}
        to = (await admin.post("/endpoints", body))["id"]
    body = {"name": "e4", "model": "m", "fallbacks": [{"to": to, "on": ["timeout"]}]}
    assert "4 times" in (await admin.refused("POST", "/endpoints", body, 400))["message"]


async def test_what_an_endpoint_needs_stays_as_long_as_it_does(admin: Admin) -> None:
    await made(admin)
    for path in ("/models/m", "/models/other", f"/endpoints/{SHARED}", "/providers/green"):
        assert await admin.refused("DELETE", path, None, 409)
    await admin.call("DELETE", f"/endpoints/{CANARY}")
    await admin.call("DELETE", f"/endpoints/{SHARED}")
    await admin.call("DELETE", "/models/other")
    await admin.get(f"/endpoints/{CANARY}", expect=404)
    assert CANARY not in published(admin).endpoints
    assert f'endpoint = "{CANARY}"' not in await admin.export()  # Its limit outlives it, but not in a file.


async def test_keys_and_limits_name_only_what_their_organization_may_call(admin: Admin) -> None:
    await made(admin)
    for body in ({"models": [CANARY]}, {"models": ["ep-20261124120000-zzzzz"]}):
        assert (await admin.refused("POST", "/organizations/rival/keys", body, 400))["param"] == "models"
    limit = {"endpoint": CANARY, "requests_per_minute": 1}
    assert (await admin.refused("PUT", "/organizations/rival/limits", limit, 400))["param"] == "endpoint"
    by_name = await admin.call("PUT", "/organizations/acme/limits", {"endpoint": "canary", "tokens_per_minute": 9})
    assert (by_name["name"], by_name["requests_per_minute"], by_name["tokens_per_minute"]) == (CANARY, 3, 9)


async def test_a_model_is_not_named_like_an_endpoint(admin: Admin) -> None:
    await made(admin)
    body = {"name": CANARY, "provider": "blue", "context_tokens": 1}
    assert (await admin.refused("POST", "/models", body, 400))["param"] == "name"
