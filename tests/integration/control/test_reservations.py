"""Reserved throughput through the admin API and in a file."""

from typing import Any

import pytest

from arkwright.domain import snapshot as snapshots
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

FILE = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "http://127.0.0.1:9900/v1"

[[models]]
name = "some-model"
provider = "upstream"
context_tokens = 4096

[[organizations]]
name = "acme"
currency = "USD"

[[reservations]]
organization = "acme"
reference = "contract-1"
model = "some-model"
input_tokens_per_minute = 100000
output_tokens_per_minute = 20000
overflow = "reject"
amount = "120.00"
valid_until = 2099-01-01T00:00:00Z
"""
BODY = {
    "reference": "r1", "model": "some-model", "input_tokens_per_minute": 5, "output_tokens_per_minute": 5,
    "valid_until": "2099-01-01T00:00:00Z",
}  # fmt: skip
PATH = "/organizations/acme/reservations"


def known(admin: Admin) -> dict[str, int]:
    path = admin.platform.settings.paths.root / "snapshot.msgpack"
    return {one.id: one.output_tokens_per_minute for one in snapshots.decode(path.read_bytes()).reservations}


async def test_a_file_reserves_once_and_an_export_writes_it(admin: Admin) -> None:
    await admin.apply(FILE)
    again = await admin.apply(FILE)
    assert (again["created"], again["updated"]) == (0, 0)
    [row] = (await admin.get(PATH))["data"]
    assert (row["state"], row["overflow"], row["amount"]) == ("in force", "reject", "120.00")
    assert known(admin) == {row["id"]: 20_000}
    exported = await admin.export()
    assert exported.count("[[reservations]]") == 1
    unchanged = await admin.apply(exported)
    assert (unchanged["created"], unchanged["updated"]) == (0, 0)
    await admin.post("/organizations", {"name": "late"})
    await admin.refused("POST", f"/organizations/late/reservations/{row['id']}/end", {}, 404)
    await admin.post(f"{PATH}/contract-1/end", {})
    await admin.refused("POST", f"{PATH}/contract-1/end", {}, 409)
    assert known(admin) == {}
    assert (await admin.get(PATH))["data"] == []
    assert [one["state"] for one in (await admin.get(PATH, ended="true"))["data"]] == ["ended"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"input_tokens_per_minute": 0}, 400, "input_tokens_per_minute"),
        ({"output_tokens_per_minute": -1}, 400, "output_tokens_per_minute"),
        ({"output_tokens_per_minute": 1.5}, 400, ""),
        ({"model": "none"}, 400, "model"),
        ({"overflow": "queue"}, 400, ""),
        ({"amount": "-1"}, 400, "amount"),
        ({"amount": "much"}, 400, "amount"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, 400, "valid_until"),
        ({"valid_until": "2099-01-01T00:00:00"}, 400, "valid_until"),
        ({"valid_from": "2100-01-01T00:00:00Z"}, 400, "valid_until"),
        ({"reference": ""}, 400, "reference"),
        ({"reference": "contract-1"}, 409, "reference"),
    ],
)
async def test_what_is_wrong_is_named(admin: Admin, fields: dict[str, Any], status: int, param: str) -> None:
    await admin.apply(FILE)
    error = await admin.refused("POST", PATH, {**BODY, **fields}, status)
    if param:
        assert error["param"] == param
    assert len((await admin.get(PATH, ended="true"))["data"]) == 1
