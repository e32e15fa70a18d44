"""Trace context by the letter of W3C's recommendation."""

import pytest

from arkwright.wire.trace_context import TraceParent, parse, render, state

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_parent_is_read_and_written() -> None:
    text = f"00-{TRACE}-{SPAN}-01".encode()
    found = parse(text)
    assert found == TraceParent(bytes.fromhex(TRACE), bytes.fromhex(SPAN), True)
    assert render(found) == text
    assert parse(f"00-{TRACE}-{SPAN}-00".encode()) == found._replace(sampled=False)
    assert render(found._replace(sampled=False)).endswith(b"-00")


@pytest.mark.parametrize(("flags", "sampled"), [("03", True), ("02", False), ("ff", True)])
def test_only_the_last_bit_of_the_flags_is_ours(flags: str, sampled: bool) -> None:
    found = parse(f"00-{TRACE}-{SPAN}-{flags}".encode())
    assert found is not None
    assert found.sampled is sampled


@pytest.mark.parametrize("text", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-later"])
def test_later_versions_are_read_as_far_as_they_are_known(text: str) -> None:
    assert parse(text.encode()) is not None


@pytest.mark.parametrize(
    "text",
    [
        None, "", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-01.",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN.upper()}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}x-{SPAN}-01", f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x", f"00_{TRACE}_{SPAN}_01", f"cc-{TRACE}-{SPAN}-01more", f"00-{TRACE}-{SPAN}-01, 00",
    ],
)  # fmt: skip
def test_whatever_else_is_no_parent(text: str | None) -> None:
    assert parse(text.encode() if text is not None else None) is None


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        ([b"rojo=00f067aa0ba902b7"], b"rojo=00f067aa0ba902b7"),
        ([b"a=1", b"b=2 , c=3"], b"a=1,b=2,c=3"),
        ([b"tenant@vendor=x y"], b"tenant@vendor=x y"),
        ([], b""),
        ([b"a=1,a=2"], b""),
        ([b"A=1"], b""),
        ([b"a"], b""),
        ([b"a=\r\nx: y"], b""),
        ([b"a=\xff"], b""),
        ([b",".join(b"k%d=1" % n for n in range(33))], b""),
        ([b"a=" + b"x" * 256, b"b=" + b"x" * 256], b""),
    ],
)
def test_a_state_is_passed_on_as_it_is_or_not_at_all(values: list[bytes], passed: bytes) -> None:
    assert state(values) == passed
