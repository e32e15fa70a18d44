"""Idempotency-Key as the unmodified `openai` package sends it, its own retries included, on two workers."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx  # What the package itself speaks through.
import openai
import pytest

from tests.contract.platforms import Platform

pytestmark = pytest.mark.xdist_group("contract")  # One platform for all of them.

MODEL, VECTORS = "smollm2-135m-instruct", "all-minilm-l6-v2"
HELLO: Any = [{"role": "user", "content": "hello"}]


class Losing(httpx.HTTPTransport):
    """Loses the first answers on their way back, after the platform has given them."""

    def __init__(self, lose: int = 0) -> None:
        super().__init__()
        self.lose = lose
        self.sent: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        response = super().handle_request(request)
        if len(self.sent) > self.lose:
            return response
        response.read()
        response.close()
        raise httpx.ReadError("the answer was lost on its way")


@pytest.fixture
def transport() -> Losing:
    return Losing()


@pytest.fixture
def client(platform: Platform, transport: Losing) -> Iterator[openai.OpenAI]:
    # No connection is kept, so that the kernel spreads requests over both workers.
    with (
        httpx.Client(transport=transport, headers={"connection": "close"}, timeout=120) as http,
        openai.OpenAI(base_url=platform.base_url, api_key=platform.api_key, http_client=http, max_retries=3) as made,
    ):
        yield made


def charges(platform: Platform) -> int:
    return int(platform.cli_json("bill")["charges"])


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_the_same_again_is_the_same_answer_and_one_charge(client: openai.OpenAI, platform: Platform) -> None:
    headers, before = key(), charges(platform)
    ask: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 8, "temperature": 1, "extra_headers": headers}
    first = client.chat.completions.with_raw_response.create(**ask)
    again = [client.chat.completions.with_raw_response.create(**ask) for _ in range(4)]
    assert {one.content for one in again} == {first.content}
    assert {one.headers["idempotent-replayed"] for one in again} == {"true"}
    assert {one.request_id for one in again} == {first.request_id}
    assert charges(platform) == before + 1
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(**ask | {"max_tokens": 9})
    assert refused.value.code == "idempotency_key_reused"
    assert charges(platform) == before + 1


def test_an_answer_that_was_lost_is_had_by_the_packages_own_retry(
    client: openai.OpenAI, platform: Platform, transport: Losing
) -> None:
    before, transport.lose = charges(platform), 2
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=8, extra_headers=key()
    )
    assert len(transport.sent) == 3
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.parse().choices[0].message.content
    assert charges(platform) == before + 1


def test_a_stream_is_replayed_event_by_event(client: openai.OpenAI, platform: Platform) -> None:
    headers, before = key(), charges(platform)

    def chunks() -> list[Any]:
        options: Any = {"stream_options": {"include_usage": True}, "extra_headers": headers}
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, stream=True, **options)
        return [chunk.model_dump() for chunk in stream]

    first = chunks()
    assert len(first) > 5
    assert chunks() == first
    assert charges(platform) == before + 1


def test_those_at_once_on_both_workers_are_one(client: openai.OpenAI, platform: Platform) -> None:
    headers, before = key(), charges(platform)

    def ask(_: int) -> tuple[str, bytes]:
        answer = client.completions.with_raw_response.create(
            model=MODEL, prompt="once", max_tokens=30, extra_headers=headers
        )
        return answer.request_id or "", answer.content

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(ask, range(20)))
    assert len(answers) == 1
    assert charges(platform) == before + 1


def test_embeddings_too(client: openai.OpenAI, platform: Platform) -> None:
    headers, before = key(), charges(platform)
    vectors = [client.embeddings.create(model=VECTORS, input="hello", extra_headers=headers) for _ in range(2)]
    assert vectors[0] == vectors[1]
    assert charges(platform) == before + 1
