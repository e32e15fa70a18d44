"""What a `model` leads to, and for whom it leads nowhere."""

import msgspec
import pytest

from arkwright.basics.errors import NotFound
from arkwright.basics.ids import secret_sha256
from arkwright.domain.catalog import Target
from arkwright.domain.snapshot import Snapshot
from arkwright.gateway.admission import Principal
from arkwright.gateway.routes import resolve, visible_models
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
