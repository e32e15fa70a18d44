"""What a `model` leads to, and for whom it leads nowhere."""

from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.basics.ids import secret_sha256
from arkwright.domain.catalog import Target
from arkwright.domain.endpoints import Endpoint
from arkwright.domain.snapshot import Snapshot, decode, encode
from arkwright.gateway.admission import Principal
from arkwright.gateway.routes import resolve, visible_endpoints, visible_models
from arkwright.gateway.state import State
from tests.doubles.gateway_host import POSTPAID, PREPAID, SCOPED, snapshot

TARGET = Target("tgt_a", "a", "http://127.0.0.1:9/v1", "upstream-a")
CONTENT = snapshot({"model": [TARGET], "other": [TARGET], "vectors": [TARGET]})


def state(content: Snapshot = CONTENT) -> State:
    return State(content, b"\0" * 32)


def principal(made: State, secret: str = POSTPAID) -> Principal:
    key = made.keys[secret_sha256(secret)]
    return Principal(key, made.organizations[key.organization_id])


def test_a_model_is_a_plain_route_to_its_targets() -> None:
    made = state()
    route = resolve(made, principal(made), "model", "chat")
    assert route.plain
    assert (route.called, route.model.name, route.targets, route.endpoint_id) == ("model", "model", (TARGET,), "")


def test_a_route_is_made_once_for_all_who_may_call_it() -> None:
    made = state()
    assert resolve(made, principal(made), "other") is resolve(made, principal(made, PREPAID), "other")


def test_a_model_outside_the_scope_of_a_key_is_unknown_even_where_another_has_called_it() -> None:
    made = state()
    resolve(made, principal(made), "model")
    with pytest.raises(NotFound) as of_scoped:
        resolve(made, principal(made, SCOPED), "model")
    with pytest.raises(NotFound) as of_nobody:
        resolve(made, principal(made), "nobody")
    assert of_scoped.value.message.replace("model`", "nobody`") == of_nobody.value.message
    assert of_scoped.value.code == of_nobody.value.code == "model_not_found"


def test_a_model_of_another_kind_does_not_serve_the_api() -> None:
    made = state()
    with pytest.raises(NotFound, match="kind embedding"):
        resolve(made, principal(made), "vectors", "chat")


def test_a_later_snapshot_is_another_state() -> None:
    made = state()
    resolve(made, principal(made), "model")
    later = state(msgspec.structs.replace(CONTENT, models={"other": CONTENT.models["other"]}))
    with pytest.raises(NotFound):
        resolve(later, principal(later), "model")


def test_visible_models_are_those_of_the_scope() -> None:
    made = state()
    assert [model.name for model in visible_models(made, principal(made, SCOPED))] == ["other"]
    assert [model.name for model in visible_models(made, principal(made))] == ["model", "other", "vectors"]


EP = "ep-20261124120000-aaaaa"


def with_endpoint(**fields: Any) -> State:
    made = Endpoint(EP, "mine", "model", 0, **fields)
    return state(msgspec.structs.replace(CONTENT, endpoints={EP: made}))


def test_an_endpoint_leads_to_its_model_and_to_that_models_targets() -> None:
    made = with_endpoint(region="eu", hedged=True, sticky=True)
    route = resolve(made, principal(made), EP, "chat")
    assert (route.called, route.model.name, route.targets, route.weights) == (EP, "model", (TARGET,), ())
    assert (route.endpoint_id, route.region, route.hedged, route.sticky) == (EP, "eu", True, True)
    assert not route.plain


def test_members_are_its_targets_instead_with_their_weights() -> None:
    other = Target("tgt_b", "b", "http://127.0.0.1:9/v1", "upstream-b")
    made = with_endpoint(members=((95, (TARGET,)), (5, (other,)), (0, (TARGET,))))
    route = resolve(made, principal(made), EP)
    assert (route.targets, route.weights) == ((TARGET, other), (95, 5))


def test_another_tenants_endpoint_is_as_unknown_as_one_that_nobody_has() -> None:
    made = with_endpoint(organization_id="org_pre")
    assert resolve(made, principal(made, PREPAID), EP).endpoint_id == EP  # Its own; and now it is made.
    with pytest.raises(NotFound) as of_another:
        resolve(made, principal(made), EP)
    with pytest.raises(NotFound) as of_nobody:
        resolve(made, principal(made), EP.replace("aaaaa", "bbbbb"))
    assert of_another.value.message.replace("aaaaa", "bbbbb") == of_nobody.value.message
    assert visible_endpoints(made, principal(made)) == []
    assert [one.id for one in visible_endpoints(made, principal(made, PREPAID))] == [EP]


def test_a_stopped_endpoint_says_so_to_those_who_may_call_it_only() -> None:
    made = with_endpoint(organization_id="org_pre", state="stopped")
    with pytest.raises(InvalidInput, match="stopped") as stopped:
        resolve(made, principal(made, PREPAID), EP)
    assert (stopped.value.code, stopped.value.param, stopped.value.status) == ("endpoint_stopped", "model", 400)
    with pytest.raises(NotFound):
        resolve(made, principal(made), EP)
    assert visible_endpoints(made, principal(made, PREPAID)) == []


def test_a_key_that_is_for_other_models_does_not_know_the_endpoint_and_one_for_it_needs_no_more() -> None:
    made = with_endpoint()
    with pytest.raises(NotFound):
        resolve(made, principal(made, SCOPED), EP)
    scoped = principal(made, SCOPED)
    for_it = Principal(msgspec.structs.replace(scoped.key, models=frozenset({EP})), scoped.organization)
    assert resolve(made, for_it, EP).model.name == "model"
    with pytest.raises(NotFound):
        resolve(made, for_it, "model")


def test_an_endpoint_without_its_model_is_unknown() -> None:
    made = state(msgspec.structs.replace(CONTENT, models={}, endpoints={EP: Endpoint(EP, "mine", "model", 0)}))
    with pytest.raises(NotFound):
        resolve(made, principal(made), EP)
    assert visible_endpoints(made, principal(made)) == []


def test_a_snapshot_without_endpoints_can_still_be_read() -> None:
    old = msgspec.msgpack.decode(encode(CONTENT))
    del old["endpoints"]
    assert decode(msgspec.msgpack.encode(old)).endpoints == {}
    whole = msgspec.structs.replace(
        CONTENT, endpoints={EP: Endpoint(EP, "mine", "model", 0, members=((1, (TARGET,)),))}
    )
    assert decode(encode(whole)) == whole
