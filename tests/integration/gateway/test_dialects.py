"""One request in every dialect: the same charge, each one's own errors, and the id that its client looks for."""

import json
from typing import Any

import pytest

from tests.doubles.gateway_host import POSTPAID, PREPAID, Answer, GatewayHost

pytestmark = pytest.mark.anyio

CHAT: Any = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}
PATHS = (
    "/v1/chat/completions",
    "/api/v3/chat/completions",
    "/compatible-mode/v1/chat/completions",
    "/v1/messages",
    "/apps/anthropic/v1/messages",
)
MESSAGES = {"/v1/messages", "/apps/anthropic/v1/messages"}


async def ask(gateway: GatewayHost, path: str, model: str = "mock", key: str = POSTPAID, **more: Any) -> Answer:
    body = json.dumps({"model": model} | CHAT | more).encode()
    named = {"x-api-key": key} if path in MESSAGES else {"authorization": f"Bearer {key}"}
    return await gateway.call("POST", path, body, named)


@pytest.mark.parametrize("stream", [False, True])
async def test_no_dialect_changes_a_charge(gateway: GatewayHost, stream: bool) -> None:
    for path in PATHS:
        assert (await ask(gateway, path, "cached", stream=stream)).status == 200, path
    await gateway.quiet()
    charges = gateway.settled()
    assert len(charges) == len(PATHS)
    told = {
        (charge.usage, charge.amount_pico, charge.lines, charge.endpoint, charge.model, charge.finish)
        for charge in charges
    }
    assert len(told) == 1
    assert gateway.held() == 0


async def test_usage_is_the_record_that_is_charged(gateway: GatewayHost) -> None:
    whole = (await ask(gateway, "/v1/messages", "cached")).json
    streamed = (await ask(gateway, "/v1/messages", "cached", stream=True)).events
    await gateway.quiet()
    usage = gateway.settled()[0].usage
    for told in (whole["usage"], streamed[-2]["usage"]):
        assert told["input_tokens"] == usage.input_tokens == 800
        assert told["cache_read_input_tokens"] == usage.cached_input_tokens == 200
        assert told["output_tokens"] == usage.output_tokens + usage.reasoning_tokens == 50
    words = "".join(event["delta"]["text"] for event in streamed if event["type"] == "content_block_delta")
    assert whole["content"][0]["text"] == words.strip()  # The double's streams end with a blank.
    assert whole["model"] == "cached"


@pytest.mark.parametrize(
    ("model", "key", "more", "status", "anthropic", "ark"),
    [
        ("none", POSTPAID, {}, 404, "not_found_error", "InvalidEndpointOrModel.NotFound"),
        ("mock", "ak-wrong", {}, 401, "authentication_error", "AuthenticationError"),
        ("mock", POSTPAID, {"temperature": 7}, 400, "invalid_request_error", "InvalidParameter"),
        ("mock", POSTPAID, {"messages": 3}, 400, "invalid_request_error", "InvalidParameter"),
        ("mock", PREPAID, {"max_tokens": 4_000_000}, 402, "billing_error", "AccountOverdueError"),
        ("status-429", POSTPAID, {}, 429, "rate_limit_error", "RateLimitExceeded"),
        ("status-500", POSTPAID, {}, 502, "api_error", "InternalServiceError"),
        ("status-503", POSTPAID, {}, 503, "overloaded_error", "ServerOverloaded"),
    ],
)
async def test_an_error_has_the_shape_of_the_api_that_was_called(
    gateway: GatewayHost, model: str, key: str, more: Any, status: int, anthropic: str, ark: str
) -> None:
    for path in PATHS:
        answer = await ask(gateway, path, model, key, **more)
        told = answer.json
        if path in MESSAGES:
            assert (answer.status, told["type"], told["error"]["type"]) == (status, "error", anthropic), path
            assert told["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
        elif path.startswith("/api/v3"):
            assert (answer.status, told["error"]["code"]) == (403 if status == 402 else status, ark), path
            assert told["error"]["message"].endswith(f"Request id: {answer.headers['x-request-id']}")
        else:
            assert (answer.status, set(told["error"])) == (status, {"message", "type", "param", "code"}), path
    await gateway.quiet()
    assert gateway.settled() == []
    assert gateway.held() == 0


async def test_an_error_in_a_stream_is_the_dialects_own(gateway: GatewayHost) -> None:
    events = (await ask(gateway, "/v1/messages", "errors", stream=True)).events
    assert events[0]["type"] == "message_start"
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "api_error")
    await gateway.quiet()
    assert [charge.finish for charge in gateway.settled()] == ["upstream_error"]


async def test_arks_client_hears_its_own_id_again(gateway: GatewayHost) -> None:
    headers = {"authorization": f"Bearer {POSTPAID}", "x-client-request-id": "mine-1"}
    body = json.dumps({"model": "mock"} | CHAT).encode()
    answer = await gateway.call("POST", "/api/v3/chat/completions", body, headers)
    assert answer.headers["x-client-request-id"] == "mine-1"
    odd = await gateway.call("POST", "/api/v3/chat/completions", body, headers | {"x-client-request-id": "a b\tc"})
    assert (odd.status, "x-client-request-id" in odd.headers) == (200, False)


async def test_models_are_told_in_the_askers_way(gateway: GatewayHost) -> None:
    named = {"x-api-key": POSTPAID, "anthropic-version": "2023-06-01"}
    listed = (await gateway.call("GET", "/v1/models?limit=1", b"", named)).json
    assert (len(listed["data"]), listed["has_more"], listed["data"][0]["type"]) == (1, True, "model")
    one = (await gateway.call("GET", "/v1/models/mock", b"", named)).json
    assert (one["id"], one["type"]) == ("mock", "model")
    assert (await gateway.call("GET", "/v1/models?limit=x", b"", named)).json["error"][
        "type"
    ] == "invalid_request_error"
    plain = await gateway.call("GET", "/v1/models", b"", {"authorization": f"Bearer {POSTPAID}"})
    assert plain.json["object"] == "list"


async def test_tokens_are_counted_only_where_somebody_can(gateway: GatewayHost) -> None:
    answer = await ask(gateway, "/v1/messages/count_tokens")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    await gateway.quiet()
    assert gateway.settled() == []


async def test_the_same_request_again_is_replayed_in_its_dialect(gateway: GatewayHost) -> None:
    for stream in (False, True):
        body = json.dumps({"model": "mock", "stream": stream} | CHAT).encode()
        headers = {"x-api-key": POSTPAID, "idempotency-key": f"key-{stream}"}
        first = await gateway.call("POST", "/v1/messages", body, headers)
        again = await gateway.call("POST", "/v1/messages", body, headers)
        assert (first.status, again.status) == (200, 200)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.body == first.body
        assert b"event: message_stop" in first.body or not stream
    await gateway.quiet()
    assert len(gateway.settled()) == 2
