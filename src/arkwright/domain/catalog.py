"""What is on offer: models, and the targets that serve them."""

from typing import Literal

import msgspec

from arkwright.domain.metering import UsageSource

ModelKind = Literal["chat", "embedding"]


class Traits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a target differs from the letter of OpenAI's API; each engine and provider states its own."""

    usage_source: UsageSource = "provider"
    counts_choices: bool = True  # False: usage of `n` > 1 counts one choice only, so choices are asked for one by one.
    enforces_tool_choice: bool = True  # False: `required` and named tools are enforced through a JSON schema.
    progress: Literal["none", "timings"] = "none"  # "timings": each streamed chunk can carry the engine's own count.
    on_disconnect: Literal["drain", "stop"] = "drain"  # "stop" needs `progress`, or the bill would be a guess.
    legacy_logprobs: bool = True  # False: `/v1/completions` answers logprobs in the chat shape.
    refuses: tuple[str, ...] = ()  # Request fields it would silently ignore; the gateway refuses them in words.
    # True: it goes on with an answer that was begun elsewhere, and streams only what is new. Needs `progress`, too.
    continues: bool = False
    # 0: as the settings say.
    connect_timeout_s: float = 0.0
    first_byte_timeout_s: float = 0.0
    stream_idle_timeout_s: float = 0.0
    total_timeout_s: float = 0.0
    health_path: str = (
        ""  # From the root of its address; 200 is well. Empty: a connection is all that can be asked for.
    )
    counts_prompts: bool = False  # True: it says beforehand how many tokens it would read, as Anthropic's API asks it.


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place that can answer for a model: a base URL that speaks OpenAI's API, and how to ask there."""

    id: str
    name: str  # The provider's or the deployment's name: what bills and league tables call it.
    base_url: str  # Without a trailing slash; `/chat/completions` is appended.
    upstream_model: str
    sealed_key: bytes = b""  # The upstream secret, sealed with the platform's master key.
    traits: Traits = Traits()
    capacity: int = 0  # How many requests it takes at once, of all workers of a host; 0: no bound.


class Model(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    kind: ModelKind
    created_at_us: int
    context_tokens: int
    max_output_tokens: int | None = None
    owned_by: str = "arkwright"
    targets: tuple[Target, ...] = ()
