"""How an event is told to a webhook: its signature by the Standard Webhooks convention, and when to try again.

Law: the same message has the same id however often it is sent; a signature covers id, moment and body. Another try
comes later than the one before, up to a bound, and never two receivers' tries in step.
"""

import base64
import hmac
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of one.
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
BATCH_MAX = 500
FIRST_DELAY_S = 1.0
DELAY_MAX_S = 3_600.0
_URL_LENGTH_MAX = 2_000


class Message(msgspec.Struct, frozen=True):
    """One POST."""

    id: str
    content_type: str
    body: bytes


def message(events: list[dict[str, Any]], *, batched: bool) -> Message:
    """A CloudEvent in structured mode, or (batched) several. Its id follows from theirs."""
    encode = msgspec.json.encode
    if not batched:
        return Message(f"msg_{events[0]['id']}", STRUCTURED, encode(events[0]))
    digest = sha256("".join(str(event["id"]) for event in events).encode()).hexdigest()[:32]
    return Message(f"msg_{digest}", BATCHED, encode(events))


def secret_text(key: bytes) -> str:
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """Raises ValueError for what is no secret by the convention: whsec_ and 24 to 64 bytes in base64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("a secret is whsec_ and 24 to 64 bytes in base64")
    return key


def headers(key: bytes, sent: Message, at_s: int) -> dict[str, str]:
    """`webhook-signature` is v1,base64(HMAC-SHA256(key, id.timestamp.body))."""
    signed = b"%b.%d.%b" % (sent.id.encode(), at_s, sent.body)
    signature = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
    return {
        "content-type": sent.content_type,
        "webhook-id": sent.id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }


def delay_s(failures: int, chance: float, first_s: float = FIRST_DELAY_S) -> float:
    """Before the next try after so many failures in a row; `chance` from 0 to 1."""
    whole = min(first_s * 2.0 ** min(failures - 1, 30), DELAY_MAX_S)
    return whole * (0.5 + chance / 2)


def refused(url: str, *, allow_private: bool) -> str:
    """What is wrong with a URL, in words; empty: nothing that can be seen without resolving its name."""
    if len(url) > _URL_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"a URL has at most {_URL_LENGTH_MAX} printable ASCII characters and no blank"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"that is no URL: {error}"
    if parts.scheme not in ("https", "http") or not host:
        return "a webhook's URL begins with https:// and names a host"
    if parts.scheme == "http" and not allow_private:
        return "events travel by https://; http:// is for your own network, with allow_private"
    if parts.username is not None or parts.password is not None:
        return "a URL with a name or a password in it would be shown to whoever sees it: the signature says who sends"
    if parts.fragment:
        return "a URL to send to has no fragment"
    return ""


def host_of(url: str) -> str:
    """Of a URL that is not refused."""
    return urlsplit(url).hostname or ""


def is_address(host: str) -> bool:
    """Whether it is a number; a name is judged when it is resolved."""
    return ":" in host or host.replace(".", "").isdigit()
