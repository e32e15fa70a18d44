"""The dialects that customers' software speaks, and which of them the gateway answers.

Law: a dialect stands in ANSWERED if and only if its path is in the gateway's route table: a test compares. So a sample
is shown only for what works.
"""

from typing import Literal

Dialect = Literal["openai", "anthropic", "dashscope"]

ANSWERED: frozenset[Dialect] = frozenset({"openai", "anthropic"})

# What a first request in each dialect is sent to, by a POST.
PATHS: dict[Dialect, str] = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "dashscope": "/api/v1/services/aigc/text-generation/generation",
}
