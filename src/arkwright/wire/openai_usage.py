"""OpenAI's usage object, read leniently: counts that are missing are missing, an explicit zero is zero."""

import msgspec

COUNT_MAX = 10**9  # No answer has more tokens; whoever says so has not counted.


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class OpenAIUsage(msgspec.Struct):
    """Here `prompt_tokens` includes cached ones and `completion_tokens` includes reasoning, as OpenAI has it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Counts(msgspec.Struct, frozen=True):
    """The same, disjoint."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


def disjoint(usage: OpenAIUsage) -> Counts | None:
    """None when the object counts nothing, or less, or what nobody can count: "usage missing", not "usage zero"."""
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    if min(prompt, completion) < 0 or max(prompt, completion) > COUNT_MAX:
        return None
    cached = written = reasoning = 0
    details = usage.prompt_tokens_details
    if details is not None:
        cached = min(_count(details.cached_tokens), prompt)
        written = min(_count(details.cache_write_tokens), prompt - cached)
    if usage.completion_tokens_details is not None:
        reasoning = min(_count(usage.completion_tokens_details.reasoning_tokens), completion)
    return Counts(prompt - cached - written, cached, written, completion - reasoning, reasoning)


def together(counts: list[Counts], choices_per_prompt: int) -> Counts:
    """The counts of answers whose choices were asked for one by one: each prompt once, every choice's output.

    All choices of one prompt read the same tokens, and a customer pays for them once; the prompt's first answer says
    how much of it was cached.
    """
    prompts = counts[::choices_per_prompt]
    return Counts(
        input_tokens=sum(count.input_tokens for count in prompts),
        cached_input_tokens=sum(count.cached_input_tokens for count in prompts),
        cache_write_tokens=sum(count.cache_write_tokens for count in prompts),
        output_tokens=sum(count.output_tokens for count in counts),
        reasoning_tokens=sum(count.reasoning_tokens for count in counts),
    )


def inclusive(counts: list[Counts], choices_per_prompt: int) -> OpenAIUsage:
    """The same as OpenAI's object."""
    all_ = together(counts, choices_per_prompt)
    prompt = all_.input_tokens + all_.cached_input_tokens + all_.cache_write_tokens
    details = PromptDetails(all_.cached_input_tokens, all_.cache_write_tokens or None)
    reasons = CompletionDetails(all_.reasoning_tokens) if all_.reasoning_tokens else None
    return OpenAIUsage(prompt, all_.output_tokens + all_.reasoning_tokens, details, reasons)


def _count(value: int | None) -> int:
    return max(0, value or 0)
