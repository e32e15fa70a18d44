"""The dialects that customers' software speaks, and which of them the gateway answers.

Law: what stands in SERVED is in the gateway's route table, and what is in the table stands here: a test compares. So a
sample is shown only for what works.
"""

from typing import Literal

Dialect = Literal["openai", "anthropic", "dashscope"]

# Paths of the data plane that take a POST.
SERVED: frozenset[str] = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/embeddings"})

# What a first request in each dialect is sent to.
PATHS: dict[Dialect, str] = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "dashscope": "/api/v1/services/aigc/text-generation/generation",
}


def answered(dialect: Dialect) -> bool:
    return PATHS[dialect] in SERVED
