"""Samples say the request they are of, in each language, whatever is in it; and only in dialects that are answered."""

import ast
import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest

from arkwright.console import samples
from arkwright.gateway.router import ROUTES
from arkwright.wire import dialects

BASE = "http://localhost:8080"
BODIES: list[dict[str, Any]] = [
    {
        "model": "a/b:c",
        "messages": [{"role": "user", "content": 'it\'s "quoted" \\ `x` $HOME ${y} \u2028 \x00 你好\n'}],
    },
    {
        "model": "m",
        "messages": [{"role": "system", "content": ""}],
        "temperature": 0.2,
        "seed": None,
        "stop": ["\n", "'"],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"required": [], "strict": True, "x": {}}}}
        ],
    },
]


@pytest.mark.parametrize("dialect", dialects.PATHS)
def test_a_dialect_is_called_answered_if_the_gateway_answers_it(dialect: dialects.Dialect) -> None:
    routed = "POST" in ROUTES.get(dialects.PATHS[dialect], {})
    assert (dialect in dialects.ANSWERED) == routed, "bring ANSWERED in wire/dialects.py to what the router has"


def test_only_dialects_that_are_answered_have_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "ANSWERED", frozenset({"openai"}))
    assert [sample.name for sample in samples.first(BASE, "m")] == ["curl", "python", "ark", "node"]
    monkeypatch.setattr(dialects, "ANSWERED", frozenset({"openai", "anthropic"}))
    assert [sample.name for sample in samples.first(BASE, "m")] == ["curl", "python", "ark", "anthropic", "node"]


@pytest.mark.parametrize("body", BODIES)
def test_a_shell_sends_the_very_body(body: dict[str, Any]) -> None:
    words = shlex.split(samples.of_request(BASE, {**body, "stream": True})[0].text.replace("\\\n", " "))
    assert words[0] == "curl"
    assert words[1] == f"{BASE}/v1/chat/completions"
    assert json.loads(words[words.index("-d") + 1]) == body


@pytest.mark.parametrize("body", BODIES)
def test_python_passes_the_very_body(body: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialects, "ANSWERED", frozenset(dialects.PATHS))
    made = [sample for sample in samples.of_request(BASE, body) if sample.title.startswith("Python")]
    assert len(made) == 4
    for sample in made:
        calls = [node for node in ast.walk(ast.parse(sample.text)) if isinstance(node, ast.Call)]
        given = next(
            {each.arg: each.value for each in call.keywords}
            for call in calls
            if any(each.arg == "model" for each in call.keywords)
        )
        assert ast.literal_eval(given["messages"]) == body["messages"]
        if sample.name in ("python", "ark"):
            assert {name: ast.literal_eval(value) for name, value in given.items() if name} == body


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("body", BODIES)
def test_node_parses(body: dict[str, Any]) -> None:
    text = next(sample.text for sample in samples.of_request(BASE, body) if sample.name == "node")
    checked = subprocess.run(
        ["node", "--input-type=module", "--check", "-"],
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stderr.decode()


def test_an_embedding_model_is_asked_for_vectors() -> None:
    made = {sample.name: sample.text for sample in samples.first(BASE, "v", "embedding")}
    assert set(made) == {"curl", "python", "node"}
    assert all("embeddings" in text for text in made.values())
