"""A platform as a file: applied, applied again, applied by two at once, refused, exported."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics.ids import secret_sha256
from arkwright.domain import snapshot as snapshots
from arkwright.store import tenancy
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

FILE = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "http://127.0.0.1:9900/v1"
api_key = "sk-hidden-upstream"
options = { legacy_logprobs = false }

[[models]]
name = "some-model"
provider = "upstream"
upstream_name = "mock"
context_tokens = 32768

[[prices]]
model = "some-model"
currency = "USD"
input_per_million = "0.25"
cached_input_per_million = "0.05"
output_per_million = "2.00"
[[prices.tiers]]
above_input_tokens = 1000
input_per_million = "0.50"
output_per_million = "4.00"

[[organizations]]
name = "acme"
class = "external"
industry = "automotive"
billing = "prepaid"
top_up = "10.00"

[[projects]]
organization = "acme"
name = "robots"

[[members]]
organization = "acme"
login = "ann@acme.example"
role = "admin"

[[keys]]
organization = "acme"
project = "default"
secret = "ak-hidden-customer"
models = ["some-model"]
expires_at = 2099-01-01T00:00:00Z

[[keys]]
organization = "acme"
project = "robots"
name = "generated"
"""


def _changes(applied: Any) -> dict[tuple[str, str], str]:
    return {(change["noun"], change["name"]): change["action"] for change in applied["changes"]}


async def test_applied_twice_changes_nothing_the_second_time(admin: Admin, tmp_path: Path) -> None:
    first = await admin.apply(FILE)
    assert first["created"] == 8
    assert first["updated"] == 1, "the top-up"
    secrets = [change["secret"] for change in first["changes"] if change.get("secret")]
    assert len(secrets) == 2, "one generated key, one generated password"
    assert "hidden" not in str(first)
    again = await admin.apply(FILE)
    assert (again["created"], again["updated"]) == (0, 0)
    assert not [change for change in again["changes"] if change.get("secret")]
    assert len((await admin.get("/organizations/acme/keys"))["data"]) == 2
    bill = await admin.get("/organizations/acme/bill")
    assert (bill["balance"], bill["credited"]) == ("10.00", "10.00")
    snapshot = snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes())
    given = snapshot.keys[secret_sha256("ak-hidden-customer")]
    assert given.models == frozenset(["some-model"])
    assert secret_sha256(secrets[-1]) in snapshot.keys
    assert {rule.above_input_tokens for rule in snapshot.prices[0].rules} == {0, 1000}
    assert not snapshot.models["some-model"].targets[0].traits.legacy_logprobs


async def test_a_dry_run_tells_and_leaves_no_trace(admin: Admin) -> None:
    tried = await admin.apply(FILE, dry_run=True)
    assert tried["dry_run"] is True
    assert tried["created"] == 8
    assert not [change for change in tried["changes"] if change.get("secret")]
    assert (await admin.get("/organizations"))["data"] == []
    assert (await admin.get("/changes"))["data"] == []
    for _ in range(3):
        await admin.apply(FILE, dry_run=True)
    await admin.apply(FILE)
    organization = await admin.get("/organizations/acme")
    async with admin.platform.database.connection() as connection:
        row = await tenancy.lease_row(connection, organization["id"])
    assert row == 0, "rows of the lease file are few; trying must not use them up"


async def test_two_at_once_credit_once_and_make_one_key(admin: Admin) -> None:
    results = await asyncio.gather(*(admin.apply(FILE) for _ in range(4)))
    assert sorted(result["created"] for result in results) == [0, 0, 0, 8]
    assert (await admin.get("/organizations/acme/bill"))["balance"] == "10.00"
    assert len((await admin.get("/organizations/acme/keys"))["data"]) == 2


async def test_a_top_up_is_a_total(admin: Admin) -> None:
    await admin.apply(FILE)
    await admin.post("/organizations/acme/top-ups", {"amount": "5", "reference": "by hand"})
    raised = await admin.apply(FILE.replace('top_up = "10.00"', 'top_up = "12.50"'))
    assert _changes(raised)["top_up", "acme"] == "update"
    bill = await admin.get("/organizations/acme/bill")
    assert bill["balance"] == "17.50", "what was credited by hand is apart from what files credit"
    refused = await admin.apply(FILE, expect=400)
    assert "below the 12.50" in refused["error"]["message"]
    line = FILE.split("\n").index('top_up = "10.00"') + 1
    assert refused["error"]["message"].startswith(f"line {line}: ")
    postpaid = '[[organizations]]\nname = "later"\nbilling = "postpaid"\ntop_up = "1.00"\n'
    assert "postpaid" in (await admin.apply(postpaid, expect=400))["error"]["message"]


async def test_a_change_shows_old_and_new(admin: Admin) -> None:
    await admin.apply(FILE)
    text = FILE.replace('"automotive"', '"toys"').replace('"2.00"', '"3.00"').replace("sk-hidden-up", "sk-hidden-new")
    changed = await admin.apply(text)
    fields = {change["noun"]: change["fields"] for change in changed["changes"] if change["action"] == "update"}
    assert fields["organization"] == {"industry": {"old": "automotive", "new": "toys"}}
    assert fields["price"] == {"output_per_million": {"old": "2.00", "new": "3.00"}}
    assert set(fields["provider"]) == {"api_key"}
    assert "hidden" not in str(changed)
    assert len((await admin.get("/prices", model="some-model"))["data"]) == 2, "a new version beside the old one"


async def test_a_refused_file_leaves_no_trace(admin: Admin) -> None:
    text = FILE + '\n[[keys]]\norganization = "nobody"\nname = "x"\n'
    refused = await admin.apply(text, expect=400)
    line = text.split("\n").index('organization = "nobody"') + 1
    assert refused["error"]["message"].startswith(f"line {line}: ")
    assert (await admin.get("/organizations"))["data"] == []
    dangling = '[[models]]\nname = "m"\nprovider = "nowhere"\ncontext_tokens = 10\n'
    message = (await admin.apply(dangling, expect=400))["error"]["message"]
    assert message == "line 3: models[0]: there is no provider 'nowhere'"
    unpriced = '[[prices]]\nmodel = "m"\ncurrency = "usd"\ninput_per_million = "1"\noutput_per_million = "1"\n'
    assert (await admin.apply(unpriced, expect=400))["error"]["message"].startswith("line 3: prices[0]: currency")


async def test_what_is_exported_and_applied_changes_nothing(admin: Admin) -> None:
    await admin.post("/bootstrap")
    await admin.post("/deploy", {"reference": "smollm2-135m-instruct"})
    await admin.apply(FILE)
    for name in ("twin", "twin"):
        await admin.post("/organizations/acme/keys", {"name": name, "models": ["some-model"]})
    await admin.post("/organizations", {"name": 'odd "name" \\ é', "industry": "tab	less".replace("\t", " ")})
    later = {
        "model": "some-model",
        "input_per_million": "1",
        "output_per_million": "1",
        "valid_from": "2099-01-01T00:00:00Z",
    }
    await admin.post("/prices", later)
    text = await admin.export()
    assert "hidden" not in text
    applied = await admin.apply(text)
    assert (applied["created"], applied["updated"]) == (0, 0), applied
    assert applied["unchanged"] >= 15
    assert await admin.export() == text


async def test_prices_that_follow_each_other_do_not_come_back(admin: Admin) -> None:
    price = '[[prices]]\nmodel = "some-model"\ncurrency = "USD"\ninput_per_million = "{}"\noutput_per_million = "1"\n{}'
    text = (
        FILE.split("[[prices]]")[0] + price.format("1", "") + price.format("2", "valid_from = 2020-01-01T00:00:00Z\n")
    )
    await admin.apply(text)
    assert (await admin.apply(text))["created"] == 0
    in_force = await admin.get("/prices/in-force")
    assert [version["input_per_million"] for version in in_force] == ["2.00"]


PROFILE = """
[[organizations]]
name = "acme"
billing = "postpaid"
billing_profile = { legal_name = "Acme & Sons", address = ["1 Mill Lane", "Cromford"], tax_rate_bp = 600 }
"""


async def test_a_billing_profile_is_declared_exported_and_refused_by_its_line(admin: Admin) -> None:
    assert (await admin.apply(PROFILE))["updated"] == 1
    assert (await admin.apply(PROFILE))["unchanged"] == 2
    profile = await admin.get("/organizations/acme/billing-profile")
    assert (profile["legal_name"], profile["tax_rate_bp"], profile["terms_days"]) == ("Acme & Sons", 600, 30)
    exported = await admin.export()
    assert 'billing_profile = { "legal_name" = "Acme & Sons"' in exported
    assert (await admin.apply(exported))["updated"] == 0
    answer = await admin.apply(PROFILE.replace("600", "6.5"), expect=400)
    assert answer["error"]["message"].startswith("line 5: organizations")
    answer = await admin.apply(PROFILE.replace("600", "60000"), expect=400)
    assert answer["error"]["message"].startswith("line 5: organizations[0]: tax_rate_bp is 0 to 10000")
    assert (await admin.get("/organizations/acme/billing-profile")) == profile
