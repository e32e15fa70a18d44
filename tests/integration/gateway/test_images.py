"""An image that a request points at: passed on to who may fetch it, and to nobody who would fetch it from inside."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain.catalog import Traits
from tests.doubles import gateway_host
from tests.doubles.gateway_host import GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def seen(*urls: Any) -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": {"url": url} if isinstance(url, str) else url} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]


async def test_an_image_within_the_request_is_passed_on(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    assert (await gateway.chat(messages=seen(PIXEL, PIXEL))).status == 200
    assert upstream.requests[-1]["messages"] == seen(PIXEL, PIXEL)


@pytest.mark.parametrize("url", ["https://example.com/cat.png", "http://8.8.8.8/cat.png"])
async def test_a_server_on_our_network_is_handed_no_url(gateway: GatewayHost, url: str) -> None:
    answer = await gateway.chat(messages=seen(PIXEL, url))
    error = answer.json["error"]
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_image_url", "messages")
    assert "data: URL" in error["message"]
    assert gateway.settled() == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/", "http://2130706433/", "file:///etc/passwd", "http://localhost:8080/",
        "https://[::ffff:10.0.0.1]/", "", "DATA:image/png;base64,AA", {"url": 5}, {}, {"href": "x"}, 5,
    ],
)  # fmt: skip
async def test_a_url_that_leads_inside_is_handed_to_nobody(gateway: GatewayHost, url: Any) -> None:
    answer = await gateway.chat(messages=seen(url))
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_image_url"), answer.body


async def test_a_name_written_in_escapes_is_read_all_the_same(gateway: GatewayHost) -> None:
    body = msgspec.json.encode({"model": "mock", "messages": seen("http://10.0.0.1/")})
    body = body.replace(b'"image_url":{', b'"image_\\u0075rl":{')
    headers = {"authorization": f"Bearer {gateway_host.POSTPAID}"}
    answer = await gateway.call("POST", "/v1/chat/completions", body, headers)
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_image_url")


@pytest.mark.parametrize("kind", ["video_url", "audio_url"])
async def test_films_and_sounds_are_held_to_the_same(gateway: GatewayHost, kind: str) -> None:
    part = {"type": kind, kind: {"url": "http://10.0.0.1/"}}
    answer = await gateway.chat(messages=[{"role": "user", "content": [part, "words", {"type": "text", "text": "x"}]}])
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_image_url")


@pytest.mark.parametrize("size", [20_000, 40_000, 3_000_000])
async def test_a_long_image_is_passed_on_whole(gateway: GatewayHost, upstream: OpenAIUpstream, size: int) -> None:
    long = "data:image/png;base64," + "A" * size
    for urls in ((long,), (PIXEL, long), (long, PIXEL)):
        assert (await gateway.chat(messages=seen(*urls))).status == 200
        assert upstream.requests[-1]["messages"] == seen(*urls)
    answer = await gateway.chat(messages=seen(long, "http://10.0.0.1/"))
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_image_url")
    answer = await gateway.chat(messages=seen("http://10.0.0.1/" + "A" * size))
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_image_url")


async def test_images_are_bounded(gateway: GatewayHost) -> None:
    answer = await gateway.chat(messages=seen(*[PIXEL] * 65))
    assert "at most 64" in answer.json["error"]["message"]
    long = "data:image/png;base64," + "A" * (20 * 1024 * 1024)
    answer = await gateway.chat(messages=seen(long))
    assert "20971520 bytes" in answer.json["error"]["message"]


async def test_words_about_images_are_no_images(gateway: GatewayHost) -> None:
    words = [{"role": "user", "content": 'Is "image_url" http://10.0.0.1/ a thing? \u4f60\u597d'}]
    assert (await gateway.chat(messages=words)).status == 200
    parts = [{"role": "user", "content": [{"type": "text", "text": '{"image_url": "http://10.0.0.1/"}'}]}]
    assert (await gateway.chat(messages=parts)).status == 200


async def test_a_model_without_eyes_says_so(tmp_path: Path, upstream: OpenAIUpstream) -> None:
    blind = msgspec.structs.replace(target(upstream, "mock"), traits=Traits(refuses=("image_url",)))
    host = await gateway_host.start(tmp_path, gateway_host.snapshot({"blind": [blind]}))
    try:
        answer = await host.chat("blind", messages=seen(PIXEL))
        assert (answer.status, answer.json["error"]["code"]) == (400, "unsupported_content")
    finally:
        await gateway_host.stop(host)
