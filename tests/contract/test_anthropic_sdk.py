"""The official `anthropic` package, unmodified, against the whole platform and its real model."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.contract.platforms import Platform

MODEL = "smollm2-135m-instruct"
HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALLING: Any = {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "get_weather"}}

pytestmark = pytest.mark.xdist_group("contract")  # One platform for all of them.


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[anthropic.Anthropic]:
    root = platform.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=platform.api_key, max_retries=0, timeout=120) as made:
        yield made


def test_a_message(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(model=MODEL, max_tokens=8, system="Be kind.", messages=HELLO)
    assert isinstance(answer.content[0], anthropic.types.TextBlock)
    assert answer.content[0].text
    assert (answer.role, answer.model, answer.type) == ("assistant", MODEL, "message")
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert answer.usage.output_tokens <= 8
    assert answer._request_id is not None
    assert answer._request_id.startswith("req_")


def test_a_stream_adds_up_to_a_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model=MODEL, max_tokens=8, messages=HELLO) as stream:
        words = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert isinstance(message.content[0], anthropic.types.TextBlock)
    assert message.content[0].text == words
    assert message.usage.output_tokens == 8
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5


def test_what_is_counted_is_what_is_read(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": MODEL, "system": "Be kind.", "messages": HELLO}
    counted = client.messages.count_tokens(**asked)
    usage = client.messages.create(**asked, max_tokens=1).usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_with_a_tool(client: anthropic.Anthropic, stream: bool) -> None:
    question: Any = {"role": "user", "content": "Weather in Paris?"}
    if stream:
        with client.messages.stream(model=MODEL, max_tokens=80, messages=[question], **CALLING) as events:
            called = events.get_final_message()
    else:
        called = client.messages.create(model=MODEL, max_tokens=80, messages=[question], **CALLING)
    assert called.stop_reason == "tool_use"
    use = called.content[0]
    assert isinstance(use, anthropic.types.ToolUseBlock)
    assert (use.name, set(use.input)) == ("get_weather", {"city"})
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    turns: Any = [question, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    said = client.messages.create(model=MODEL, max_tokens=8, messages=turns, tools=[WEATHER])
    assert said.usage.output_tokens > 0


def test_models(client: anthropic.Anthropic) -> None:
    assert MODEL in {model.id for model in client.models.list(limit=1)}  # It asks page after page.
    assert client.models.retrieve(MODEL).display_name == MODEL


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "claude-none"}, anthropic.NotFoundError),
        ({"max_tokens": 0}, anthropic.BadRequestError),
        ({"messages": []}, anthropic.BadRequestError),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError),
    ],
)
def test_errors_are_its_own(client: anthropic.Anthropic, fields: Any, error: type[anthropic.APIStatusError]) -> None:
    asked: Any = {"model": MODEL, "max_tokens": 5, "messages": HELLO} | fields
    with pytest.raises(error) as refused:
        client.messages.create(**asked)
    assert refused.value.request_id is not None
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "error"


def test_a_wrong_key_is_an_authentication_error(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="ak-wrong").messages.create(model=MODEL, max_tokens=5, messages=HELLO)


def test_the_same_prompt_costs_the_same_in_every_dialect(platform: Platform, client: anthropic.Anthropic) -> None:
    """The second time: by then the engine has the prompt in its cache, whoever asked first."""
    root = platform.base_url.removesuffix("/v1")
    prompt: Any = [{"role": "user", "content": "Say one word about the sea."}]
    ids: list[str] = []
    for _ in range(2):
        ids = []
        message = client.messages.create(model=MODEL, max_tokens=6, messages=prompt, extra_body={"temperature": 0})
        ids.append(str(message._request_id))
        for base in (f"{root}/v1", f"{root}/api/v3", f"{root}/compatible-mode/v1"):
            with openai.OpenAI(base_url=base, api_key=platform.api_key, max_retries=0) as one:
                raw = one.chat.completions.with_raw_response.create(
                    model=MODEL, max_tokens=6, messages=prompt, temperature=0
                )
                ids.append(raw.headers["x-request-id"])
    charges = [platform.cli_json("charges", "show", id_) for id_ in ids]
    assert len({(str(charge["usage"]), charge["amount"], charge["price_version"]) for charge in charges}) == 1
    assert float(charges[0]["amount"]) > 0
