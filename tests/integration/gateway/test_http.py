"""HTTP/1.1 as hostile and as honest clients speak it. Each refusal is an error in OpenAI's shape with a request id."""

import asyncio
import json

import msgspec
import pytest

from tests.doubles.gateway_host import POSTPAID, Answer, GatewayHost, head, read_answer
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

AUTH = {"authorization": f"Bearer {POSTPAID}"}
CHAT = json.dumps({"model": "mock", "messages": [{"role": "user", "content": "x"}]}).encode()


async def raw(gateway: GatewayHost, data: bytes, method: str = "GET") -> Answer:
    """Send bytes, read one answer."""
    async with gateway.connect() as (reader, writer):
        writer.write(data)
        return await read_answer(reader, method)


def chat_head(**headers: str) -> bytes:
    return head(
        "POST", "/v1/chat/completions", AUTH | {name.replace("_", "-"): value for name, value in headers.items()}
    )


SMUGGLING = {
    "both lengths": b"POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    "signed length": b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
    "length list": b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 3, 3\r\n\r\nabc",
    "other coding": b"POST /v1/models HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "odd coding": b"POST /v1/models HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "bare newlines": b"GET /v1/models HTTP/1.1\nhost: x\n\n",
    "folded header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
    "space before colon": b"GET /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length : 3\r\n\r\nabc",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "two authorizations": head("GET", "/v1/models", AUTH | {"Authorization": "Bearer x"}),
    "no path": b"GET v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "bad chunk size": head("POST", "/v1/models", AUTH | {"transfer-encoding": "chunked"}) + b"zz\r\n\r\n",
    "version 2": b"GET /v1/models HTTP/2.0\r\nhost: x\r\n\r\n",
    "nul in a value": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: \x00\r\n\r\n",
}


@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_ambiguity_is_refused_and_the_connection_closed(gateway: GatewayHost, data: bytes) -> None:
    async with gateway.connect() as (reader, writer):
        writer.write(data + b"GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await read_answer(reader)
        assert answer.status == 400
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert answer.headers["x-request-id"].startswith("req_")
        assert await reader.read() == b""  # Nothing behind it was taken for a request.


async def test_an_offer_to_switch_protocols_is_ignored(gateway: GatewayHost) -> None:
    """Java's client sends one with every plain request; what follows it is never taken for a request."""
    async with gateway.connect() as (reader, writer):
        offer = AUTH | {"connection": "upgrade", "upgrade": "h2c"}
        writer.write(head("GET", "/v1/models/mock", offer) + head("GET", "/v1/smuggled", AUTH))
        assert (await read_answer(reader)).status == 200
        assert await reader.read() == b""


async def test_every_split_of_a_request_is_the_same_request(gateway: GatewayHost) -> None:
    request = head("POST", "/v1/embeddings", AUTH | {"content-length": "36"}) + b'{"model":"vectors","input":"hello!"}'
    for at in range(1, len(request), 7):
        async with gateway.connect() as (reader, writer):
            writer.write(request[:at])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(request[at:])
            assert (await read_answer(reader)).status == 200


async def test_a_head_that_was_parsed_before_has_a_body_of_its_own(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    """Known again, in a pipeline and cut anywhere; what differs in one byte is parsed anew."""
    said = ["", "a", "words " * 50, "b", "\u00e9" * 9]
    bodies = [json.dumps({"model": "mock", "messages": [{"role": "user", "content": one}]}).encode() for one in said]
    asked = [chat_head(content_length=str(len(body))) + body for body in bodies]
    async with gateway.connect() as (reader, writer):
        for request in asked:
            writer.write(request)
            assert (await read_answer(reader)).status == 200
        writer.write(asked[2] + asked[1] + asked[4][:-5])
        assert [(await read_answer(reader)).status for _ in range(2)] == [200, 200]
        writer.write(asked[4][-5:] + asked[0].replace(b"Bearer ak-", b"Bearer bk-") + asked[3])
        assert [(await read_answer(reader)).status for _ in range(3)] == [200, 401, 200]
    heard = [request["messages"][0]["content"] for request in upstream.requests]
    assert heard == [*said, said[2], said[1], said[4], said[3]]


async def test_a_chunked_body_is_taken(gateway: GatewayHost) -> None:
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in CHAT) + b"0\r\n\r\n"
    answer = await raw(gateway, chat_head(transfer_encoding="chunked") + pieces)
    assert answer.status == 200


async def test_expect_is_answered_before_the_body(gateway: GatewayHost) -> None:
    async with gateway.connect() as (reader, writer):
        writer.write(chat_head(expect="100-continue", content_length=str(len(CHAT))))
        assert (await read_answer(reader)).status == 100
        writer.write(CHAT)
        assert (await read_answer(reader)).status == 200


async def test_a_body_that_is_announced_too_long_is_refused_unread(gateway: GatewayHost) -> None:
    limit = gateway.worker.settings.body_bytes_max
    answer = await raw(gateway, chat_head(expect="100-continue", content_length=str(limit + 1)))
    assert (answer.status, answer.json["error"]["code"]) == (413, "request_too_large")
    assert str(limit) in answer.json["error"]["message"]


async def test_a_body_that_grows_too_long_is_refused(gateway: GatewayHost) -> None:
    async with gateway.connect() as (reader, writer):
        writer.write(chat_head(transfer_encoding="chunked"))
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        for _ in range(gateway.worker.settings.body_bytes_max // 0x100000 + 1):
            writer.write(block)
        assert (await read_answer(reader)).status == 413


async def test_a_long_body_without_a_key_is_refused_unread(gateway: GatewayHost) -> None:
    async with gateway.connect() as (reader, writer):
        headers = {"authorization": "Bearer ak-wrong", "content-length": "20000000"}
        writer.write(head("POST", "/v1/chat/completions", headers))
        answer = await read_answer(reader)
        assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "lines", [b"x-a: " + b"y" * 40_000, b"\r\n".join(b"x-%d: y" % n for n in range(200))], ids=["long", "many"]
)
async def test_a_head_too_large_is_refused(gateway: GatewayHost, lines: bytes) -> None:
    answer = await raw(gateway, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + lines + b"\r\n\r\n")
    assert (answer.status, answer.json["error"]["code"]) == (431, "request_head_too_large")


async def test_the_absolute_form_of_a_target_is_understood(gateway: GatewayHost) -> None:
    assert (await raw(gateway, head("GET", "http://any.example/v1/models/mock", AUTH))).json["id"] == "mock"
    people = await raw(gateway, head("GET", "/", {}))
    assert (people.status, people.headers["location"]) == (303, "/console")


async def test_head_options_and_cross_origin(gateway: GatewayHost) -> None:
    answer = await raw(gateway, head("HEAD", "/v1/models", AUTH), "HEAD")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 0
    preflight = await raw(gateway, head("OPTIONS", "/v1/chat/completions", {"origin": "https://a.example"}))
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/v1/models/mock", 405, "method_not_allowed"),
        ("POST", "/v1/nonsense", 404, "unknown_url"),
        ("GET", "/v1/", 404, "unknown_url"),
        ("GET", "/v1/models/absent", 404, "model_not_found"),
        ("GET", "/admin/v1/organizations", 503, "control_unavailable"),
    ],
)
async def test_what_is_not_there_is_said_so(
    gateway: GatewayHost, method: str, path: str, status: int, code: str
) -> None:
    answer = await gateway.call(method, path, headers=AUTH)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    if status == 405:
        assert answer.headers["allow"]


async def test_models_are_listed_by_scope(gateway: GatewayHost) -> None:
    listed = await gateway.call("GET", "/v1/models", headers=AUTH)
    assert "mock" in {card["id"] for card in listed.json["data"]}
    assert (await gateway.call("GET", "/v1/models/mock", headers=AUTH)).json["object"] == "model"
    assert (await gateway.call("GET", "/v1/models")).status == 401


async def test_an_http_1_0_client_gets_its_stream_until_the_close(gateway: GatewayHost) -> None:
    body = CHAT[:-1] + b',"stream":true}'
    request = chat_head(content_length=str(len(body))).replace(b"HTTP/1.1", b"HTTP/1.0") + body
    answer = await raw(gateway, request)
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert answer.events[-1] == "[DONE]"


async def test_more_requests_in_one_pipeline_than_are_kept_waiting(gateway: GatewayHost) -> None:
    async with gateway.connect() as (reader, writer):
        writer.write(head("GET", "/v1/models/mock", AUTH) * 200)
        for _ in range(200):
            assert (await read_answer(reader)).status == 200


async def test_an_error_in_a_pipeline_comes_after_the_answers_before_it(gateway: GatewayHost) -> None:
    async with gateway.connect() as (reader, writer):
        request = chat_head(content_length=str(len(CHAT))) + CHAT
        writer.write(request * 2 + b"nonsense\r\n\r\n")
        assert [(await read_answer(reader)).status for _ in range(3)] == [200, 200, 400]
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\nhost", 408),
        (b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab", 408),
        (b"", None),
    ],
    ids=["head", "body", "silence"],
)
async def test_slow_clients_are_let_go(gateway: GatewayHost, sent: bytes, status: int | None) -> None:
    settings = gateway.worker.settings
    quick = type(settings)(data_dir=settings.data_dir, header_timeout_s=0.2, body_timeout_s=0.2, idle_timeout_s=0.2)
    gateway.limits(quick)
    async with gateway.connect() as (reader, writer):
        writer.write(sent)
        if status is not None:
            assert (await read_answer(reader)).status == status
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_client_that_never_reads_is_let_go_and_billed(gateway: GatewayHost) -> None:
    settings = gateway.worker.settings
    gateway.limits(type(settings)(data_dir=settings.data_dir, write_timeout_s=0.3))
    body = json.dumps({"model": "huge", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
    async with gateway.connect(1024) as (_, writer):
        writer.write(chat_head(content_length=str(len(body))) + body)
        async with asyncio.timeout(10):
            while not gateway.settled():
                await asyncio.sleep(0.05)
        assert [charge.finish for charge in gateway.settled()] == ["disconnected"]
        assert gateway.settled()[0].usage.output_tokens == 400


async def test_health_and_metrics_need_no_key(gateway: GatewayHost) -> None:
    assert (await gateway.call("GET", "/healthz")).json == {"status": "ok"}
    assert (await gateway.call("GET", "/readyz")).json == {"ready": True, "missing": []}
    await gateway.chat("cached")
    text = (await gateway.call("GET", "/metrics")).body.decode()
    assert 'kind="input"} 800' in text
    other = gateway.worker.settings.paths.run / "metrics" / "7.json"
    other.write_text('{"arkwright_tokens_total counter":["arkwright_tokens_total{worker=\\"7\\"} 5"]}')
    text = (await gateway.call("GET", "/metrics")).body.decode()
    assert 'arkwright_tokens_total{worker="7"} 5' in text
    assert text.count("# TYPE arkwright_tokens_total") == 1


async def test_not_ready_says_what_is_missing(gateway: GatewayHost) -> None:
    gateway.words.ready = False
    answer = await gateway.call("GET", "/readyz")
    assert (answer.status, answer.json["missing"]) == (503, ["balances"])


async def test_ready_can_be_asked_of_a_model(gateway: GatewayHost) -> None:
    assert (await gateway.call("GET", "/readyz?model=mock")).status == 200
    models = gateway.worker.state.models
    models["idle"] = msgspec.structs.replace(models["mock"], id="mod_idle", name="idle", targets=())
    answer = await gateway.call("GET", "/readyz?model=mock&model=idle")
    assert (answer.status, answer.json) == (503, {"ready": False, "missing": ["replica of idle"]})
    assert (await gateway.call("GET", "/readyz?model=nothing")).status == 404
    away = {"x-forwarded-for": "203.0.113.9"}
    assert (await gateway.call("GET", "/readyz", headers=away)).status == 200
    assert (await gateway.call("GET", "/readyz?model=idle", headers=away)).status == 403
    keyed = away | {"authorization": f"Bearer {POSTPAID}"}
    assert (await gateway.call("GET", "/readyz?model=idle", headers=keyed)).status == 503
    wrong = away | {"authorization": "Bearer ak-nobody"}
    assert (await gateway.call("GET", "/readyz?model=idle", headers=wrong)).status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'{"model":"mock"}',
        b'{"model":5,"messages":[]}',
        b'{"messages":[{"role":"user","content":"x"}]}',
        b"\xff\xfe",
    ],
)
async def test_bad_bodies_get_400_and_cost_nothing(gateway: GatewayHost, body: bytes) -> None:
    answer = await gateway.call("POST", "/v1/chat/completions", body, AUTH)
    assert answer.status == 400
    assert answer.json["error"]["message"]
    await gateway.quiet()
    assert gateway.settled() == []


async def test_metrics_are_for_this_machine(gateway: GatewayHost) -> None:
    answer = await gateway.call("GET", "/metrics", headers={"x-forwarded-for": "203.0.113.9"})
    assert (answer.status, answer.json["error"]["code"]) == (403, "permission_denied")
