"""The price book through the admin API and in files: every rule written, applied, exported, refused by line."""

import asyncio
from typing import Any

import pytest

from arkwright.domain import snapshot as snapshots
from arkwright.domain.pricing import Rule, Window
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

MODEL = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "http://127.0.0.1:9900/v1"

[[models]]
name = "m"
provider = "upstream"
context_tokens = 32768
"""
PRICE = """
[[prices]]
model = "m"
currency = "CNY"
[prices.windows.peak]
utc_offset = "+08:00"
from = "09:00"
to = "12:00"
[prices.windows.night]
from = "22:00"
to = "24:00"
[[prices.rules]]
item = "input"
per_million = "0.8"
upto_input_tokens = 32000
[[prices.rules]]
item = "input"
per_million = "1.2"
above_input_tokens = 32000
[[prices.rules]]
item = "input"
per_million = "1.6"
window = "peak"
[[prices.rules]]
item = "input"
per_million = "0.6"
above_input_tokens = 32000
mode = "batch"
service_tier = "flex"
[[prices.rules]]
item = "input"
per_million = "1.5"
window = "peak"
above_input_tokens = 32000
[[prices.rules]]
item = "input"
per_million = "0.7"
window = "peak"
above_input_tokens = 32000
mode = "batch"
service_tier = "flex"
[[prices.rules]]
item = "input"
per_million = "1.4"
window = "peak"
upto_input_tokens = 32000
[[prices.rules]]
item = "output"
per_million = "2"
[[prices.rules]]
item = "output"
per_million = "8"
thinking = true
[[prices.rules]]
item = "output"
per_million = "1"
thinking = false
upto_output_tokens = 200
[[prices.rules]]
item = "image"
per_image = "0.2"
resolution = "1024x1024"
[[prices.rules]]
item = "character"
per_10k_characters = "1.4"
[[prices.rules]]
item = "audio_input_time"
per_hour = "0.36"
[[prices.rules]]
item = "audio_output_time"
per_minute = "0.06"
[[prices.rules]]
item = "web_search"
per_thousand_calls = "4"
[[prices.rules]]
item = "cache_storage"
per_million_token_hours = "0.017"
"""


async def test_every_rule_is_applied_exported_and_applied_again(admin: Admin) -> None:
    assert (await admin.apply(MODEL + PRICE))["created"] == 3
    (version,) = snapshots.decode(admin.platform.publisher._path.read_bytes()).prices
    assert version.windows == {"peak": Window(480, 540, 720), "night": Window(0, 1320, 1440)}
    assert {
        Rule("input", 800_000, upto_input_tokens=32_000),
        Rule("input", 600_000, above_input_tokens=32_000, mode="batch", service_tier="flex"),
        Rule("output", 1_000_000, upto_output_tokens=200, thinking=False),
        Rule("image", 200_000_000_000, resolution="1024x1024"),
        Rule("character", 140_000_000),
        Rule("audio_input_time", 100_000),
        Rule("audio_output_time", 1_000_000),
        Rule("web_search", 4_000_000_000),
        Rule("cache_storage", 17_000),
    } <= set(version.rules)
    assert (await admin.apply(MODEL + PRICE))["unchanged"] == 3, "the same file again"
    exported = await admin.export()
    assert (await admin.apply(exported))["unchanged"] == 3, "what was exported"
    assert await admin.export() == exported
    (shown,) = await admin.get("/prices/in-force")
    wanted = {"item": "audio_output_time", "per_second": "0.001"}
    assert wanted in shown["rules"]
    fields = {name: value for name, value in shown.items() if name not in ("id", "valid_from")}
    assert (await admin.post("/prices", fields))["action"] == "unchanged", "what is shown can be written"


async def test_the_order_of_rules_is_no_other_price(admin: Admin) -> None:
    await admin.apply(MODEL)
    rules = [{"item": "input", "per_million": "1"}, {"item": "output", "per_million": "2"}]
    assert (await admin.post("/prices", {"model": "m", "rules": rules}))["action"] == "create"
    assert (await admin.post("/prices", {"model": "m", "rules": rules[::-1]}))["action"] == "unchanged"
    flat = {"model": "m", "input_per_million": "1", "output_per_million": "2"}
    assert (await admin.post("/prices", flat))["action"] == "unchanged", "the shorthand says the same"
    search = {"rules": [{"item": "web_search", "per_call": "0.01"}]}
    assert (await admin.post("/prices", {**flat, **search}))["action"] == "update", "a shorthand and more"


HEAD = '[[prices]]\nmodel = "m"\n'
BOTH = '[[prices.rules]]\nitem = "input"\nper_million = "1"\n[[prices.rules]]\nitem = "output"\nper_million = "1"\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + '[[prices.rules]]\nitem = "input"\nper_million = 0.25\n', 5, "decimal string"),
        (HEAD + '[[prices.rules]]\nitem = "inputs"\nper_million = "1"\n', 4, "item must be audio_input"),
        (HEAD + '[[prices.rules]]\nitem = "input"\nper_million = "-1"\n', 5, "below zero"),
        (HEAD + '[[prices.rules]]\nitem = "input"\nper_million = "0.0000001"\n', 5, "6 at most"),
        (HEAD + '[[prices.rules]]\nitem = "image"\nper_million = "1"\n', 5, "image is priced per_image"),
        (HEAD + '[[prices.rules]]\nitem = "input"\n', 3, "input has no price; write one per_million"),
        (HEAD + '[[prices.rules]]\nitem = "audio_input_time"\nper_minute = "0.1"\n', 5, "write it per_second"),
        (HEAD + BOTH + "upto_input_tokens = -5\n", 9, "zero or more"),
        (HEAD + BOTH + 'window = "peak"\n', 9, "no window 'peak'"),
        (HEAD + BOTH + 'mode = "sometimes"\n', 9, "mode must be batch or online"),
        (HEAD + BOTH + 'servicetier = "x"\n', 9, "unknown field `servicetier`"),
        (HEAD + '[prices.windows.p]\nfrom = "9:00"\nto = "12:00"\n' + BOTH, 4, "no time of day"),
        (HEAD + '[prices.windows.p]\nfrom = "09:00"\nto = "12:00"\nutc_offset = "8"\n' + BOTH, 6, "+08:00"),
        (HEAD + BOTH + BOTH, 10, "input is priced twice"),
        (HEAD + BOTH + "upto_input_tokens = 5\n", 7, "output has no price for input above 5 tokens"),
        (
            HEAD + '[prices.windows.a]\nfrom = "09:00"\nto = "12:00"\n'
            '[prices.windows.b]\nfrom = "11:00"\nto = "13:00"\n' + BOTH, 7, "'a' and 'b' overlap",
        ),
        (HEAD + 'currency = "RMB"\n' + BOTH, 3, "no currency of ISO 4217"),
        (HEAD + '[[prices.rules]]\nitem = "input"\nper_million = "1"\n', 8, "output of a model of kind chat"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_by_line_and_changes_nothing(
    admin: Admin, text: str, line: int, words: str
) -> None:
    before = await admin.apply(MODEL)
    assert before["created"] == 2
    answer = await admin.apply(text, expect=400)
    message = answer["error"]["message"]
    assert words in message
    if "of kind chat" not in words:
        assert message.startswith(f"line {line}: ")
    assert await admin.get("/prices/in-force") == []


async def test_a_moment_that_is_taken_is_told(admin: Admin) -> None:
    await admin.apply(MODEL)
    later = {"model": "m", "input_per_million": "1", "output_per_million": "2", "valid_from": "2099-01-01T00:00:00Z"}
    others: list[dict[str, Any]] = [{**later, "input_per_million": str(price)} for price in range(1, 5)]
    answers = await asyncio.gather(*(admin.client.post("/admin/v1/prices", json=price) for price in others))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "starts at that very moment (2099-01-01T00:00:00+00:00)" in refused.json()["error"]["message"]
    assert len(await admin.get("/prices/in-force")) == 1
