"""nginx twice: as the mock that answers as fast as anything can, and as the peer that all others are compared to.

Law: the peer is set up as well as we know: keep-alive on both sides, no access log, bodies kept in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway.installed import from_debian
from benchmarks.gateway.processes import Place, Running, free_port, started, wait_for_port
from benchmarks.upstream import BODY

NAME = "nginx"
_FRAME = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_max_body_size 32m;
  client_body_buffer_size 4m;
  {inside}
}}
"""
_MOCK = """
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}
"""
_PEER = """
  upstream mock {{
    server 127.0.0.1:{upstream};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
"""


@contextmanager
def _nginx(name: str, inside: str, port: int, directory: Path, core: int) -> Iterator[Running]:
    binary = from_debian("nginx-light", "nginx")
    directory.mkdir(parents=True, exist_ok=True)
    config, log = directory / "nginx.conf", directory / "nginx.log"
    config.write_text(_FRAME.format(directory=directory, inside=inside))
    with started([binary, "-c", str(config), "-e", str(log)], core=core, log=log) as child:
        wait_for_port(port, child, log)
        yield Running(name, port, child)


@contextmanager
def mock(directory: Path, core: int) -> Iterator[int]:
    """Answers every request with the same kilobyte; yields its port."""
    port = free_port()
    inside = _MOCK.format(port=port, body=BODY.decode())
    with _nginx("mock", inside, port, directory, core) as running:
        yield running.port


@contextmanager
def peer(place: Place) -> Iterator[Running]:
    port = free_port()
    inside = _PEER.format(port=port, upstream=place.upstream)
    with _nginx(NAME, inside, port, place.directory, place.core) as running:
        yield running
