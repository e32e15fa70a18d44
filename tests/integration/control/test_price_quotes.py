"""Quotes of every ready-made book and of prices in force, against decimals worked out by hand here."""

from decimal import Decimal
from typing import Any

import pytest

from arkwright.basics.errors import ArkwrightError
from arkwright.control.price_books import books, read
from tests.integration.control.conftest import Admin
from tests.integration.control.test_prices import MODEL, PRICE

pytestmark = pytest.mark.anyio

MILLION = 10**6
NOON = "2026-11-24T04:00:00Z"  # 12:00 in Beijing: neither a night of 2025 nor a working hour of 2026.
Q = Decimal


def cost(*parts: tuple[int, str, int]) -> Decimal:
    """Quantity × price / units of the price, each part exactly."""
    return sum((Q(quantity) * Q(price) / units for quantity, price, units in parts), Q(0))


SEED = {"book": "doubao-seed-1.6"}
QWEN = {"book": "qwen-plus"}
CHAT = {"book": "deepseek", "model": "deepseek-chat-2025"}
V4 = {"book": "deepseek", "model": "deepseek-v4-pro"}
CASES: list[tuple[dict[str, Any], Decimal]] = [
    # Seed 1.6: the tier is of the whole input, cached tokens with it; its edge belongs to the lower tier.
    ({**SEED, "usage": {"input": 100_000, "cached_input": 28_000, "output": 500}},
     cost((100_000, "0.25", MILLION), (28_000, "0.05", MILLION), (500, "2.00", MILLION))),
    ({**SEED, "usage": {"input": 100_000, "cached_input": 28_001, "output": 500}},
     cost((100_000, "0.50", MILLION), (28_001, "0.05", MILLION), (500, "4.00", MILLION))),
    ({**SEED, "mode": "batch", "usage": {"input": 1_000, "output": 7, "reasoning": 3}},
     cost((1_000, "0.125", MILLION), (10, "1.00", MILLION))),
    ({**SEED, "usage": {"cache_storage": 64_000 * 24}}, cost((64_000 * 24, "0.0083", MILLION))),
    # Qwen: thinking apart, each kind of cache by its ratio, batch at half without a discount for hits.
    ({**QWEN, "usage": {"input": 1_000, "output": 300}}, cost((1_000, "0.8", MILLION), (300, "2", MILLION))),
    ({**QWEN, "thinking": True, "usage": {"input": 1_000, "output": 300, "reasoning": 700}},
     cost((1_000, "0.8", MILLION), (1_000, "8", MILLION))),
    ({**QWEN, "usage": {"input": 200_000, "output": 1_000}},
     cost((200_000, "2.4", MILLION), (1_000, "20", MILLION))),
    ({**QWEN, "thinking": True, "usage": {"input": 256_001, "output": 1_000}},
     cost((256_001, "4.8", MILLION), (1_000, "64", MILLION))),
    ({**QWEN, "usage": {"cached_input": 256, "cache_write": 2_000, "explicit_cached_input": 1_024}},
     cost((256, "0.8", MILLION)) * Q("0.2") + cost((2_000, "0.8", MILLION)) * Q("1.25")
     + cost((1_024, "0.8", MILLION)) * Q("0.1")),
    ({**QWEN, "mode": "batch", "thinking": True, "usage": {"input": 10, "cached_input": 90, "output": 30}},
     (cost((100, "0.8", MILLION)) + cost((30, "8", MILLION))) / 2),
    # DeepSeek: 16:30 to 00:30 UTC is the night of Beijing, its end not included.
    ({**CHAT, "at": NOON, "usage": {"input": 1_000, "cached_input": 100, "output": 50}},
     cost((1_000, "0.27", MILLION), (100, "0.07", MILLION), (50, "1.10", MILLION))),
    ({**CHAT, "at": "2026-11-24T16:30:00Z", "usage": {"input": 1_000, "output": 50}},
     cost((1_000, "0.135", MILLION), (50, "0.55", MILLION))),
    ({**CHAT, "at": "2026-11-25T00:29:59Z", "usage": {"input": 1_000}}, cost((1_000, "0.135", MILLION))),
    ({**CHAT, "at": "2026-11-25T00:30:00Z", "usage": {"input": 1_000}}, cost((1_000, "0.27", MILLION))),
    ({"book": "deepseek", "model": "deepseek-reasoner-2025", "at": "2026-11-24T20:00:00Z",
      "usage": {"input": 1_000, "output": 50}}, cost((1_000, "0.135", MILLION), (50, "0.55", MILLION))),
    *[({**V4, "at": f"2026-11-24T{hour:02d}:00:00Z", "usage": {"input": 1_000, "cached_input": 9_000, "output": 50}},
       factor * cost((1_000, "0.435", MILLION), (9_000, "0.003625", MILLION), (50, "0.87", MILLION)))
      for hour, factor in ((0, 1), (1, 2), (3, 2), (4, 1), (5, 1), (6, 2), (9, 2), (10, 1))],
    # Images, videos, speech, tools.
    ({"book": "seedream", "model": "seedream-5.0-lite", "usage": {"image": 1}}, Q("0.035")),
    ({"book": "speech", "model": "cosyvoice-v3-flash", "usage": {"character": 10_001}}, Q("1.0001")),
    ({"book": "seedream", "model": "seedream-4.5", "usage": {"image": 3}}, Q("0.12")),
    ({"book": "seedance", "model": "seedance-1.5-pro", "videos": ["5s@1280x720@24"]},
     cost((108_000, "2.40", MILLION))),
    ({"book": "seedance", "model": "seedance-1.5-pro-silent", "service_tier": "flex",
      "videos": ["3s+5s@1280x720@24"]}, cost((172_800, "0.60", MILLION))),
    ({"book": "speech", "model": "paraformer", "usage": {"audio_input_time": 61_500}}, Q("61.5") * Q("0.00008")),
    ({"book": "speech", "model": "cosyvoice-v3-plus", "usage": {"character": 456}}, cost((456, "2", 10_000))),
    ({"book": "speech", "model": "qwen-tts", "usage": {"input": 40, "audio_output": 50 * 12}},
     cost((40, "1.6", MILLION), (600, "10", MILLION))),
    ({"book": "tools", "model": "ark-tools", "usage": {"web_search": 7}}, 7 * Q("0.006")),
    ({"book": "tools", "model": "openai-tools", "usage": {"web_search": 3, "file_search": 2, "code_call": 1}},
     3 * Q("0.01") + 2 * Q("0.0025") + Q("0.03")),
]  # fmt: skip


async def test_each_book_quotes_what_its_vendor_says(admin: Admin) -> None:
    for asked, expected in CASES:
        quote = await admin.post("/prices/quote", asked)
        assert Decimal(quote["total"]) == expected, asked
        assert sum(Decimal(line["amount"]) for line in quote["lines"]) == expected, asked
        assert quote["book"] == asked["book"]


def test_every_book_and_every_price_in_it_is_quoted_above() -> None:
    asked = {(case["book"], case.get("model", "")) for case, _ in CASES}
    for book in books().values():
        assert book.as_of.year >= 2026
        assert book.sources
        for price in book.prices:
            alone = len(book.prices) == 1 and (book.name, "") in asked
            assert alone or (book.name, price.model) in asked, price.model


async def test_a_chat_book_is_whole_enough_to_be_sold(admin: Admin) -> None:
    await admin.apply(MODEL)
    for name, model in (("doubao-seed-1.6", ""), ("qwen-plus", ""), ("deepseek", "deepseek-v4-pro")):
        book = await admin.get(f"/price-books/{name}")
        price = next(price for price in book["prices"] if model in ("", price["model"]))
        assert (await admin.post("/prices", {**price, "model": "m"}))["action"] in ("create", "update")


async def test_a_quote_of_a_price_in_force_names_the_rule_and_the_discount(admin: Admin) -> None:
    await admin.apply(MODEL + PRICE + '[[organizations]]\nname = "acme"\ncurrency = "CNY"\n')
    await admin.post("/discounts", {"organization": "acme", "percent": "12.5", "model": "m"})
    use = {"input": 40_000, "output": 100, "audio_output_time": 1_500}
    asked = {"model": "m", "organization": "acme", "usage": use, "at": "2030-01-01T01:30:00Z", "thinking": True}
    quote = await admin.post("/prices/quote", asked)
    (version,) = await admin.get("/prices/in-force")
    assert (quote["price_version"], quote["window"], quote["discount_percent"]) == (version["id"], "peak", "12.50")
    first, second, third = quote["lines"]
    assert first == {
        "item": "input",
        "quantity": 40_000,
        "unit": "token",
        "price": "1.3125 per million tokens",
        "list_price": "1.50 per million tokens",
        "discount_percent": "12.50",
        "amount": "0.0525",
        "above_input_tokens": 32_000,
        "rule": "peak, input > 32000 tokens",
    }
    assert (second["price"], second["rule"]) == ("7.00 per million tokens", "thinking")
    assert (third["price"], third["amount"]) == ("0.000875 per second", "0.0013125")
    assert Decimal(quote["total"]) == Q("0.0525") + Q("0.0007") + Q("0.0013125")


REFUSED: list[tuple[dict[str, Any], int, str]] = [
        ({"usage": {"input": 1}}, 400, "model"),
        ({**SEED, "usage": {}}, 400, "usage"),
        ({**SEED, "usage": {"input": -1}}, 400, "usage.input"),
        ({**SEED, "usage": {"input": 10**20}}, 400, "usage.input"),
        ({**SEED, "usage": {"input": 1.5}}, 400, "usage[...]"),
        ({**SEED, "usage": {"inputs": 1}}, 400, "usage"),
        ({**SEED, "usage": {"image": 1}}, 400, "usage"),
        ({**SEED, "videos": ["5s@1280x720"]}, 400, "videos"),
        ({**SEED, "usage": {"input": 1}, "at": "2026-01-01T00:00:00"}, 400, "at"),
        ({**SEED, "usage": {"input": 1}, "organization": "nobody"}, 404, "organization"),
        ({"book": "dobao-seed-1.6", "usage": {"input": 1}}, 404, "book"),
        ({"book": "deepseek", "usage": {"input": 1}}, 400, "book_model"),
        ({"book": "deepseek", "model": "x", "usage": {"input": 1}}, 400, "book_model"),
        ({"model": "m", "usage": {"input": 1}}, 404, "model"),
        ({"price": {"input_per_million": "1", "output_per_million": "-1"}, "usage": {"input": 1}}, 400,
         "output_per_million"),
]  # fmt: skip


async def test_what_cannot_be_quoted_is_refused_by_field(admin: Admin) -> None:
    for asked, status, param in REFUSED:
        error = await admin.refused("POST", "/prices/quote", asked, status)
        assert (error["param"] or "").startswith(param), (asked, error)


async def test_a_price_at_hand_is_quoted_before_it_is_in_the_book(admin: Admin) -> None:
    price = {"currency": "EUR", "rules": [{"item": "image", "per_image": "0.07", "resolution": "4k"}]}
    quote = await admin.post("/prices/quote", {"price": price, "resolution": "4k", "usage": {"image": 2}})
    assert (quote["total"], quote["currency"], quote["price_version"]) == ("0.14", "EUR", "")


def test_a_book_with_a_gap_is_refused() -> None:
    text = b"""
        [book]
        title = "t"
        as_of = 2026-11-23
        sources = ["s"]
        [[prices]]
        model = "m"
        currency = "USD"
        [[prices.rules]]
        item = "input"
        per_million = "1"
        upto_input_tokens = 5
    """
    with pytest.raises(ArkwrightError, match="input has no price for input above 5 tokens"):
        read("b", text)
