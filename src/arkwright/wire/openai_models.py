"""OpenAI's model list."""

import msgspec


class ModelCard(msgspec.Struct, frozen=True):
    id: str
    created: int  # Seconds since the epoch.
    owned_by: str
    context_window: int  # Ours: OpenAI's list does not tell it.
    object: str = "model"


class ModelList(msgspec.Struct, frozen=True):
    data: list[ModelCard]
    object: str = "list"


_encoder = msgspec.json.Encoder()


def render(answer: ModelCard | ModelList) -> bytes:
    return _encoder.encode(answer)
