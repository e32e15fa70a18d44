"""What every engine driver is told and tells: plain values, no I/O."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from arkwright.domain.catalog import ModelKind
from arkwright.store.weights import StoredModel

WeightsOf = Callable[[str], StoredModel]


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What is desired. `source` is a name in the model list, or a source such as `file:/models/x.gguf`."""

    id: str
    name: str
    source: str
    options: dict[str, Any] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """Where a replica answers: `url` ends in `/v1`; `key` is the secret it asks for. Chosen once, then kept."""

    url: str
    key: str


class Observation(msgspec.Struct, frozen=True):
    """`error` says what is wrong, in words for an operator, when the state is `failed`."""

    state: Literal["starting", "ready", "failed", "stopped"]
    error: str = ""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment can do once it is ready."""

    kind: ModelKind
    context_tokens: int  # Prompt and answer together, for one request.
    parallel: int  # Requests computed at the same time; more of them wait.
