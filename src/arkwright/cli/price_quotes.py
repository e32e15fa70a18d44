"""`arkwright prices quote`: what a use would cost, line by line. The platform rates it, as it charges."""

import re
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.fields import given, moment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions
from arkwright.domain.pricing import ITEMS, KINDS

_COLUMNS = ("item", "quantity", "unit", "price", "list_price", "discount_percent", "amount", "rule")
_SECONDS = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?s", re.ASCII)


def quote(
    *what: Annotated[
        str,
        Parameter(
            help="A model, then what is used of what: input=1000 output=200 image=2 character=3000 web_search=1"
            " cache_storage=5000 audio_input_time=12.5s video=5s@1280x720@24."
        ),
    ],
    book: Annotated[str | None, Parameter(help="Quote by a ready-made book instead of the prices in force.")] = None,
    currency: str | None = None,
    mode: Annotated[Literal["online", "batch"] | None, Parameter(help="online or batch.")] = None,
    service_tier: str | None = None,
    thinking: Annotated[bool, Parameter(negative="", help="With thinking.")] = False,
    resolution: Annotated[str | None, Parameter(help="Such as 1080p or 1024x1024.")] = None,
    when: Annotated[str | None, Parameter(name="--at", help="Such as 2027-01-31T00:00:00Z; default: now.")] = None,
    organization: Annotated[
        str | None, Parameter(name=["--organization", "-o"], help="Whose discount, by name or id.")
    ] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Price a use: each line with its price, discount and the rule behind it, such as `prices quote m input=1000`."""
    models = [text for text in what if "=" not in text]
    if len(models) > 1:
        raise InvalidInput(f"{models[1]!r} is no use: write ITEM=COUNT; there are {', '.join(ITEMS)}, video")
    usage, videos = _usage([text for text in what if "=" in text])
    body = given(
        {
            "model": models[0] if models else None,
            "book": book,
            "currency": currency,
            "usage": usage,
            "videos": videos,
            "mode": mode,
            "service_tier": service_tier,
            "thinking": thinking,
            "resolution": resolution,
            "at": moment(when),
            "organization": organization,
        }
    )
    with at.client() as client:
        answer = client.post("/prices/quote", body)
    if json_output:
        tables.print_json(answer)
        return
    tables.show(answer["lines"], json_output=False, columns=_COLUMNS)
    window = f", in the window {answer['window']}" if answer["window"] else ""
    by = answer["price_version"] or f"book {answer['book']}"
    print(f"total {answer['total']} {answer['currency']}, by {by} at {answer['at']}{window}")


def _usage(pairs: list[str]) -> tuple[dict[str, int], list[str]]:
    counts: dict[str, int] = {}
    videos: list[str] = []
    for pair in pairs:
        item, _, text = pair.partition("=")
        if item == "video":
            videos.append(text)
        elif item not in ITEMS:
            raise InvalidInput(f"there is no item {item!r}; there are {', '.join(ITEMS)}, video")
        elif item in counts:
            raise InvalidInput(f"{item} is given twice")
        else:
            counts[item] = _count(item, text)
    return counts, videos


def _count(item: Any, text: str) -> int:
    seconds = _SECONDS.fullmatch(text)
    if seconds and KINDS[item].unit == "ms":
        return int(seconds.group(1)) * 1000 + int((seconds.group(2) or "").ljust(3, "0"))
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        hint = "seconds such as 12.5s" if KINDS[item].unit == "ms" else "a whole number, zero or more"
        raise InvalidInput(f"{item}: {text[:40]!r} is no count: write {hint}")
    if KINDS[item].unit == "ms":
        raise InvalidInput(f"{item}: write seconds, such as {text}s")
    return int(text)
