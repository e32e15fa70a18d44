"""The embedded engine with the real model: starts, answers, dies and comes back, stops when nobody listens."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from arkwright.basics.errors import NotFound
from arkwright.engines.deployments import Deployment, Endpoint
from arkwright.engines.embedded import new_endpoint, plan
from arkwright.engines.launch import EXIT_MODEL, VARIABLE, Launch
from arkwright.host import supervisor_client
from arkwright.store.weights import ModelStore
from tests.integration.models.conftest import Engine, Host

pytestmark = pytest.mark.anyio

CHAT = "smollm2-135m-instruct"
HELLO = [{"role": "user", "content": "hello"}]
ENDLESS = {"messages": HELLO, "max_tokens": 400, "ignore_eos": True}


async def pid_of(host: Host, engine: Engine) -> int:
    found = await supervisor_client.aprocesses(host.settings.paths.supervisor_socket)
    pid = next(process.pid for process in found if process.name == f"engine-{engine.deployment.id}")
    assert pid is not None
    return pid


async def busy(engine: Engine) -> int:
    slots = (await engine.client.get("/slots")).json()
    return sum(slot["is_processing"] for slot in slots)


async def until_idle(engine: Engine, deadline_s: float) -> float:
    began = time.monotonic()
    while await busy(engine):
        assert time.monotonic() - began < deadline_s, "the engine goes on for nobody"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_an_engine_serves_refuses_dies_comes_back_and_goes(host: Host) -> None:
    engine = await host.deploy(CHAT, context_tokens=512, parallel=2)
    await engine.ready()

    answer = (await engine.ask("/v1/chat/completions", messages=HELLO, max_tokens=5)).json()
    assert answer["model"] == "a-model"
    assert answer["usage"]["completion_tokens"] == 5

    stranger = await engine.client.post("/v1/chat/completions", json={}, headers={"Authorization": "Bearer guess"})
    assert stranger.status_code == 401

    long = await engine.ask("/v1/chat/completions", messages=[{"role": "user", "content": "word " * 600}])
    assert long.status_code == 400
    error = long.json()["error"]
    assert (error["type"], error["n_ctx"]) == ("exceed_context_size_error", 512)
    assert error["n_prompt_tokens"] > 600

    assert await host.driver.apply(engine.deployment, engine.endpoint) == engine.endpoint
    before = await pid_of(host, engine)
    os.kill(before, signal.SIGKILL)
    await engine.observed(lambda observation: observation.state != "ready")
    await engine.ready()
    assert await pid_of(host, engine) != before
    again = await engine.ask("/v1/chat/completions", messages=HELLO, max_tokens=2)
    assert again.json()["usage"]["completion_tokens"] == 2
    assert sum("serving a-model" in line for line in host.driver.logs(engine.deployment.id)) == 2

    began = time.monotonic()
    await host.driver.delete(engine.deployment.id)
    assert time.monotonic() - began < 2
    assert (await host.driver.observe(engine.deployment.id, engine.endpoint)).state == "stopped"
    await host.driver.delete(engine.deployment.id)


async def test_a_stream_that_nobody_reads_any_more_is_stopped(host: Host) -> None:
    engine = await host.deploy(CHAT, context_tokens=512, parallel=2)
    await engine.ready()
    async with engine.client.stream("POST", "/v1/chat/completions", json={**ENDLESS, "stream": True}) as answer:
        async for line in answer.aiter_lines():
            if '"content":"' in line:
                break
        assert await busy(engine) == 1
    assert await until_idle(engine, deadline_s=2) < 1


async def test_many_resting_connections_do_not_delay_the_next_request(host: Host) -> None:
    """The engine gives each connection a thread; a few gateway workers with pools would use its default up."""
    engine = await host.deploy(CHAT, context_tokens=512, parallel=2)
    await engine.ready()
    port = int(engine.endpoint.url.split(":")[2].split("/")[0])
    with contextlib.ExitStack() as resting:
        for _ in range(100):
            connection = resting.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.settimeout(10)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert (await engine.ask("/v1/chat/completions", messages=HELLO, max_tokens=1)).status_code == 200
        assert time.monotonic() - began < 3


async def test_a_model_that_cannot_be_loaded_is_failed_and_says_why(host: Host, model_store: ModelStore) -> None:
    whole = model_store.get(CHAT)
    cut = host.settings.paths.root / "cut.gguf"
    cut.write_bytes(whole.weights.read_bytes()[:50_000_000])
    broken = msgspec.structs.replace(
        whole,
        directory=cut.parent,
        manifest=msgspec.structs.replace(
            whole.manifest, files=(msgspec.structs.replace(whole.manifest.files[0], path=cut.name),)
        ),
    )
    host.driver._weights = lambda source: broken
    engine = await host.deploy("file:/cut.gguf")
    observation = await engine.observed(lambda observation: observation.state == "failed")
    assert "cut.gguf" in observation.error
    assert any("model is corrupted or incomplete" in line for line in host.driver.logs(engine.deployment.id))


async def test_weights_that_were_not_pulled_are_named(host: Host) -> None:
    with pytest.raises(NotFound, match=r"arkwright models pull hf:a/b/c\.gguf"):
        await host.deploy("hf:a/b/c.gguf")


async def test_an_engine_whose_port_was_taken_moves(host: Host) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = Endpoint(f"http://127.0.0.1:{other.getsockname()[1]}/v1", "secret")
        engine = await host.deploy(CHAT, taken, context_tokens=512, parallel=1)
        assert engine.endpoint == taken
        await engine.observed(lambda observation: "exit code 4" in observation.error)
        deadline = time.monotonic() + 10
        while engine.endpoint == taken:
            assert time.monotonic() < deadline
            engine.endpoint = await host.driver.apply(engine.deployment, engine.endpoint)
        assert engine.endpoint.key != ""
        await engine.ready()


def launched(host: Host, model: Path | None = None) -> tuple[list[str], dict[str, str]]:
    """The engine as the supervisor would start it."""
    stored = host.driver._weights(CHAT)
    deployment_plan = plan(
        Deployment(id="dep_x", name="x", source=CHAT), stored, new_endpoint(), host.settings, cores=2
    )
    environment = {**os.environ, **deployment_plan.environment}
    if model is not None:
        launch = msgspec.json.decode(environment[VARIABLE], type=Launch)
        environment[VARIABLE] = msgspec.json.encode(msgspec.structs.replace(launch, model_path=str(model))).decode()
    return list(deployment_plan.argv), environment


def test_an_engine_ends_when_its_supervisor_is_gone(tmp_path: Path, model_store: ModelStore) -> None:
    argv, environment = launched(Host(tmp_path, model_store))
    read_end, write_end = os.pipe()
    environment |= {"ARKWRIGHT_LIFELINE_FD": str(read_end), "ARKWRIGHT_PROCESS_NAME": "engine-x"}
    ready = tmp_path / "run" / "ready" / "engine-x.json"
    with subprocess.Popen(argv, env=environment, pass_fds=(read_end,), stdout=subprocess.DEVNULL) as process:
        os.close(read_end)
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert psutil.Process(process.pid).environ()["OMP_WAIT_POLICY"] == "passive"
        os.close(write_end)
        assert process.wait(5) == 0


def test_missing_weights_are_told_with_an_exit_code(tmp_path: Path, model_store: ModelStore) -> None:
    argv, environment = launched(Host(tmp_path, model_store), tmp_path / "gone.gguf")
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == EXIT_MODEL
    assert f"the weights are not there: {tmp_path}/gone.gguf" in done.stderr
