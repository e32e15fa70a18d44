"""What the driver tells the llama.cpp child, in one environment variable, and what its exit codes mean. No I/O."""

import msgspec

from arkwright.domain.catalog import ModelKind

VARIABLE = "ARKWRIGHT_ENGINE"
EXIT_MODEL = 3
EXIT_PORT = 4


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One llama.cpp server. `context_tokens` are those of one request; `parallel` requests are computed at once."""

    model_path: str
    alias: str  # The name it gives itself in answers.
    kind: ModelKind
    port: int
    key: str
    parallel: int
    context_tokens: int
    threads: int  # For reading prompts, which is arithmetic.
    generation_threads: int  # For one token after another, which waits for memory.
    cache_mib: int
    data_dir: str
    grace_s: float = 10.0
