"""A collector that takes OTLP over HTTP on a real socket; fails when told to."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


class Collector:
    """`points`: by metric and attributes, the last point that was taken: (count, sum). `status`: what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.points: dict[tuple[str, frozenset[tuple[str, str]]], tuple[int, float]] = {}
        self.names: set[str] = set()
        self.text = b""
        taken = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                taken.asked += 1
                if taken.status == 200:
                    taken.take(body)
                self.send_response(taken.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, body: bytes) -> None:
        self.text += body
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.names.add(metric.name)
                    for point in metric.histogram.data_points:
                        told = frozenset((pair.key, pair.value.string_value) for pair in point.attributes)
                        self.points[(metric.name, told)] = (point.count, point.sum)

    def sums(self, name: str, *wanted: tuple[str, str]) -> tuple[int, float]:
        """Count and sum of a metric's points with these attributes."""
        found = [point for (metric, told), point in self.points.items() if metric == name and set(wanted) <= told]
        return sum(count for count, _ in found), sum(total for _, total in found)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
