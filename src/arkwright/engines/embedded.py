"""The embedded engine: llama.cpp in a child process of this host, kept alive by the supervisor.

A deployment is one process; its port and its private key are chosen once, by `apply`, and kept by the caller, so that
a restarted engine is found where it was. What is to be started is decided by `plan`, which does no I/O.
"""

import asyncio
import os
import secrets
import socket
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from arkwright.basics.errors import InvalidInput, Unavailable
from arkwright.basics.settings import Settings
from arkwright.domain.catalog import Traits
from arkwright.engines.deployments import Capabilities, Deployment, Endpoint, Observation, WeightsOf
from arkwright.engines.launch import EXIT_MODEL, EXIT_PORT, VARIABLE, Launch
from arkwright.host import supervisor_client
from arkwright.host.supervisor import ProcessInfo, ProcessSpec
from arkwright.store.weights import StoredModel

STOP_TIMEOUT_S = 5.0
HEALTH_TIMEOUT_S = 2.0
LOG_TAIL_BYTES = 64 * 1024
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"


# OpenAI's fields that llama.cpp takes and does nothing with.
IGNORED_FIELDS = ("echo", "best_of", "suffix", "dimensions", "image_url")
# Its own fields that would reach past a request: longer answers than `max_tokens` holds for, chosen slots, cut answers.
PRIVATE_FIELDS = (
    "n_predict",
    "n_cmpl",
    "t_max_predict_ms",
    "id_slot",
    "response_fields",
    "lora",
    "n_keep",
    "n_discard",
)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an operator may say of a deployment; 0 leaves it to the model list, the settings or the machine."""

    threads: int = 0
    parallel: int = 0
    context_tokens: int = 0
    cache_mib: int = -1  # -1: as the setting engine_cache_mib says.


def options(given: dict[str, Any]) -> dict[str, Any]:
    """The options as they are stored. Raises InvalidInput that names the option."""
    stored: dict[str, Any] = msgspec.to_builtins(_parse(given))
    return stored


def traits(stored: dict[str, Any]) -> Traits:
    """What the gateway must know about llama.cpp, whatever the options are."""
    return Traits(
        usage_source="engine",
        counts_choices=False,
        enforces_tool_choice=False,
        progress="timings",
        on_disconnect="stop",
        legacy_logprobs=False,
        refuses=IGNORED_FIELDS + PRIVATE_FIELDS,
        continues=True,
        health_path="/health",
        counts_prompts=True,
    )


def driver(settings: Settings, weights: WeightsOf) -> "EmbeddedDriver":
    return EmbeddedDriver(settings, weights)


def plan(deployment: Deployment, model: StoredModel, endpoint: Endpoint, settings: Settings, cores: int) -> ProcessSpec:
    """The process that serves a deployment. Raises InvalidInput for options that the model cannot bear."""
    able = capabilities(deployment, model)
    given = _parse(deployment.options)
    chosen = given.threads or settings.engine_threads
    launch = Launch(
        model_path=str(model.weights),
        alias=deployment.name,
        kind=able.kind,
        port=port_of(endpoint),
        key=endpoint.key,
        parallel=able.parallel,
        context_tokens=able.context_tokens,
        threads=chosen or cores,
        # Measured on two shared cores: one stream generates 22 % faster on half of them, with 17 % less CPU; four
        # streams are as fast. A thread more waits for memory, or for the others.
        generation_threads=chosen or max(1, cores // 2),
        cache_mib=settings.engine_cache_mib if given.cache_mib < 0 else given.cache_mib,
        data_dir=settings.data_dir,
        grace_s=settings.drain_timeout_s,
    )
    return ProcessSpec(
        name=process_name(deployment.id),
        argv=(sys.executable, "-m", "arkwright.engines.llama"),
        environment={
            VARIABLE: msgspec.json.encode(launch).decode(),
            "ARKWRIGHT_DATA_DIR": settings.data_dir,  # By which processes of this platform are told from others.
            "OMP_WAIT_POLICY": "passive",
        },
        stop_timeout_s=STOP_TIMEOUT_S,
    )


def capabilities(deployment: Deployment, model: StoredModel) -> Capabilities:
    """Raises InvalidInput for more context than the model was trained for."""
    given, manifest = _parse(deployment.options), model.manifest
    if given.context_tokens > manifest.trained_context_tokens:
        raise InvalidInput(
            f"options: context_tokens = {given.context_tokens} is more than {manifest.name} was trained for"
            f" ({manifest.trained_context_tokens})",
            param="options.context_tokens",
        )
    return Capabilities(
        kind=manifest.kind,
        context_tokens=given.context_tokens or manifest.context_tokens,
        parallel=given.parallel or manifest.parallel,
    )


def process_name(deployment_id: str) -> str:
    return f"engine-{deployment_id}"


def port_of(endpoint: Endpoint) -> int:
    port = urlsplit(endpoint.url).port
    assert port is not None, endpoint.url
    return port


def must_move(process: ProcessInfo | None) -> bool:
    """The engine says that another process has taken its port meanwhile: it would wait for ever."""
    return process is not None and process.state != "running" and process.last_exit == f"exit code {EXIT_PORT}"


def judge(process: ProcessInfo | None, healthy: bool, last_words: Callable[[], str]) -> Observation:
    """From what the supervisor and the engine itself say. `last_words` is asked only when something is wrong."""
    if process is None:
        return Observation("stopped")
    if process.ready and healthy:
        return Observation("ready")
    if process.state == "running" and process.restarts == 0:
        return Observation("starting")
    if process.last_exit == f"exit code {EXIT_MODEL}":
        return Observation("failed", last_words() or "the model cannot be served")
    if process.restarts:
        return Observation("starting", f"it ended {process.restarts} times, last with {process.last_exit}")
    return Observation("starting")


class EmbeddedDriver:
    """The I/O around `plan`: the supervisor's socket, the engine's health, the log file."""

    def __init__(self, settings: Settings, weights: WeightsOf) -> None:
        self._settings = settings
        self._weights = weights
        self._socket = settings.paths.supervisor_socket

    async def apply(self, deployment: Deployment, endpoint: Endpoint | None) -> Endpoint:
        """See `engines.Driver`. Raises NotFound when the weights are not in the model store."""
        model = await asyncio.to_thread(self._weights, deployment.source)
        if endpoint is None or must_move(await self._process(deployment.id)):
            endpoint = new_endpoint()
        cores = len(os.sched_getaffinity(0))
        await supervisor_client.put(self._socket, plan(deployment, model, endpoint, self._settings, cores))
        return endpoint

    async def delete(self, deployment_id: str) -> None:
        """See `engines.Driver`."""
        if await self._process(deployment_id) is not None:
            await supervisor_client.remove(self._socket, process_name(deployment_id))

    async def observe(self, deployment_id: str, endpoint: Endpoint) -> Observation:
        """See `engines.Driver`. While the supervisor is being replaced, the engine's own health decides."""
        healthy = await _is_healthy(port_of(endpoint))
        try:
            process = await self._process(deployment_id)
        except Unavailable as error:
            return Observation("ready") if healthy else Observation("starting", error.message)
        return judge(process, healthy, lambda: "; ".join(self.logs(deployment_id, 2)))

    def log_file(self, deployment_id: str) -> Path:
        return self._settings.paths.logs / f"{process_name(deployment_id)}.log"

    def logs(self, deployment_id: str, lines: int = 100) -> list[str]:
        """The last lines, oldest first; none when there is no log yet."""
        try:
            with self.log_file(deployment_id).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - LOG_TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return []
        return list(deque(text.splitlines(), maxlen=lines))

    def capabilities(self, deployment: Deployment) -> Capabilities:
        """See `engines.Driver`."""
        return capabilities(deployment, self._weights(deployment.source))

    async def _process(self, deployment_id: str) -> ProcessInfo | None:
        name = process_name(deployment_id)
        found = await supervisor_client.aprocesses(self._socket)
        return next((process for process in found if process.name == name), None)


def _parse(given: dict[str, Any]) -> Options:
    try:
        parsed = msgspec.convert(given, Options)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"options of an embedded engine: {error}", param="options") from error
    for name, most in (("threads", 512), ("parallel", 64), ("context_tokens", 1 << 24), ("cache_mib", 1 << 20)):
        value, least = getattr(parsed, name), -1 if name == "cache_mib" else 0
        if not least <= value <= most:
            raise InvalidInput(f"options: {name} = {value} is not between {least} and {most}", param=f"options.{name}")
    return parsed


def new_endpoint() -> Endpoint:
    """A loopback port that is free now, and a key that nobody else knows."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Endpoint(f"http://127.0.0.1:{port}/v1", secrets.token_hex(32))


async def _is_healthy(port: int) -> bool:
    """`GET /health`, which needs no key and answers 200 once the model is loaded."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(HEALTH_REQUEST)
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
            finally:
                writer.close()
    except OSError:  # A time-out is one, too.
        return False
