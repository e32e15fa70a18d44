"""Bytes that are nearly right: what breaks a parser is seldom noise."""

import random

_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b": ", b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80",
    b"\\u0041", b"\\ud800", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"null", b"true", b"-1", b"1e5", b" ", b"\t",
    b"99999999999999999999", b"0x10", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"data: ",
    b"[DONE]", b'"usage":{', b'"error":', b'"finish_reason":"', b'"model"', b"0\r\n\r\n", b"ffffffffffffffff\r\n",
    b";a=b",
)  # fmt: skip


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """One to four changes: a byte, a token, a piece left out, doubled or moved."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        length = min(chance.randint(1, 12), len(data) - at)
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at:at] = chance.choice(_TOKENS)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                piece = data[at : at + length]
                del data[at : at + length]
                there = chance.randrange(len(data) + 1)
                data[there:there] = piece
    return bytes(data)


def pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """The same, cut anywhere."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randint(0, 6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
