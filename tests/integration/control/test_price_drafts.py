"""Drafts: made, compared, checked, activated once, at a moment nobody else has; what is refused changes nothing."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.integration.control.conftest import Admin
from tests.integration.control.test_prices import MODEL, PRICE

pytestmark = pytest.mark.anyio

LATER = "2099-01-01T00:00:00Z"
FLAT = {"input_per_million": "1", "output_per_million": "2"}


async def start(admin: Admin) -> None:
    await admin.apply(MODEL)
    await admin.post("/prices", {"model": "m", **FLAT})


async def draft(admin: Admin, **fields: Any) -> Any:
    return await admin.post("/price-drafts", {"model": "m", **fields})


async def sent(admin: Admin, path: str, text: str, *, expect: int = 0, **parameters: str) -> Any:
    """POST a file's text."""
    answer = await admin.client.post(f"/admin/v1/price-drafts{path}", content=text, params=parameters)
    assert answer.status_code == expect if expect else answer.is_success, answer.text
    return answer.json()


async def test_a_book_becomes_a_draft_and_the_draft_a_version(admin: Admin) -> None:
    await start(admin)
    made = await draft(admin, book="doubao-seed-1.6")
    assert (made["state"], made["currency"], made["origin"]) == ("draft", "USD", "book doubao-seed-1.6")
    assert "troubles" not in made
    assert len(await admin.get("/prices/in-force")) == 1, "nothing is sold by a draft"
    found = await admin.get(f"/price-drafts/{made['id']}/diff")
    assert {(rule["item"], rule.get("mode")) for rule in found["added"]} == {
        ("input", None), ("output", None), ("input", "batch"), ("output", "batch"), ("cached_input", None),
        ("cache_storage", None),
    }  # fmt: skip
    assert [rule["item"] for rule in found["removed"]] == ["input", "output"], "their conditions are others"
    done = await admin.post(f"/price-drafts/{made['id']}/activate", {})
    (version,) = await admin.get("/prices/in-force")
    assert (done["price_version"], done["replaces"], done["until"]) == (version["id"], found["against"], None)
    assert (await admin.get("/price-drafts"))["data"] == []
    (kept,) = (await admin.get("/price-drafts", activated=True))["data"]
    assert (kept["state"], kept["price_version"]) == ("activated", version["id"])
    assert await admin.get(f"/price-drafts/{made['id']}/diff") == found, "still told as it was"
    assert (await admin.call("GET", "/price-drafts", activated=True, model="other"))["data"] == []


async def test_a_diff_tells_percentages_and_hours(admin: Admin) -> None:
    await admin.apply(MODEL + PRICE)
    text = PRICE.replace('per_million = "0.8"', 'per_million = "1"').replace('from = "22:00"', 'from = "21:00"')
    text = text.replace('[[prices.rules]]\nitem = "character"\nper_10k_characters = "1.4"\n', "")
    made = await sent(admin, "/file", text, model="m")
    found = await admin.get(f"/price-drafts/{made['id']}/diff")
    assert found["added"] == []
    assert found["removed"] == [{"item": "character", "per_10k_characters": "1.40"}]
    (changed,) = found["changed"]
    assert changed == {
        "rule": {"item": "input", "per_million": "1.00", "upto_input_tokens": 32_000},
        "old": "0.80 per million tokens",
        "new": "1.00 per million tokens",
        "percent": "+25",
    }
    assert found["windows"] == ["night"]
    assert (found["old_windows"]["night"]["from"], found["new_windows"]["night"]["from"]) == ("22:00", "21:00")


async def test_a_draft_is_activated_once_whoever_asks(admin: Admin) -> None:
    await start(admin)
    made = await draft(admin, price={**FLAT, "input_per_million": "3"})
    path = f"/admin/v1/price-drafts/{made['id']}/activate"
    answers = await asyncio.gather(*(admin.client.post(path, json={}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (done,) = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code == 409:
            assert f"became {done['price_version']}" in answer.json()["error"]["message"]
    assert len((await admin.get("/prices", model="m"))["data"]) == 2
    error = await admin.refused("DELETE", f"/price-drafts/{made['id']}", None, 409)
    assert "activated already" in error["message"]


async def activated(admin: Admin, drafts: list[str], body: dict[str, Any]) -> dict[str, httpx.Response]:
    """All of them at once; by draft."""
    paths = [f"/admin/v1/price-drafts/{id}/activate" for id in drafts]
    answers = await asyncio.gather(*(admin.client.post(path, json=body) for path in paths))
    return dict(zip(drafts, answers, strict=True))


async def test_of_several_drafts_one_takes_a_moment(admin: Admin) -> None:
    await start(admin)
    made = [(await draft(admin, price={**FLAT, "input_per_million": str(price)}))["id"] for price in range(3, 7)]
    answers = await activated(admin, made, {"at": LATER})
    refused = {id: answer for id, answer in answers.items() if answer.status_code == 409}
    assert len(refused) == 3
    words = "starts at that very moment (2099-01-01T00:00:00+00:00)"
    assert all(words in answer.json()["error"]["message"] for answer in refused.values())
    left = [row["id"] for row in (await admin.get("/price-drafts"))["data"]]
    assert left == list(refused), "the others are still drafts"
    now = [answer.json() for answer in (await activated(admin, left, {})).values()]
    done = sorted(now, key=lambda one: str(one["valid_from"]))
    assert [one["replaces"] for one in done[1:]] == [one["price_version"] for one in done[:-1]], "one after the other"
    assert {one["until"] for one in done} == {LATER}


async def test_a_dry_run_says_what_would_be_and_leaves_no_trace(admin: Admin) -> None:
    await start(admin)
    made = await draft(admin, price={**FLAT, "input_per_million": "3"})
    before = (await admin.get("/changes"))["data"]
    path = f"/price-drafts/{made['id']}/activate"
    tried = await admin.post(path, {"dry_run": True, "at": LATER})
    assert (tried["dry_run"], tried["valid_from"], tried["price_version"]) == (True, LATER, "")
    assert (await admin.get("/changes"))["data"] == before
    assert len((await admin.get("/prices", model="m"))["data"]) == 1
    assert (await admin.post(path, {"at": LATER}))["valid_from"] == LATER
    other = await draft(admin, price={**FLAT, "input_per_million": "4"})
    await admin.refused("POST", f"/price-drafts/{other['id']}/activate", {"dry_run": True, "at": LATER}, 409)


async def test_what_is_unsound_is_kept_and_told_and_never_activated(admin: Admin) -> None:
    await start(admin)
    rules = [{"item": "input", "per_million": "1", "upto_input_tokens": 5}, {"item": "image", "per_image": "1"}]
    made = await draft(admin, price={"rules": rules})
    assert made["troubles"] == [
        "rules[0].item: input has no price for input above 5 tokens",
        "input of a model of kind chat has no price for input above 5 tokens",
        'output of a model of kind chat has no price; write "0.00" if it is free',
    ]
    error = await admin.refused("POST", f"/price-drafts/{made['id']}/activate", {}, 400)
    assert error["param"] == "rules[0].item"
    assert (await admin.get(f"/price-drafts/{made['id']}"))["state"] == "draft"
    assert await admin.call("DELETE", f"/price-drafts/{made['id']}") is None
    await admin.refused("GET", f"/price-drafts/{made['id']}", None, 404)


async def test_a_file_is_checked_by_line_and_stored_nowhere(admin: Admin) -> None:
    await start(admin)
    text = '[[prices]]\nmodel = "m"\n[[prices.rules]]\nitem = "input"\nper_million = "1"\nupto_input_tokens = 5\n'
    text += '[[prices]]\nmodel = "unknown"\ninput_per_million = "1"\noutput_per_million = "1"\n'
    first, second = await sent(admin, "/check", text)
    assert [trouble.split(": ")[0] for trouble in first["troubles"]] == ["line 4", "line 1", "line 1"]
    assert second == {"model": "unknown", "currency": "USD", "troubles": []}
    assert (await admin.get("/price-drafts"))["data"] == []
    broken = await sent(admin, "/check", text.replace('"1"', "1.0", 1), expect=400)
    assert broken["error"]["message"].startswith("line 5: ")
    none = await sent(admin, "/check", "[[keys]]\norganization = 'a'\n", expect=400)
    assert "no [[prices]]" in none["error"]["message"]
    bad = await admin.client.post("/admin/v1/price-drafts/check", content=b"\xff")
    assert "not UTF-8" in bad.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "price"),
        ({"book": "seedream", "price": FLAT}, "price"),
        ({"book": "deepseek"}, "book_model"),
        ({"model": "nobody", "book": "qwen-plus"}, "model"),
        ({"price": {**FLAT, "currency": "usd"}}, "currency"),
        ({"price": {**FLAT, "tiers": [{"above_input_tokens": 0, **FLAT}]}}, "tiers[0].above_input_tokens"),
    ],
)
async def test_what_cannot_be_drafted_is_refused_by_field(admin: Admin, fields: dict[str, Any], param: str) -> None:
    await start(admin)
    error = await admin.refused("POST", "/price-drafts", {"model": "m", **fields}, 400)
    assert (error["param"] or "") == param, error


async def test_what_cannot_be_activated_says_why(admin: Admin) -> None:
    await start(admin)
    same = await draft(admin, price=FLAT)
    error = await admin.refused("POST", f"/price-drafts/{same['id']}/activate", {}, 409)
    assert "nothing to activate" in error["message"]
    other = await draft(admin, price={**FLAT, "input_per_million": "9"})
    for at in ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "tomorrow"):
        error = await admin.refused("POST", f"/price-drafts/{other['id']}/activate", {"at": at}, 400)
        assert error["param"] == "at"
    await admin.refused("POST", "/price-drafts/draft_nothing/activate", {}, 404)


async def test_a_file_with_several_prices_has_one_of_the_model(admin: Admin) -> None:
    await start(admin)
    euros = PRICE.replace("CNY", "EUR")
    text = PRICE.replace('"m"', '"other"') + PRICE + euros.replace('"m"', '"other"')
    assert (await sent(admin, "/file", text, model="m"))["currency"] == "CNY"
    several = await sent(admin, "/file", text + euros, model="m", expect=400)
    assert "several are of 'm'" in several["error"]["message"]
    assert (await sent(admin, "/file", text + euros, model="m", currency="EUR"))["currency"] == "EUR"
    await sent(admin, "/file", PRICE.replace('"0.8"', '"0.00000001"'), model="m", expect=400)
