"""Follow a streamed OpenAI answer without parsing it: bytes go through, the tail is kept for usage.

Only an event that carries usage, an error or the end is looked into. The end (`[DONE]`) is held back, because the
gateway may send it only once the request is written down.
"""

import re
from functools import lru_cache

import msgspec

from arkwright.wire.openai_tier import in_events
from arkwright.wire.openai_usage import Counts, OpenAIUsage, disjoint
from arkwright.wire.sse import Splitter, data_of, events

DONE = b"data: [DONE]\n\n"

# A quote inside a JSON string is always escaped, so these never match a customer's or a model's words.
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_ERROR = re.compile(rb'data:\s*\{\s*"error"\s*:|^event:\s*error', re.MULTILINE)
_TIMINGS = re.compile(rb',"timings":\{[^{}]*\}')
_FINISH = re.compile(rb'"finish_reason"[ \t]*:[ \t]*"')  # Within a line: what stands behind its end is another event's.
# Words in which nothing is escaped: they can't end the string that they stand in, nor the line.
_WORDS = re.compile(rb'[^"\\\x00-\x1f]*')
_CONTENT = re.compile(rb'"(?:content|text)":"([^"\\\x00-\x1f]*)"')


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _UsageChunk(msgspec.Struct):
    usage: OpenAIUsage | None = None
    choices: list[msgspec.Raw] = []


class _Timings(msgspec.Struct):
    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


_usage_decoder = msgspec.json.Decoder(_UsageChunk, strict=False)
_timings_decoder = msgspec.json.Decoder(_Timings)


class StreamFollower:
    """One streamed answer on its way to one client.

    drop_usage: the client did not ask for the usage chunk that we asked the upstream for.
    strip_timings: the engine's own progress is for us, not for the client.
    rename: (upstream's model name, the name the client asked for), or None to leave it.
    tier: the service tier that each event tells; empty: none.
    """

    __slots__ = (
        "_alike", "_drop_usage", "_rename", "_splitter", "_strip_timings", "_timings", "counts", "done", "error_event",
        "events", "finished", "tier",
    )  # fmt: skip

    def __init__(
        self, *, drop_usage: bool, strip_timings: bool, rename: tuple[str, str] | None, tier: str = ""
    ) -> None:
        self._splitter = Splitter()
        self._drop_usage = drop_usage
        self._strip_timings = strip_timings
        self._rename = _renaming(rename) if rename and rename[0] != rename[1] else None
        self._alike: tuple[bytes, bytes, bytes, bytes] | None = None  # Around words: as it comes, as it goes on.
        self.tier = tier
        self._timings: bytes | None = None
        self.counts: Counts | None = None  # From the upstream's usage object.
        self.done = False  # The upstream said [DONE].
        self.finished = False  # Some choice gave a finish reason.
        self.events = 0  # Events forwarded: about one a token, where nothing better is known.
        self.error_event: bytes | None = None  # The data of an error event inside the stream.

    def feed(self, data: bytes) -> bytes:
        """What to forward now: whole events, less what is not for the client. Raises sse.EventTooLong."""
        block = self._splitter.feed(data)
        if not block or self.done or self.error_event is not None:
            return b""
        if self._alike is not None:
            before, after, said_before, said_after = self._alike
            end = len(block) - len(after)
            if block.startswith(before) and block.endswith(after) and _WORDS.fullmatch(block, len(before), end):
                self.events += 1
                return b"%b%b%b" % (said_before, block[len(before) : end], said_after)
        return self._look_at(block)

    def _look_at(self, block: bytes) -> bytes:
        if self._strip_timings and b'"timings"' in block:
            self._timings = _TIMINGS.findall(block)[-1] if _TIMINGS.search(block) else self._timings
            block = _TIMINGS.sub(b"", block)
        # A pattern with a choice in it is slow: it is asked only where the word that it needs is there.
        if b"[DONE]" in block or _USAGE.search(block) or (b"error" in block and _ERROR.search(block)):
            block = b"".join(kept for event in events(block) if (kept := self._look_into(event)))
        elif not self.finished:
            self.finished = _FINISH.search(block) is not None
            if not (self.finished or self._alike or self._strip_timings or self.tier):
                self._remember(block)
        self.events += block.count(b"data:")
        if self._rename is not None:
            block = self._renamed(block)
        return in_events(block, self.tier) if self.tier and block else block

    def _remember(self, block: bytes) -> None:
        """What stands around the words of a plain event: others differ from it in nothing but their words."""
        words = _CONTENT.search(block)
        if words is not None and block.count(b"\n") == 2 and block.startswith(b"data:"):
            before, after = block[: words.start(1)], block[words.end(1) :]
            said = (before, after) if self._rename is None else (self._renamed(before), self._renamed(after))
            self._alike = (before, after, *said)

    def _renamed(self, block: bytes) -> bytes:
        """Most write names without a space, and are helped sooner."""
        assert self._rename is not None, "asked for only then"
        compact, public, upstream, pattern, name = self._rename
        renamed = block.replace(compact, public)
        return pattern.sub(name, renamed) if upstream in renamed else renamed

    @property
    def plain(self) -> bool:
        """Whether every block goes on as it came, but for those with usage, an error or an end in them."""
        return self._rename is None and not self._strip_timings and not self.tier

    def take_rest(self) -> bytes:
        """An event that has begun, for whoever cuts the stream from now on; `feed` then gets whole events."""
        return self._splitter.take_rest()

    def put_back(self, rest: bytes) -> None:
        """The other way round."""
        self._splitter.feed(rest)

    @property
    def cut(self) -> bool:
        """True when the body ended inside an event, or before any choice finished."""
        return bool(self._splitter.rest.strip()) or not (self.done or self.finished)

    @property
    def progress(self) -> Counts | None:
        """The engine's own count of what it has done so far, from the last chunk that told it."""
        if self._timings is None:
            return None
        timings = _timings_decoder.decode(self._timings.removeprefix(b',"timings":'))
        return Counts(timings.prompt_n, timings.cache_n, 0, timings.predicted_n, 0)

    def _look_into(self, event: bytes) -> bytes:
        """The event as it is to be forwarded; empty when it is not for the client."""
        if self.done or self.error_event is not None:
            return b""
        data = data_of(event)
        if data.strip() == b"[DONE]":
            self.done = True
            return b""
        if _ERROR.search(event):
            self.error_event = data
            return b""
        if _FINISH.search(event):
            self.finished = True
        return b"" if self._take_usage(data) and self._drop_usage else event

    def _take_usage(self, data: bytes) -> bool:
        """Keep the usage of this event, if it has one; true when the event holds nothing else.

        An upstream that reports usage in every chunk reports running totals: the last one stands.
        """
        if not _USAGE.search(data):
            return False
        try:
            chunk = _usage_decoder.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return False
        counts = disjoint(chunk.usage) if chunk.usage is not None else None
        if counts is not None:
            self.counts = counts
        return not chunk.choices


def finishes(event: bytes) -> bool:
    """Whether an event gives a choice's finish reason; such a one carries no words."""
    return _FINISH.search(event) is not None


@lru_cache(1024)  # A target's name and the customer's: few, and used again and again.
def _renaming(rename: tuple[str, str]) -> tuple[bytes, bytes, bytes, re.Pattern[bytes], bytes]:
    """What is to be replaced and by what: as most write it, and as a pattern for all ways to write the name between."""
    upstream, public = (msgspec.json.encode(name) for name in rename)
    pattern = re.compile(rb'("model"\s*:\s*)' + re.escape(upstream))
    return b'"model":' + upstream, b'"model":' + public, upstream, pattern, rb"\g<1>" + public.replace(b"\\", b"\\\\")
