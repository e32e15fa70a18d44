"""A small hub that speaks as huggingface.co does: `resolve/` redirects to a CDN path on another host name, with the
linked ETag and size; the CDN knows Range. It can break off, change its file and ask for a token."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Hub:
    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.content = content
        self.token = ""  # Asked for when set.
        self.break_off_after = 0  # The next answers of the CDN end after so many bytes; 0: they do not.
        self.break_offs = 0
        self.knows_range = True
        self.lies = b""  # What the CDN sends instead of the content it promised.
        self.requests: list[tuple[str, str, str | None, str | None]] = []  # Method, path, Range, Authorization.
        hub = self

        class Handler(_Handler):
            served = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub, path = self.served, urlsplit(self.path).path
        hub.requests.append((self.command, path, self.headers.get("Range"), self.headers.get("Authorization")))
        if path == f"/cdn/{hub.path.rsplit('/', 1)[-1]}":
            self._cdn(body=body)
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._empty(401)
        elif path == hub.path.replace("/new-name/", "/old-name/"):
            self._empty(307, Location=hub.path)
        elif path == hub.path:
            name = hub.path.rsplit("/", 1)[-1]
            self._empty(
                302,
                Location=f"http://localhost:{hub.port}/cdn/{name}?signature=x",
                **{"X-Linked-Etag": f'"{hashlib.sha256(hub.content).hexdigest()}"'},
                **{"X-Linked-Size": str(len(hub.content)), "X-Repo-Commit": "0" * 40},
            )
        else:
            self._empty(404)

    def _cdn(self, *, body: bool) -> None:
        hub = self.served
        content, start = hub.lies or hub.content, 0
        asked = self.headers.get("Range")
        if asked and hub.knows_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        if hub.break_offs:
            hub.break_offs -= 1
            self.wfile.write(content[start : start + hub.break_off_after])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests read `requests` instead."""
