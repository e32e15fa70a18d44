"""`hf:owner/repository/path/to/file.gguf@revision`: a file on the Hugging Face hub, or on a mirror that speaks like it.

`HF_ENDPOINT` names a mirror, `HF_TOKEN` is sent to it (and to no other host: the hub redirects to a CDN). A broken
download is taken up where it ended, as long as the hub still serves the same file (its ETag). Large files carry their
SHA-256 as ETag, which is checked even where the model list pins nothing.
"""

import os
import re
import time
from pathlib import Path
from urllib.parse import quote, urljoin

import httpx
import msgspec

from arkwright.basics.errors import ArkwrightError, Forbidden, InvalidInput, NotFound, Unavailable, UpstreamFailed
from arkwright.sources.fetching import Fetched, Wanted, all_parts
from arkwright.store.downloads import Progress, check_space, partial_of, receive, received_bytes

DEFAULT_ENDPOINT = "https://huggingface.co"
_REFERENCE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)/(?P<path>[^@]+?)(@(?P<revision>[^@]+))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REDIRECTS_MAX = 5
_FAILURES_MAX = 5
_PAUSE_S = 0.5


class _Remote(msgspec.Struct, frozen=True):
    """What the hub says about a file, and where its bytes are."""

    url: str
    total_bytes: int
    etag: str

    @property
    def sha256(self) -> str | None:
        """The ETag of a large file is its SHA-256; that of a small one is a git hash."""
        return self.etag if _SHA256.fullmatch(self.etag) else None


def fetch(wanted: Wanted, progress: Progress) -> list[Fetched]:
    """Raises InvalidInput, NotFound, Forbidden or Unavailable, each with what to do; else what `receive` raises."""
    match = _REFERENCE.fullmatch(wanted.reference)
    if match is None:
        raise InvalidInput(f"{wanted.source!r}: write hf:owner/repository/path/to/file.gguf, then @revision if need be")
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    repository, revision = match["repository"], quote(match["revision"] or "main", safe="")
    with httpx.Client(timeout=httpx.Timeout(60.0, connect=15.0)) as client:
        return [
            _fetch_one(client, f"{endpoint}/{repository}/resolve/{revision}/{quote(path)}", wanted, progress)
            for path in all_parts(match["path"])
        ]


def _fetch_one(client: httpx.Client, url: str, wanted: Wanted, progress: Progress) -> Fetched:
    remote = _ask(client, url)
    target = wanted.into / url.rsplit("/", 1)[-1]
    _forget_another_file(target, remote.etag)
    check_space(wanted.into, remote.total_bytes - received_bytes(target))
    pin = wanted.pinned(target.name)
    expected = pin.sha256 if pin else remote.sha256
    failures = 0  # In a row, without a byte gained: as long as something comes, a broken line is taken up again.
    while True:
        before = received_bytes(target)
        try:
            sha256 = _receive_rest(client, remote, target, expected, progress)
        except (httpx.TransportError, Unavailable) as error:
            if isinstance(error, Unavailable) and error.code != "incomplete":
                raise
            failures = 0 if received_bytes(target) > before else failures + 1
            if failures == _FAILURES_MAX:
                raise _unreachable(remote.url, error) from error
            time.sleep(_PAUSE_S)
            remote = _ask(client, url)
        else:
            _etag_file(target).unlink(missing_ok=True)
            return Fetched(target, sha256)


def _ask(client: httpx.Client, url: str) -> _Remote:
    """Follow redirects of the hub itself (a renamed repository); stop at the one that leads to the bytes."""
    token = os.environ.get("HF_TOKEN")
    headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})}
    for _ in range(_REDIRECTS_MAX):
        try:
            answer = client.head(url, headers=headers)
        except httpx.TransportError as error:
            raise _unreachable(url, error) from error
        if answer.is_error:
            raise _refused(url, answer, bool(token))
        size = answer.headers.get("x-linked-size") or (
            "" if answer.is_redirect else answer.headers.get("content-length")
        )
        if size:
            etag = (answer.headers.get("x-linked-etag") or answer.headers.get("etag") or "").removeprefix("W/")
            return _Remote(url, int(size), etag.strip('"'))
        if not answer.is_redirect:
            break
        url = urljoin(url, answer.headers["location"])
    raise UpstreamFailed(f"{url} does not say how large the file is; is HF_ENDPOINT a mirror of the hub?")


def _receive_rest(client: httpx.Client, remote: _Remote, target: Path, expected: str | None, progress: Progress) -> str:
    _etag_file(target).write_text(remote.etag)
    done = received_bytes(target)
    headers = {"Accept-Encoding": "identity"}
    if token := os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"  # httpx drops it at a redirect to another host.
    if done:
        headers["Range"] = f"bytes={done}-"
    if done and done == remote.total_bytes:
        return receive((), target, expected_sha256=expected, total_bytes=done, resume=True, progress=progress)
    with client.stream("GET", remote.url, headers=headers, follow_redirects=True) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial_of(target).unlink(missing_ok=True)
        if answer.is_error:
            raise _refused(remote.url, answer, "Authorization" in headers)
        return receive(
            answer.iter_raw(),  # As it comes: a larger chunk would be lost when the line breaks before it is full.
            target,
            expected_sha256=expected,
            total_bytes=remote.total_bytes,
            # A server that does not know Range sends everything again from the start.
            resume=answer.status_code == httpx.codes.PARTIAL_CONTENT,
            progress=progress,
        )


def _forget_another_file(target: Path, etag: str) -> None:
    """What was received of an earlier revision is no beginning of this one."""
    try:
        same = _etag_file(target).read_text() == etag
    except FileNotFoundError:
        same = False
    if not same:
        partial_of(target).unlink(missing_ok=True)


def _etag_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.etag")


def _refused(url: str, answer: httpx.Response, with_token: bool) -> ArkwrightError:
    status = answer.status_code
    if status in (401, 403):
        hint = "HF_TOKEN is set: does its account have access?" if with_token else "set HF_TOKEN to an access token"
        return Forbidden(f"the hub refuses {url} ({status}): the repository is private, gated or not there; {hint}")
    if status == httpx.codes.NOT_FOUND:
        return NotFound(f"{url} is not there: check owner, repository, path and @revision")
    return Unavailable(f"the hub answered {status} for {url}; try again later", code="download_failed")


def _unreachable(url: str, error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        f"{url} cannot be reached ({error or type(error).__name__}). Behind a firewall, HF_ENDPOINT names a mirror and"
        " HTTPS_PROXY a proxy; what was received is kept",
        code="download_failed",
    )
