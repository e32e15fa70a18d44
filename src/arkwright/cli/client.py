"""The admin API's client, for every command that speaks to a running platform. Knows paths and errors, and no noun."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from arkwright.basics import settings
from arkwright.basics.errors import ArkwrightError, InvalidInput, Unavailable
from arkwright.basics.paths import DataDir

PREFIX = "/admin/v1"
TIMEOUT_S = 10.0
LONG_S = 600.0  # For what reads or writes a whole platform.
PAGE = 200


class Client:
    """Raises ArkwrightError with the platform's own words; code `not_running` when nobody answers."""

    def __init__(self, http: httpx.Client, where: str) -> None:
        self._http = http
        self._where = where

    @classmethod
    def local(cls, paths: DataDir) -> "Client":
        """Of the platform in this directory, over its socket, with the key that lies beside it."""
        try:
            key = paths.operator_key.read_text().strip()
        except FileNotFoundError:
            raise Unavailable(f"no platform has been started in {paths.root}", code="not_running") from None
        except PermissionError:
            raise InvalidInput(f"{paths.operator_key} belongs to another user; use --url and an admin key") from None
        _refuse_when_nobody_listens(paths)
        transport = httpx.HTTPTransport(uds=str(paths.control_socket))
        http = httpx.Client(
            transport=transport, base_url="http://control", headers=_headers(key), timeout=TIMEOUT_S, trust_env=False
        )
        return cls(http, f"the platform in {paths.root}")

    @classmethod
    def remote(cls, url: str, admin_key: str | None = None) -> "Client":
        """Of a platform anywhere; the key comes from ARKWRIGHT_ADMIN_KEY when none is given."""
        key = admin_key or os.environ.get("ARKWRIGHT_ADMIN_KEY", "")
        if not key:
            raise InvalidInput("with a URL an admin key is needed: --admin-key, or ARKWRIGHT_ADMIN_KEY")
        try:
            http = httpx.Client(base_url=url.rstrip("/").removesuffix("/v1"), headers=_headers(key), timeout=TIMEOUT_S)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"{url!r} is no URL: {error}") from None
        return cls(http, url)

    @classmethod
    def connect(cls, data_dir: Path | None = None, url: str | None = None, admin_key: str | None = None) -> "Client":
        """By what a command was given, then by ARKWRIGHT_URL, then by the data directory."""
        url = url or (None if data_dir else os.environ.get("ARKWRIGHT_URL"))
        if url:
            return cls.remote(url, admin_key)
        return cls.local(settings.load({"data_dir": str(data_dir) if data_dir else None}).paths)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        return self._json("GET", path, parameters=parameters)

    def post(self, path: str, body: Any = None, **parameters: Any) -> Any:
        return self._json("POST", path, body, parameters=parameters)

    def post_long(self, path: str, body: Any = None) -> Any:
        """For what takes minutes on a platform that has served for years."""
        return self._request("POST", path, json=body, timeout=LONG_S).json()

    def put(self, path: str, body: Any) -> Any:
        return self._json("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._json("PATCH", path, body)

    def delete(self, path: str) -> None:
        self._json("DELETE", path)

    def every(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All entries of a list, page by page."""
        after: Any = None
        while True:
            page = self.get(path, **parameters, limit=PAGE, **({} if after is None else {"after": after}))
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["last_id"]

    def send_text(self, path: str, text: str, **parameters: Any) -> Any:
        """POST a text as it is; the answer's JSON."""
        return self._request("POST", path, content=text.encode(), timeout=LONG_S, parameters=parameters).json()

    def stream(self, path: str, **parameters: Any) -> Iterator[bytes]:
        """The body as it comes, in parts of any length. Raises Unavailable when it breaks off."""
        given = {name: value for name, value in parameters.items() if value is not None}
        with _told(self._where), self._http.stream("GET", PREFIX + path, params=given, timeout=LONG_S) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield from answer.iter_bytes()

    def stream_lines(self, path: str, **parameters: Any) -> Iterator[bytes]:
        """The same, line by line, without their ends."""
        rest = b""
        for part in self.stream(path, **parameters):
            *whole, rest = (rest + part).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def get_text(self, path: str) -> str:
        return self._request("GET", path, timeout=LONG_S).text

    def send_bytes(self, path: str, raw: bytes, *, content_type: str) -> Any:
        """POST a file as it is; the answer's JSON."""
        return self._request("POST", path, content=raw, timeout=LONG_S, headers={"content-type": content_type}).json()

    def get_bytes(self, path: str) -> bytes:
        return self._request("GET", path, timeout=LONG_S).content

    def get_file(self, path: str, **parameters: Any) -> tuple[str, httpx.Headers]:
        """A text, with what its headers say about it."""
        answer = self._request("GET", path, timeout=LONG_S, parameters=parameters)
        return answer.text, answer.headers

    def _json(self, method: str, path: str, body: Any = None, *, parameters: dict[str, Any] | None = None) -> Any:
        answer = self._request(method, path, json=body, parameters=parameters)
        return answer.json() if answer.content else None

    def _request(
        self, method: str, path: str, *, parameters: dict[str, Any] | None = None, **body: Any
    ) -> httpx.Response:
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        with _told(self._where):
            answer = self._http.request(method, PREFIX + path, params=given or None, **body)
        if not answer.is_success:
            raise _refusal(answer)
        return answer


@contextmanager
def _told(where: str) -> Iterator[None]:
    """The HTTP library's errors, in words about the platform."""
    try:
        yield
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise Unavailable(f"{where} does not answer: {error}", code="not_running") from error
    except httpx.TimeoutException:
        message = f"{where} did not answer in time; `arkwright status` shows what does not"
        raise Unavailable(message, code="not_running") from None
    except httpx.HTTPError as error:
        raise Unavailable(f"{where} broke off: {error or type(error).__name__}") from error


def _refuse_when_nobody_listens(paths: DataDir) -> None:
    """Asked by hand, since the HTTP library leaves a socket open behind a refused connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(paths.control_socket))
        except OSError as error:
            message = f"the platform in {paths.root} does not answer: {error.strerror or error}"
            raise Unavailable(message, code="not_running") from None


def _refusal(answer: httpx.Response) -> ArkwrightError:
    """What the platform said, with the id by which its log knows the request."""
    try:
        error = answer.json()["error"]
        message, code, param = str(error["message"]), error.get("code"), error.get("param")
    except (ValueError, KeyError, TypeError):
        message, code, param = f"an answer that is not the admin API's (status {answer.status_code})", None, None
    name = answer.headers.get("x-request-id")
    return ArkwrightError(f"{message} ({name})" if name else message, code=code, param=param)


def _headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
