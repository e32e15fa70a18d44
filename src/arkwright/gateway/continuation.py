"""A stream whose target died is gone on with by another one: what the client has, and what it has cost so far.

Law: output is counted once, by the count of the engine that made it, up to what was delivered; the prompt is counted
once, as the first engine read it. Only plain text of one choice is gone on with (`wire/openai_continuation.py`).
"""

from typing import NamedTuple

import msgspec

from arkwright.domain.catalog import Target
from arkwright.gateway.attempts import Try
from arkwright.gateway.plan import Plan, Planner
from arkwright.wire.openai_choices import usage_object
from arkwright.wire.openai_continuation import Delivered, Rest, ending, may_go_on, rest_of, usage_chunk
from arkwright.wire.openai_usage import Counts

BREAKS_MAX = 32


class Going(NamedTuple):
    """How a target is asked for the rest, and what follows its stream."""

    plan: Plan
    follower: Rest


class Continuation:
    """Of one stream that is passed on as it comes, from its first event on."""

    __slots__ = ("_before", "_breaks", "_delivered", "broken", "drop_usage")

    def __init__(self, drop_usage: bool) -> None:
        """`drop_usage`: the client did not ask for the usage chunk."""
        self.drop_usage = drop_usage
        self._delivered = Delivered()
        self._before: Counts | None = None  # Of the tries that broke off.
        self._breaks = 0
        self.broken = False  # It broke off at least once: what comes is the rest of it.

    @staticmethod
    def possible(plan: Plan, target: Target) -> bool:
        """Whether it is worth while to keep what is delivered."""
        return target.traits.continues and target.traits.progress != "none" and len(plan.bodies) == 1

    def take(self, block: bytes) -> None:
        self._delivered.take(block)

    def break_off(self, one: Try) -> bool:
        """Its target died in the middle of it. False when nobody can go on."""
        before, text = self.joined(one.progress), self._delivered.text
        self._breaks += 1
        if self._breaks > BREAKS_MAX or text is None or (text and before is None):
            return False
        if not may_go_on(one.plan.bodies[0]):
            return False
        self.broken = True
        self._before = before
        return True

    @property
    def before(self) -> int:
        """Tokens that were delivered before the try under way."""
        return 0 if self._before is None else self._before.output_tokens + self._before.reasoning_tokens

    def joined(self, counts: Counts | None) -> Counts | None:
        """What all of it has used, `counts` being what the try under way has told."""
        before = self._before
        if before is None or counts is None:
            return before or counts
        return msgspec.structs.replace(
            before,
            output_tokens=before.output_tokens + counts.output_tokens,
            reasoning_tokens=before.reasoning_tokens + counts.reasoning_tokens,
        )

    def going(self, planner: Planner, target: Target) -> Going | None:
        """How this target is asked to go on; None when all was said that was asked for.

        Raises an ArkwrightError when the target can't honour the request.
        """
        plan, text = planner(target), self._delivered.text
        assert text is not None, "what is no text is not gone on with"
        body = rest_of(plan.bodies[0], text, self.before)
        if body is None:
            return None
        follower = Rest(self._delivered.identity, text, self.before, strip_timings=target.traits.progress == "timings")
        return Going(msgspec.structs.replace(plan, bodies=[body]), follower)

    def candidates(self, chosen: list[Target], last: Target) -> list[Target]:
        """Who may go on, in the order to ask: first replicas of the same deployment, the one that died after all."""
        able = [target for target in chosen if target.traits.continues]
        return sorted(
            able,
            key=lambda target: (
                target.id == last.id,
                (target.name, target.upstream_model) != (last.name, last.upstream_model),
            ),
        )

    def ending(self) -> bytes:
        """The chunk that says that the answer is as long as it may be."""
        return ending(self._delivered.identity)

    def usage(self, counts: Counts) -> bytes:
        """The chunk for who asked for usage: of all parts together."""
        return usage_chunk(self._delivered.identity, usage_object([counts], 1))
