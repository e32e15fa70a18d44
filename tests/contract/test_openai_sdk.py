"""The official `openai` package, unmodified, against the whole platform and its real models."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.contract.platforms import Platform

MODEL, VECTORS = "smollm2-135m-instruct", "all-minilm-l6-v2"
HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

pytestmark = pytest.mark.xdist_group("contract")  # One platform for all of them.


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=platform.base_url, api_key=platform.api_key, max_retries=0, timeout=120) as made:
        yield made


def test_models(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} >= {MODEL, VECTORS}
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-none")
    assert refused.value.code == "model_not_found"
    assert refused.value.request_id is not None


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, temperature=0)
    assert answer.choices[0].message.content
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8
    assert answer.usage.prompt_tokens > 5


def test_chat_stream_and_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=HELLO, max_tokens=8, stream=True, stream_options={"include_usage": True}
        )
    )
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    assert usage.completion_tokens == 8
    assert all("timings" not in (chunk.model_extra or {}) for chunk in chunks)
    silent = list(client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=4, stream=True))
    assert all(chunk.usage is None for chunk in silent)
    assert silent[-1].choices[0].finish_reason == "length"


def test_a_seed_gives_the_same_words(client: openai.OpenAI) -> None:
    def words() -> str | None:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=12, seed=42, temperature=1)
        return answer.choices[0].message.content

    assert words() == words()


def test_stop(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="1 2 3 4 5 6 7", max_tokens=30, temperature=0, stop=["9"])
    assert "9" not in answer.choices[0].text


@pytest.mark.parametrize("stream", [False, True])
def test_n_counts_every_choice(client: openai.OpenAI, stream: bool) -> None:
    if stream:
        chunks = list(
            client.chat.completions.create(
                model=MODEL,
                messages=HELLO,
                max_tokens=6,
                n=2,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
        assert len({chunk.id for chunk in chunks}) == 1
        usage = chunks[-1].usage
    else:
        answer = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=6, n=2, temperature=0)
        assert [choice.index for choice in answer.choices] == [0, 1]
        usage = answer.usage
    assert usage is not None
    assert usage.completion_tokens == 12


def test_logprobs(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=3, logprobs=True, top_logprobs=2, temperature=0
    )
    logprobs = chat.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert len(logprobs.content) == 3
    assert len(logprobs.content[0].top_logprobs) == 2
    legacy = (
        client.completions.create(model=MODEL, prompt="hello", max_tokens=3, logprobs=2, temperature=0)
        .choices[0]
        .logprobs
    )
    assert legacy is not None
    assert legacy.tokens is not None
    assert legacy.token_logprobs is not None
    assert len(legacy.tokens) == len(legacy.token_logprobs) == 3


def test_json(client: openai.OpenAI) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "A person as JSON."}],
        max_tokens=120,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}},
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_forced_tool_is_called(client: openai.OpenAI, choice: Any, stream: bool) -> None:
    arguments: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Weather in Paris?"}],
        "tools": [WEATHER],
        "tool_choice": choice,
        "max_tokens": 100,
        "temperature": 0,
    }
    if stream:
        chunks = list(client.chat.completions.create(stream=True, **arguments))
        call = next(c.choices[0].delta.tool_calls for c in chunks if c.choices[0].delta.tool_calls)[0]
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
    else:
        answer = client.chat.completions.create(**arguments)
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_a_tool_result_is_taken_back(client: openai.OpenAI) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages: Any = [
        {"role": "user", "content": "Weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], max_tokens=8)
    assert answer.usage is not None


def test_completions_with_several_prompts(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=["one two", "red green"], max_tokens=4, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
    assert "".join(
        c.choices[0].text for c in client.completions.create(model=MODEL, prompt="a", max_tokens=4, stream=True)
    )


def test_embeddings_as_floats_and_as_base64(client: openai.OpenAI) -> None:
    texts = ["A cat sat on the mat.", "A feline rested on the rug.", "Interest rates rose again."]
    # The SDK asks for base64 unless told otherwise, and decodes it itself.
    rows = [row.embedding for row in client.embeddings.create(model=VECTORS, input=texts).data]
    floats = client.embeddings.create(model=VECTORS, input=texts, encoding_format="float")

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert len(rows[0]) == 384
    assert cosine(rows[0], rows[1]) > cosine(rows[0], rows[2]) + 0.2
    assert floats.data[0].embedding == pytest.approx(rows[0], abs=1e-5)
    assert floats.usage.prompt_tokens > 10


def test_refusals_are_the_sdks_own_exceptions(client: openai.OpenAI, platform: Platform) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model=MODEL, messages=HELLO, temperature=9)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-none", messages=HELLO)
    wrong = openai.OpenAI(base_url=platform.base_url, api_key="ak-wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError) as unknown:
        wrong.models.list()
    assert unknown.value.code == "invalid_api_key"


def test_a_prompt_that_is_too_long_is_told_both_numbers(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert refused.value.code == "context_length_exceeded"
    limit = client.models.retrieve(MODEL).model_extra["context_window"]  # type: ignore[index]
    assert str(limit) in refused.value.message
    assert "20" in refused.value.message
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=VECTORS, input="word " * 2000)


def test_what_is_not_supported_is_refused_in_words(client: openai.OpenAI) -> None:
    picture: Any = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    with pytest.raises(openai.BadRequestError, match="images"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": picture}])
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model=VECTORS, input="x", dimensions=64)
    with pytest.raises(openai.BadRequestError, match="echo"):
        client.completions.create(model=MODEL, prompt="x", echo=True, max_tokens=2)


def test_the_log_of_an_engine_can_be_read(platform: Platform) -> None:
    log = platform.cli_json("deployments", "logs", MODEL)
    assert any(f"serving {MODEL}" in line for line in log["lines"])
    refused = platform.cli("deployments", "logs", "absent", check=False)
    assert (refused.returncode, "absent" in refused.stderr) == (1, True)
