"""A request as software that calls it: for a shell, for Python with the packages people have, for Node.

Law: a sample works as it stands, with a key in $ARKWRIGHT_KEY; it holds no key, and what it says is quoted by the rules
of its language. Samples are shown for dialects that the gateway answers, and for no others.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from arkwright.domain.catalog import ModelKind
from arkwright.wire import dialects
from arkwright.wire.dialects import Dialect

HELLO = "Say hello in one short sentence."
KEY = "ARKWRIGHT_KEY"
_MESSAGES_TOKENS_MAX = 256
_STREAMING = ("stream", "stream_options")  # A sample waits for the whole answer.


class Sample(msgspec.Struct, frozen=True):
    """`name` is a word of addresses and ids, `title` what people call it: names of software, the same in any language.
    `needs`: the line that installs it; empty where there is nothing to install.
    """

    name: str
    title: str
    needs: str
    text: str


def first(base_url: str, model: str, kind: ModelKind = "chat") -> list[Sample]:
    """For a first request to this model."""
    if kind == "embedding":
        return of_request(base_url, {"model": model, "input": HELLO}, kind)
    return of_request(base_url, {"model": model, "messages": [{"role": "user", "content": HELLO}]}, kind)


def of_request(base_url: str, body: Mapping[str, Any], kind: ModelKind = "chat") -> list[Sample]:
    """The request with this body in every language; `base_url` is without /v1. The first is for a shell."""
    asked = {name: value for name, value in body.items() if name not in _STREAMING}
    path, method, told, told_node = _CALLS[kind]
    made = [
        Sample("curl", "curl", "", _curl(f"{base_url}{path}", asked)),
        Sample(
            "python",
            "Python (openai)",
            "pip install openai",
            _python("openai", "OpenAI", base_url, method, told, asked),
        ),
    ]
    if kind == "chat":
        ark = _python("volcenginesdkarkruntime", "Ark", base_url, method, told, asked)
        made.append(Sample("ark", "Python (Ark)", 'pip install "volcengine-python-sdk[ark]"', ark))
        made += [sample for dialect, sample in _others(base_url, asked).items() if dialect in dialects.ANSWERED]
    made.append(Sample("node", "Node (openai)", "npm install openai", _node(base_url, method, told_node, asked)))
    return made


_CALLS: dict[ModelKind, tuple[str, str, str, str]] = {
    "chat": (
        "/v1/chat/completions",
        "chat.completions.create",
        "answer.choices[0].message.content",
        "answer.choices[0].message.content",
    ),
    "embedding": (
        "/v1/embeddings",
        "embeddings.create",
        "len(answer.data[0].embedding)",
        "answer.data[0].embedding.length",
    ),
}


def _curl(url: str, body: Mapping[str, Any]) -> str:
    said = shlex.quote(_written(body, _JSON))
    return (
        f'curl {shlex.quote(url)} \\\n  -H "Authorization: Bearer ${KEY}" \\\n'
        f'  -H "Content-Type: application/json" \\\n  -d {said}'
    )


def _python(package: str, client: str, base_url: str, method: str, told: str, body: Mapping[str, Any]) -> str:
    return (
        f"import os\n\nfrom {package} import {client}\n\n"
        f'client = {client}(base_url={_text(f"{base_url}/v1")}, api_key=os.environ["{KEY}"])\n'
        f"answer = client.{method}(\n{_arguments(body)})\nprint({told})"
    )


def _node(base_url: str, method: str, told: str, body: Mapping[str, Any]) -> str:
    said = _written(body, _JSON)
    return (
        'import OpenAI from "openai";\n\n'
        f"const client = new OpenAI({{ baseURL: {_text(f'{base_url}/v1')}, apiKey: process.env.{KEY} }});\n"
        f"const answer = await client.{method}({said});\nconsole.log({told});"
    )


def _others(base_url: str, body: Mapping[str, Any]) -> dict[Dialect, Sample]:
    """Dialects with packages of their own, of what all of them can say: model and messages."""
    said = {"model": body["model"], "messages": body["messages"]}
    anthropic = (
        "import os\n\nfrom anthropic import Anthropic\n\n"
        f'client = Anthropic(base_url={_text(base_url)}, api_key=os.environ["{KEY}"])\n'
        f"answer = client.messages.create(\n{_arguments({**said, 'max_tokens': _MESSAGES_TOKENS_MAX})})\n"
        "print(answer.content[0].text)"
    )
    dashscope = (
        "import os\n\nimport dashscope\n\n"
        f"dashscope.base_http_api_url = {_text(f'{base_url}/api/v1')}\n"
        f'answer = dashscope.Generation.call(\n    api_key=os.environ["{KEY}"],\n'
        f'{_arguments(said)}    result_format="message",\n)\nprint(answer.output.choices[0].message.content)'
    )
    return {
        "anthropic": Sample("anthropic", "Python (anthropic)", "pip install anthropic", anthropic),
        "dashscope": Sample("dashscope", "Python (dashscope)", "pip install dashscope", dashscope),
    }


def _arguments(body: Mapping[str, Any]) -> str:
    return "".join(f"    {name}={_written(value, _PYTHON, 1)},\n" for name, value in body.items())


def _text(text: str) -> str:
    """What JSON escapes in a text, Python and JavaScript read alike."""
    return json.dumps(text, ensure_ascii=False)


def _written(value: Any, words: Mapping[Any, str], depth: int = 0) -> str:
    """A value of JSON as a language writes it: on one line where that is short."""
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, Mapping):
        parts = [f"{_text(str(name))}: {_written(part, words, depth + 1)}" for name, part in value.items()]
        opened, closed = "{", "}"
    elif isinstance(value, list):
        parts = [_written(part, words, depth + 1) for part in value]
        opened, closed = "[", "]"
    else:
        return repr(value)
    line = opened + ", ".join(parts) + closed
    if depth and len(line) <= _LINE_MAX and "\n" not in line:
        return line
    inner = words["indent"] * (depth + 1)
    return f"{opened}\n{inner}" + f",\n{inner}".join(parts) + f"\n{words['indent'] * depth}{closed}"


_LINE_MAX = 90
_PYTHON: dict[Any, str] = {None: "None", True: "True", False: "False", "indent": "    "}
_JSON: dict[Any, str] = {None: "null", True: "true", False: "false", "indent": "  "}
