"""Identifiers: time-ordered, unguessable, with the noun in front (`org_…`, `key_…`, `req_…`)."""

import hashlib
import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u.


def new_id(prefix: str) -> str:
    """`org_06f3…`: 48 bits of milliseconds, then 80 random bits, in base 32."""
    value = int.from_bytes((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10), "big")
    digits = []
    for _ in range(26):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(digits))}"


ENDPOINT_ID = re.compile(r"ep-\d{14}-[a-z0-9]{5}", re.ASCII)


def new_endpoint_id() -> str:
    """`ep-20261124143205-x7k2m`, as customers know them from elsewhere: the moment (UTC), then five random signs."""
    tail = "".join(_ALPHABET[byte % 32] for byte in os.urandom(5))
    return f"ep-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}-{tail}"


_TAIL_BYTES, _TAILS = 10, 409
_tails: list[bytes] = []  # Taken from the system by the page: one call for each id would cost more than the rest of it.


def new_event_id() -> bytes:
    """16 bytes, time-ordered (the layout of UUID version 7): the identity of one billable request."""
    if not _tails:
        _refill()
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + _tails.pop()


def _refill() -> None:
    """What comes behind the time: version and variant, and 74 random bits."""
    page = bytearray(os.urandom(_TAIL_BYTES * _TAILS))
    for at in range(0, len(page), _TAIL_BYTES):
        page[at] = 0x70 | (page[at] & 0x0F)
        page[at + 2] = 0x80 | (page[at + 2] & 0x3F)
        _tails.append(bytes(page[at : at + _TAIL_BYTES]))


def request_id(event_id: bytes) -> str:
    """How an event id is shown to people and in `x-request-id`."""
    return f"req_{event_id.hex()}"


def new_api_key() -> str:
    """256 random bits; shown once, stored as its SHA-256."""
    return f"ak-{os.urandom(32).hex()}"


def new_admin_key() -> str:
    return f"adm-{os.urandom(32).hex()}"


def new_personal_token() -> str:
    return f"pat-{os.urandom(32).hex()}"


def new_invitation_token() -> str:
    """Stands in a link."""
    return f"inv-{os.urandom(32).hex()}"


def secret_sha256(secret: str) -> bytes:
    """High-entropy secrets need no slow hash: the digest is what is stored and looked up."""
    return hashlib.sha256(secret.encode()).digest()
