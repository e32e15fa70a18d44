"""Anthropic's model list. It has OpenAI's path: who asks is told apart by the header `anthropic-version`."""

import msgspec


class Card(msgspec.Struct, frozen=True):
    """`created_at`: as RFC 3339 has it."""

    id: str
    display_name: str
    created_at: str
    type: str = "model"


class Cards(msgspec.Struct, frozen=True):
    data: list[Card]
    has_more: bool
    first_id: str | None
    last_id: str | None


_encoder = msgspec.json.Encoder()


def card(model: Card) -> bytes:
    return _encoder.encode(model)


def page(models: list[Card], *, after: str, before: str, limit: int) -> bytes:
    """The first of those after one id, or the last of those before another."""
    names = [model.id for model in models]
    more = False
    if before in names:
        models = models[: names.index(before)]
        more, models = len(models) > limit, models[-limit:]
    else:
        models = models[names.index(after) + 1 :] if after in names else models
        more, models = len(models) > limit, models[:limit]
    first, last = (models[0].id, models[-1].id) if models else (None, None)
    return _encoder.encode(Cards(models, more, first, last))
