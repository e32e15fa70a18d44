"""Log probabilities of `/v1/completions` in OpenAI's legacy shape, from engines that answer in the chat shape."""

from typing import Any


def legacy(logprobs: dict[str, Any] | None, offset: int = 0) -> dict[str, Any] | None:
    """`{"content": [{token, logprob, top_logprobs}]}` → `{tokens, token_logprobs, top_logprobs, text_offset}`.

    `offset` is where the first token starts in the answer's text, in characters.
    """
    if not isinstance(logprobs, dict) or "content" not in logprobs:
        return logprobs
    entries = logprobs["content"] or []
    offsets = []
    for entry in entries:
        offsets.append(offset)
        offset += len(entry["token"])
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in entry.get("top_logprobs") or ()} for entry in entries
        ],
        "text_offset": offsets,
    }
