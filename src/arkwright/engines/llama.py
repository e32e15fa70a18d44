"""The llama.cpp child process: `python -m arkwright.engines.llama`, told what to do by `ARKWRIGHT_ENGINE` (JSON).

Serves OpenAI's API on one loopback port behind a private key. A crash in here costs the platform one restart of this
process and nothing else. Must never be imported by another process: it loads the engine's native code.

Exit codes tell the driver what happened: 0 asked to stop, 3 the model cannot be served, 4 the port is taken.
"""

import contextlib
import errno
import http.client
import importlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from arkwright.basics.paths import DataDir
from arkwright.engines.launch import EXIT_MODEL, EXIT_PORT, VARIABLE, Launch
from arkwright.host import lifeline

# Each open connection holds a thread of the engine, idle or not: with its default of about 15, the pools of a few
# gateway workers make the next request wait 5 s. A waiting thread costs some 50 KiB.
HTTP_THREADS = 256
LOOPBACK = "127.0.0.1"
HEALTH_POLL_S = 0.02


def main() -> int:
    launch = msgspec.json.decode(os.environ.pop(VARIABLE), type=Launch)  # The key must not be inherited further.
    lifeline.watch_in_thread(lambda: _end_after(launch.grace_s))
    if not Path(launch.model_path).is_file():
        return _refuse(EXIT_MODEL, f"the weights are not there: {launch.model_path}; pull the model again")
    if not _port_is_free(launch.port):
        return _refuse(EXIT_PORT, f"port {launch.port} on {LOOPBACK} is taken by another process")
    # OpenMP threads that spin while they wait cost 2.4 times the CPU when cores are shared with the gateway.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        server = _serve(launch)
    except RuntimeError as error:
        return _refuse(EXIT_MODEL, f"llama.cpp cannot serve {launch.model_path}: {error} Its own words are above")
    _wait_until_healthy(launch.port)
    signal.signal(
        signal.SIGTERM, lambda *_: os._exit(0)
    )  # Nothing to save: what streams is cut, and counted by others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the supervisor decides.
    lifeline.write_ready(DataDir(Path(launch.data_dir)), {"url": f"http://{LOOPBACK}:{launch.port}/v1"})
    sys.stderr.write(f"serving {launch.alias} on {LOOPBACK}:{launch.port}\n")
    threading.Event().wait()
    del server
    return 0


def _serve(launch: Launch) -> object:
    """Load the weights and listen; seconds to minutes. Raises RuntimeError, with the reason in the log."""
    # Loads native code, which reads OMP_WAIT_POLICY then: only now. The module has no types.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = launch.model_path
    parameters.model_alias = {launch.alias}
    parameters.hostnames = [LOOPBACK]
    parameters.port = launch.port
    parameters.api_keys = [launch.key]
    parameters.n_parallel = launch.parallel
    parameters.n_ctx = launch.parallel * launch.context_tokens  # llama.cpp divides it between the slots.
    parameters.fit_params = False  # What was planned is served, or refused; never a silently smaller context.
    parameters.cpuparams.n_threads = launch.generation_threads
    parameters.cpuparams_batch.n_threads = launch.threads
    parameters.cache_ram_mib = launch.cache_mib
    parameters.n_threads_http = HTTP_THREADS
    parameters.ui = False
    parameters.endpoint_slots = True
    parameters.cors_origins = ""
    parameters.verbosity = 2  # Warnings and errors; never a prompt.
    if launch.kind == "embedding":
        parameters.embedding = True
        parameters.n_ubatch = parameters.n_batch  # An input is computed in one piece, or refused.
    return xllamacpp.Server(parameters)


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _wait_until_healthy(port: int) -> None:
    while True:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(HEALTH_POLL_S)


def _end_after(grace_s: float) -> None:
    """The supervisor is gone: let the gateways finish what they stream, then make room for a new engine."""
    time.sleep(grace_s)
    os._exit(0)


def _refuse(code: int, message: str) -> int:
    sys.stderr.write(message + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
