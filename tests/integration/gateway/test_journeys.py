"""What the access log and the traces say of requests that really ran; and that they say nothing they must not."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from arkwright.gateway import traces
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import BEHAVIOURS, target

pytestmark = pytest.mark.anyio
pytest.importorskip("opentelemetry.sdk")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WORDS = "a secret that nobody may read"


class Collected:
    """In place of the exporter: keeps the spans, or refuses them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.takes = True

    def __call__(self, made: list[Any]) -> bool:
        if self.takes:
            self.spans += made
        return self.takes


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Collected:
    made = Collected()
    monkeypatch.setattr(traces, "_exporter", lambda endpoint: made)
    return made


@pytest.fixture
async def watched(tmp_path: Path, upstream: OpenAIUpstream, collected: Collected) -> AsyncIterator[GatewayHost]:
    models = {name: [target(upstream, model)] for name, model in BEHAVIOURS.items()}
    models["second"] = [target(upstream, "mock;status=503", name="first"), target(upstream, "mock", name="second")]
    host = await gateway_host.start(
        tmp_path, gateway_host.snapshot(models), access_log="on", otlp_endpoint="http://localhost:1", trace_share=1.0
    )
    yield host
    await gateway_host.stop(host)


async def ended(host: GatewayHost) -> list[dict[str, Any]]:
    """Stop the worker, so that all is written, and read the log."""
    host.worker.close()
    return [
        json.loads(line) for line in (host.worker.settings.paths.logs / "access-gateway.log").read_text().splitlines()
    ]


async def ask(host: GatewayHost, model: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": WORDS}]} | fields
    given = {"authorization": f"Bearer {POSTPAID}"} | (headers or {})
    return await host.call("POST", "/v1/chat/completions", json.dumps(body).encode(), given)


async def test_each_request_has_one_line_and_one_tree_of_spans(watched: GatewayHost, collected: Collected) -> None:
    answers = [
        await ask(watched, "cached"),
        await ask(watched, "mock", stream=True),
        await ask(watched, "nothing"),
        await watched.call("GET", "/v1/models"),
        await ask(watched, "mock", {"idempotency-key": "once"}),
        await ask(watched, "mock", {"idempotency-key": "once"}),
        await ask(watched, "status-500"),
    ]
    lines = await ended(watched)
    assert [answer.status for answer in answers] == [200, 200, 404, 401, 200, 200, 502]
    assert [line["status"] for line in lines] == [answer.status for answer in answers]
    assert lines[0]["request_id"] == answers[0].headers["x-request-id"]
    assert (lines[0]["input_tokens"], lines[0]["cached_input_tokens"], lines[0]["output_tokens"]) == (1000, 200, 50)
    assert lines[0]["bytes_out"] > len(answers[0].body)
    assert (lines[1]["streamed"], lines[1]["organization"], lines[1]["key"]) == (True, "org_post", "key_post")
    assert lines[1]["ttft_us"] <= lines[1]["duration_us"]
    assert (lines[2]["error"], lines[3]["error"]) == ("not_found", "invalid_api_key")
    roots = [span for span in collected.spans if span.kind.name == "SERVER"]
    assert len(roots) == len(lines)
    assert roots[0].name == "chat cached"
    assert roots[0].attributes["gen_ai.usage.output_tokens"] == 50
    everything = json.dumps(lines) + "".join(span.to_json() for span in collected.spans)
    assert WORDS not in everything
    assert POSTPAID not in everything


async def test_each_attempt_is_told(watched: GatewayHost, collected: Collected) -> None:
    watched.worker.fleet.choose = lambda route, affinity=None: list(route.targets)  # type: ignore[method-assign]
    assert (await ask(watched, "second")).status == 200
    (line,) = await ended(watched)
    assert line["target"] == "second"
    assert line["attempts"][0]["target"] == "first"
    assert line["attempts"][0]["status"] == 503
    tries = [span for span in collected.spans if span.kind.name == "CLIENT"]
    assert tries[0].attributes["gen_ai.provider.name"] == "first"
    assert tries[0].status.status_code.name == "ERROR"


async def test_a_callers_trace_goes_on_upstream(
    watched: GatewayHost, collected: Collected, upstream: OpenAIUpstream
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "rojo=1"}
    assert (await ask(watched, "mock", headers, stream=True)).status == 200
    passed = upstream.headers[-1]
    version, trace_id, span_id, flags = passed["traceparent"].split("-")
    assert (version, trace_id, flags, passed["tracestate"]) == ("00", TRACE, "01", "rojo=1")
    assert span_id != SPAN
    await ended(watched)
    spans = {span.name: span for span in collected.spans}
    assert set(spans) == {"chat mock", "attempt mock", "first token"}
    assert all(f"{span.context.trace_id:032x}" == TRACE for span in spans.values())
    assert f"{spans['chat mock'].parent.span_id:016x}" == SPAN
    assert spans["attempt mock"].parent.span_id == spans["chat mock"].context.span_id
    assert f"{spans['attempt mock'].context.span_id:016x}" == span_id


async def test_a_trace_that_the_caller_does_not_sample_is_passed_on_and_not_told(
    watched: GatewayHost, collected: Collected, upstream: OpenAIUpstream
) -> None:
    assert (await ask(watched, "mock", {"traceparent": f"00-{TRACE}-{SPAN}-00"})).status == 200
    assert upstream.headers[-1]["traceparent"].startswith(f"00-{TRACE}-")
    assert upstream.headers[-1]["traceparent"].endswith("-00")
    await ended(watched)
    assert collected.spans == []


async def test_a_client_that_hangs_up_has_its_line_too(watched: GatewayHost) -> None:
    async with watched.connect() as (reader, writer):
        body = json.dumps({"model": "slow", "stream": True, "messages": [{"role": "user", "content": WORDS}]}).encode()
        sent = {"content-length": str(len(body)), "authorization": f"Bearer {POSTPAID}"}
        writer.write(gateway_host.head("POST", "/v1/chat/completions", sent) + body)
        await reader.readuntil(b"data: ")
    async with asyncio.timeout(10):
        while watched.worker.forwards:
            await asyncio.sleep(0.01)
    (line,) = await ended(watched)
    assert (line["status"], line["finish"], line["model"]) == (499, "disconnected", "slow")


async def test_what_a_collector_does_not_take_is_counted(watched: GatewayHost, collected: Collected) -> None:
    collected.takes = False
    for _ in range(3):
        assert (await ask(watched, "mock")).status == 200
    await ended(watched)
    assert watched.worker.metrics.spans_lost >= 6


async def test_where_nobody_listens_nothing_is_kept(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    assert (await ask(gateway, "mock", {"traceparent": f"00-{TRACE}-{SPAN}-01"})).status == 200
    assert gateway.worker.journeys is None
    assert "traceparent" not in upstream.headers[-1]
