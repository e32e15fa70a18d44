"""A key narrowed to some APIs calls those and no other, whoever carries its requests: Python, or the pump."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from arkwright.basics.ids import secret_sha256
from arkwright.domain.catalog import Target
from arkwright.domain.tenancy import KEY_SCOPES, Key
from arkwright.gateway import pump, scopes
from arkwright.gateway.router import DATA_PLANE, ROUTES
from tests.doubles import gateway_host
from tests.doubles.canned_upstream import CannedUpstream
from tests.doubles.gateway_host import GatewayHost
from tests.integration.gateway.test_pump import whole, with_length

pytestmark = pytest.mark.anyio

CARRIERS = ["off", *(["on"] if pump.built() else [])]
CHATS, EMBEDS, READS = "ak-chats", "ak-embeds", "ak-reads"


@pytest.fixture(params=CARRIERS)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GatewayHost]:
    async with CannedUpstream() as upstream:
        upstream.answer = with_length(whole("same"))
        known = gateway_host.snapshot({"same": [Target("tgt_same", "same", upstream.base_url, "same")]})
        narrowed = {
            secret_sha256(secret): Key(f"key_{secret}", "org_pre", "prj_pre", scopes=frozenset(names))
            for secret, names in ((CHATS, {"chat"}), (EMBEDS, {"embeddings", "models"}), (READS, {"models"}))
        }
        snapshot = msgspec.structs.replace(known, keys=dict(known.keys) | narrowed)
        made = await gateway_host.start(tmp_path, snapshot, pump=request.param)
        made.words.set_ceiling(0, 1000 * gateway_host.UNIT)
        yield made
        await made.quiet()
        await gateway_host.stop(made)


async def chat_often(host: GatewayHost, key: str) -> list[int]:
    """The statuses of five plain chats on one connection, which the pump would carry once there is a lane."""
    body = json.dumps({"model": "same", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}"
    )
    found = []
    async with host.connect() as (reader, writer), asyncio.timeout(20):
        for _ in range(5):
            writer.write(head.encode() + b"\r\n\r\n" + body)
            told = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(told.split(b"content-length: ")[1].split(b"\r\n")[0]))
            found.append(int(told.split()[1]))
    return found


def carried(host: GatewayHost) -> int:
    if host.worker.lanes is None:
        return 0
    host.worker.lanes.count()
    return host.worker.lanes.carried


async def test_what_a_scope_refuses_is_not_carried_and_what_it_names_is(host: GatewayHost) -> None:
    assert (
        await host.chat("same", gateway_host.PREPAID, stop="x")
    ).status == 200  # A connection to the upstream at rest.
    for key in (READS, EMBEDS):
        assert await chat_often(host, key) == [403] * 5
    assert carried(host) == 0
    assert await chat_often(host, CHATS) == [200] * 5
    assert (carried(host) > 0) is (host.worker.lanes is not None)
    assert await chat_often(host, READS) == [403] * 5, "nor along a lane that another key has made"
    await host.quiet()
    assert {record.key_id for record in host.settled()} == {"key_pre", f"key_{CHATS}"}


async def test_the_refusal_is_in_words_of_the_api_that_was_called(host: GatewayHost) -> None:
    answer = await host.chat("same", READS)
    error = answer.json["error"]
    assert answer.status == 403
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "insufficient_permissions"
    assert "/v1/chat/completions" in error["message"]
    assert "models only" in error["message"]
    assert READS not in error["message"]


CHAT_PATHS = {
    "/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/api/v3/chat/completions",
    "/compatible-mode/v1/chat/completions", "/apps/anthropic/v1/messages", "/apps/anthropic/v1/messages/count_tokens",
}  # fmt: skip
MODEL_PATHS = {"/v1/models", "/v1/models/same", "/compatible-mode/v1/models"}
EMBEDDING_PATHS = {"/v1/embeddings", "/api/v3/embeddings", "/compatible-mode/v1/embeddings"}


@pytest.mark.parametrize(
    ("key", "allowed"), [(CHATS, CHAT_PATHS), (EMBEDS, EMBEDDING_PATHS | MODEL_PATHS), (READS, MODEL_PATHS)]
)
async def test_every_path_of_the_data_plane(host: GatewayHost, key: str, allowed: set[str]) -> None:
    for path, methods in [*((path, list(one)) for path, one in ROUTES.items()), ("/v1/models/same", ["GET"])]:
        if path.startswith(DATA_PLANE):
            for method in methods:
                answer = await host.call(method, path, b"{}", {"authorization": f"Bearer {key}"})
                assert (answer.status == 403) is (path not in allowed), path


def test_every_path_has_a_scope_and_every_scope_a_path() -> None:
    paths = {path for path in ROUTES if path.startswith(DATA_PLANE)}
    assert paths <= set(scopes.API_OF)
    assert set(scopes.API_OF.values()) == set(KEY_SCOPES)
