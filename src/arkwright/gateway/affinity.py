"""What routing knows of a request before it is sent: how much it brings, what was said in it before, whose it is.

Law: a body is looked at, never decoded or copied; whatever is found in it decides an order of targets only.
"""

import re
from typing import TYPE_CHECKING

from arkwright.domain.routing import BYTES_PER_TOKEN, Affinity

if TYPE_CHECKING:
    from arkwright.gateway.worker import Ask

SESSION_HEADER = b"x-session-id"
_CONVERSATION = {"chat.completions": b'"messages"', "completions": b'"prompt"'}
_USER = re.compile(rb'"user"\s*:\s*"([^"\\]{1,256})"')


def of(ask: "Ask") -> Affinity:
    """Where there is one target, nothing is looked for."""
    route = ask.route
    input_tokens = ask.input_tokens_max // BYTES_PER_TOKEN
    if len(route.targets) < 2:
        return Affinity(b"", input_tokens, ask.output_tokens_max)
    body = ask.exchange.body
    field = _CONVERSATION.get(ask.endpoint)
    at = -1 if field is None else body.find(field)
    said = b"" if at < 0 else memoryview(body)[at:]
    session = _session(ask) if route.sticky else b""
    return Affinity(said, input_tokens, ask.output_tokens_max, session)


def _session(ask: "Ask") -> bytes:
    """An organization's own name for it: a header, or the `user` of the request; without either, the key."""
    named = ask.exchange.header(SESSION_HEADER)
    if named is None:
        user = _USER.search(ask.exchange.body)
        named = user.group(1) if user is not None else ask.principal.key.id.encode()
    return ask.principal.organization.id.encode() + b"/" + named
