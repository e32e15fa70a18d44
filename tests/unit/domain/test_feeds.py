"""A usage event as it leaves: CloudEvents 1.0, with amounts that no reader can take for floats."""

from typing import Any

import msgspec

from arkwright.domain.feeds import TYPE, UsageEvent, cloud_event
from arkwright.domain.journal import Draw
from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import ChargeLine

LINE = ChargeLine("input", 7, 250_000, 1_750_000, 0, list_pico_per_unit=500_000, discount_bp=5_000)
EVENT = UsageEvent(
    event_id="0193" + "0" * 28,
    placed_us=1_764_000_000_000_000,
    organization_id="org_a",
    organization_name="Ä",
    organization_class="external",
    industry="",
    prepaid=True,
    project_id="prj_a",
    project_name="default",
    key_id="key_a",
    endpoint="chat/completions",
    model="m",
    target="t",
    upstream_model="u",
    upstream_request_id="r",
    streamed=False,
    status=200,
    finish="completed",
    started_us=1_763_999_999_000_000,
    ended_us=1_763_999_999_500_000,
    ttft_us=None,
    usage=Usage(input_tokens=7),
    usage_source="engine",
    circumstances=Circumstances(),
    currency="USD",
    price_version="price_1",
    lines=(LINE,),
    draws=(Draw("lot_1", 2),),
    amount_pico=9_007_199_254_740_993,  # The first whole number that a float does not have.
    granted_pico=0,
    uncollected_pico=0,
)


def test_an_event_is_a_cloud_event_of_version_1() -> None:
    told = cloud_event(EVENT, "https://maas.example", "2025-11-24T16:00:00Z")
    assert {name: told[name] for name in told if name != "data"} == {
        "specversion": "1.0",
        "id": EVENT.event_id,
        "source": "https://maas.example",
        "type": TYPE,
        "subject": "org_a",
        "time": "2025-11-24T16:00:00Z",
        "datacontenttype": "application/json",
    }
    assert told["data"]["amount_pico"] == "9007199254740993"
    assert told["data"]["lines"] == [
        {"item": "input", "quantity": 7, "pico_per_unit": "250000", "amount_pico": "1750000", "above_input_tokens": 0,
         "list_pico_per_unit": "500000", "discount_bp": 5_000}
    ]  # fmt: skip


def test_no_amount_leaves_as_a_number() -> None:
    def amounts(value: Any, name: str = "") -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                amounts(inner, key)
        elif isinstance(value, list):
            for inner in value:
                amounts(inner, name)
        else:
            assert not isinstance(value, float)
            assert "pico" not in name or isinstance(value, str), name

    amounts(msgspec.json.decode(msgspec.json.encode(cloud_event(EVENT, "s", "t"))))
