"""Several calls that look like one: `n` choices asked for one by one, because the engine counts only one of them.

To its consumer a FanOut is a call with one head, one streamed body and one end; the first failure is that of all.
"""

from arkwright.gateway.upstream import Call, CallFailed, Consumer, Pool
from arkwright.wire.http import Headers, request_head_end
from arkwright.wire.openai_choices import ChoiceStream
from arkwright.wire.openai_stream import DONE, StreamFollower
from arkwright.wire.openai_usage import Counts, together


class FanOut:
    """`start` sends one body for each choice; `progress` is the engine's count over all of them."""

    def __init__(self, consumer: Consumer, *, choices_per_prompt: int) -> None:
        self._consumer = consumer
        self._choices_per_prompt = choices_per_prompt
        self._parts: list[_Part] = []
        self._stream = ChoiceStream()
        self._headed = False
        self._ended = False

    def start(self, pool: Pool, head: bytes, bodies: list[bytes], request_id: str) -> None:
        for index, body in enumerate(bodies):
            part = _Part(self, index)
            self._parts.append(part)
            end = request_head_end(body, f"{request_id}-{index}")
            part.call = pool.send(head + end, body, part)

    @property
    def progress(self) -> Counts | None:
        """None until any choice has told its progress."""
        known = [part.follower.counts or part.follower.progress for part in self._parts]
        if not any(known):
            return None
        return together([counts or Counts(0, 0, 0, 0, 0) for counts in known], self._choices_per_prompt)

    @property
    def told(self) -> bool:
        """Whether every choice has told its progress, so that the count of what was read is whole."""
        return all(part.follower.counts or part.follower.progress for part in self._parts)

    @property
    def connect_us(self) -> int:
        """Of the slowest."""
        return max((part.call.connect_us for part in self._parts if part.call is not None), default=0)

    @property
    def unfinished(self) -> list[int]:
        """The choices that have not ended."""
        return [part.index for part in self._parts if not part.follower.finished]

    def pause(self) -> None:
        for part in self._parts:
            if part.call is not None:
                part.call.pause()

    def resume(self) -> None:
        for part in self._parts:
            if part.call is not None:
                part.call.resume()

    def cancel(self) -> None:
        self._ended = True
        for part in self._parts:
            if part.call is not None:
                part.call.cancel()

    def forget(self) -> None:
        """Let the parts and their calls go: they hold each other, and this."""
        for part in self._parts:
            part.call = None
        self._parts = []

    # What the parts report

    def headed(self, part: "_Part") -> None:
        if not self._headed and not self._ended:
            self._headed = True
            self._consumer.on_head(part.status, part.headers)

    def streamed(self, part: "_Part", block: bytes) -> None:
        if block and not self._ended:
            self._consumer.on_body(self._stream.renumbered(block, part.index))

    def ended(self, part: "_Part") -> None:
        if self._ended:
            return
        if part.status != 200:
            self.cancel()
            self._consumer.on_head(part.status, part.headers)
            self._consumer.on_body(b"".join(part.chunks))
            self._consumer.on_end()
        elif all(other.complete for other in self._parts):
            self._finish()

    def failed(self, failure: CallFailed) -> None:
        if not self._ended:
            self.cancel()
            self._consumer.on_failure(failure)

    def _finish(self) -> None:
        """One usage chunk for all, then the end."""
        self._ended = True
        counts = [part.follower.counts for part in self._parts]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            self._consumer.on_body(self._stream.usage_event(known, self._choices_per_prompt))
        self._consumer.on_body(DONE)
        self._consumer.on_end()


class _Part:
    """The consumer of one choice's call."""

    def __init__(self, whole: FanOut, index: int) -> None:
        self._whole = whole
        self.index = index
        self.call: Call | None = None
        self.status = 0
        self.headers: Headers = []
        self.chunks: list[bytes] = []
        self.follower = StreamFollower(drop_usage=True, strip_timings=True, rename=None)
        self.complete = False

    def on_head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        if status == 200:
            self._whole.headed(self)

    def on_body(self, data: bytes) -> None:
        if self.status != 200:
            self.chunks.append(data)
            return
        self._whole.streamed(self, self.follower.feed(data))
        if self.follower.error_event is not None:
            self._whole.failed(CallFailed("it reported an error", sent=True))

    def on_end(self) -> None:
        if self.status == 200 and self.follower.cut:
            self._whole.failed(CallFailed("its stream ended early", sent=True))
            return
        self.complete = self.status == 200
        self._whole.ended(self)

    def on_failure(self, failure: CallFailed) -> None:
        self._whole.failed(failure)
