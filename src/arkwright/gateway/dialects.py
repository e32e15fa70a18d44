"""What is said in another dialect than OpenAI's: which paths speak it, how its errors look, what its heads carry.

The platform speaks OpenAI's chat inside. A dialect is a pair of pure functions in `wire`: its request as OpenAI's, and
OpenAI's answer as its own. The endpoint of a dialect gives the exchange a `Voice`; everything between, from admission
to charge, is the same request.

Law: a dialect changes no charge. What is admitted, counted and written down never sees one.
"""

from typing import TYPE_CHECKING, Protocol

from arkwright.basics.errors import ArkwrightError
from arkwright.wire import anthropic_errors, ark_errors, openai_errors

if TYPE_CHECKING:
    from arkwright.gateway.exchange import Exchange

ANTHROPIC_VERSION = b"anthropic-version"
# Below which paths which API is spoken; what is below none of them is OpenAI's.
ANTHROPIC = ("/v1/messages", "/apps/anthropic/v1/")
ARK = "/api/v3/"
# Paths whose clients look for another request id than OpenAI's.
MARKED = frozenset(
    {
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/apps/anthropic/v1/messages",
        "/apps/anthropic/v1/messages/count_tokens",
        "/api/v3/chat/completions",
        "/api/v3/embeddings",
    }
)
_CLIENT_REQUEST_ID = b"x-client-request-id"
_ECHO_MAX = 128


class Voice(Protocol):
    """Says one answer in another dialect. Only what is answered with 200 is given to it."""

    def whole(self, body: bytes, content_type: bytes) -> bytes: ...

    def part(self, data: bytes) -> bytes: ...

    def last(self, data: bytes) -> bytes: ...


def is_anthropic(exchange: "Exchange") -> bool:
    """By its path, or by the header that its clients send with every request."""
    return exchange.path.startswith(ANTHROPIC) or exchange.header(ANTHROPIC_VERSION) is not None


def error(exchange: "Exchange", error: ArkwrightError) -> tuple[int, bytes]:
    """The status and body of an error answer, in the dialect of the API that was called."""
    if exchange.path.startswith(ARK):
        return ark_errors.render(error, exchange.request_id)
    if is_anthropic(exchange):
        return error.status, anthropic_errors.render(error, exchange.request_id)
    return error.status, openai_errors.render(error)


def marks(exchange: "Exchange") -> bytes:
    """Lines for the head of every answer on a marked path."""
    if not exchange.path.startswith(ARK):
        return b"request-id: %b\r\n" % exchange.request_id.encode()
    given = exchange.header(_CLIENT_REQUEST_ID) or b""
    # Ark's client takes what it sent itself for the id of its request; only what can't break a line is said again.
    if not 0 < len(given) <= _ECHO_MAX or not all(0x21 <= sign <= 0x7E for sign in given):
        return b""
    return b"x-client-request-id: %b\r\n" % given
