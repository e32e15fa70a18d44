"""A price as rows of a table: one for each rule, whether it was written by the shorthand or by rules."""

from collections.abc import Iterator
from typing import Any

from arkwright.control.price_words import CONDITIONS, MEASURES

COLUMNS = ("item", "price", "unit", "conditions")


def rows(price: dict[str, Any]) -> list[dict[str, Any]]:
    """`item`, `price`, `unit`, `conditions`; of one price as the admin API tells it."""
    edges = [0, *(tier["above_input_tokens"] for tier in price.get("tiers", []))]
    found: list[dict[str, Any]] = []
    for tier, above, upto in zip([price, *price.get("tiers", [])], edges, [*edges[1:], 0], strict=True):
        for field, text in tier.items():
            if field.endswith("_per_million"):
                item = field.removesuffix("_per_million")
                found.append(
                    row({"item": item, "per_million": text, "above_input_tokens": above, "upto_input_tokens": upto})
                )
    return found + [row(rule) for rule in price.get("rules", [])]


def row(rule: dict[str, Any]) -> dict[str, Any]:
    field = next(field for field in MEASURES if field in rule)
    unit = {"per_million": "million tokens"}.get(field, field.removeprefix("per_").replace("_", " "))
    return {"item": rule["item"], "price": rule[field], "unit": unit, "conditions": ", ".join(_conditions(rule))}


def windows(price: dict[str, Any]) -> list[str]:
    """A line for each: `peak: 09:00 to 12:00, UTC+08:00`."""
    return [
        f"{name}: {hours['from']} to {hours['to']}, UTC{hours.get('utc_offset', '+00:00')}"
        for name, hours in price.get("windows", {}).items()
    ]


def _conditions(rule: dict[str, Any]) -> Iterator[str]:
    for name in CONDITIONS:
        value = rule.get(name)
        if value is None or value == "":
            continue
        if name == "thinking":
            yield "thinking" if value else "not thinking"
        elif name in ("mode", "resolution"):
            yield value
        else:
            yield f"{name.replace('_', ' ')} {value}"
    for what in ("input", "output"):
        above, upto = rule.get(f"above_{what}_tokens") or 0, rule.get(f"upto_{what}_tokens") or 0
        if above and upto:
            yield f"{above} < {what} ≤ {upto}"
        elif above or upto:
            yield f"{what} > {above}" if above else f"{what} ≤ {upto}"
