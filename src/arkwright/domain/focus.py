"""Charges as rows of FOCUS 1.2, the FinOps Open Cost and Usage Specification: one row for each line of a charge.

Law: in every row that has a quantity, a cost is its unit price × the pricing quantity, exactly, in decimal strings; the
rows of a charge add up to the charge. What the specification calls null is left out; columns it does not know begin
with `x_`. Of its conditional columns those are written whose condition this platform meets.

Source: FOCUS 1.2, https://focus.finops.org/focus-specification/v1-2/
"""

from typing import NamedTuple

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.ledger import Layer
from arkwright.domain.pricing import KINDS, ChargeLine, Unit, discounted

VERSION = "1.2"
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus", "CommitmentDiscountType",
    "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice",
    "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags", "x_BilledUnitPrice", "x_Endpoint", "x_EventId",
    "x_Finish", "x_KeyId", "x_Rule", "x_Target", "x_UsageSource",
)  # fmt: skip
_UNITS: dict[Unit, str] = {
    "token": "Tokens",
    "image": "Images",
    "character": "Characters",
    "ms": "Milliseconds",
    "call": "Calls",
    "token-hour": "Token-Hours",
}
_SERVICES: dict[Layer, tuple[str, str, str]] = {
    "iaas": ("Infrastructure as a Service", "Compute", "Other (Compute)"),
    "paas": ("Platform as a Service", "AI and Machine Learning", "AI Platforms"),
    "maas": ("Model as a Service", "AI and Machine Learning", "Generative AI"),
}


class Period(NamedTuple):
    """Moments as FOCUS writes them: whole seconds in UTC, the end not included."""

    billing_start: str
    billing_end: str
    charge_start: str
    charge_end: str


class Payer(NamedTuple):
    id: str
    name: str
    currency: str


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """What rerating added to a charge. `correction`: of a month that was invoiced before."""

    placed_us: int
    started_us: int
    ended_us: int
    organization_id: str
    organization_name: str
    currency: str
    event_id: str
    model: str
    project_id: str
    project_name: str
    price_version: str
    delta_pico: int
    correction: bool


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service beside model calls; the quantity in millionths."""

    placed_us: int
    performed_us: int
    organization_id: str
    organization_name: str
    currency: str
    id: str
    layer: Layer
    item: str
    memo: str
    quantity_micro: int
    unit_price_pico: int
    amount_pico: int


def usage_rows(event: UsageEvent, period: Period, issuer: str) -> list[dict[str, str]]:
    """Column → text, one for each line."""
    shared = {
        **_shared(Payer(event.organization_id, event.organization_name, event.currency), period, issuer, "maas"),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "PublisherName": event.target,
        **_resource(event.model, event.project_id, event.project_name),
        "x_EventId": event.event_id,
        "x_KeyId": event.key_id,
        "x_Endpoint": event.endpoint,
        "x_Target": event.target,
        "x_Finish": event.finish,
        "x_UsageSource": event.usage_source,
    }
    return [{**shared, **_priced(event, line), **_committed(line)} for line in event.lines]


def adjustment_row(given: Adjustment, period: Period, issuer: str) -> dict[str, str]:
    """A difference has no quantity of its own, and so no unit price."""
    payer = Payer(given.organization_id, given.organization_name, given.currency)
    row = {
        **_shared(payer, period, issuer, "maas"),
        "ChargeCategory": "Adjustment",
        "ChargeFrequency": "One-Time",
        "ChargeDescription": f"{given.model}: rated again under {given.price_version}",
        **_costs(given.delta_pico, given.delta_pico, given.delta_pico),
        **_resource(given.model, given.project_id, given.project_name),
        "x_EventId": given.event_id,
    }
    return {**row, "ChargeClass": "Correction"} if given.correction else row


def service_row(given: Service, period: Period, issuer: str) -> dict[str, str]:
    payer = Payer(given.organization_id, given.organization_name, given.currency)
    price, quantity = decimal_from_pico(given.unit_price_pico), _micro(given.quantity_micro)
    return {
        **_shared(payer, period, issuer, given.layer),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": given.memo or given.item,
        **_costs(given.amount_pico, given.amount_pico, given.amount_pico),
        "ListUnitPrice": price,
        "ContractedUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": "Units",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": "Units",
        "SkuId": f"{given.layer}/{given.item}",
        "SkuMeter": given.item,
        "SkuPriceId": f"{given.layer}/{given.item}/{price}",
        "x_BilledUnitPrice": price,
        "x_EventId": given.id,
    }


def _shared(payer: Payer, period: Period, issuer: str, layer: Layer) -> dict[str, str]:
    service, category, subcategory = _SERVICES[layer]
    return {
        "BillingAccountId": payer.id,
        "BillingAccountName": payer.name,
        "BillingAccountType": "Organization",
        "BillingCurrency": payer.currency,
        "BillingPeriodStart": period.billing_start,
        "BillingPeriodEnd": period.billing_end,
        "ChargePeriodStart": period.charge_start,
        "ChargePeriodEnd": period.charge_end,
        "InvoiceIssuerName": issuer,
        "ProviderName": issuer,
        "PublisherName": issuer,
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "ServiceName": service,
    }


def _resource(model: str, project_id: str, project_name: str) -> dict[str, str]:
    found = {"ResourceId": model, "ResourceName": model, "ResourceType": "Model"}
    if project_id:
        found |= {"SubAccountId": project_id, "SubAccountType": "Project"}
    return {**found, "SubAccountName": project_name} if project_name else found


def _costs(billed_pico: int, list_pico: int, contracted_pico: int) -> dict[str, str]:
    return {
        "BilledCost": decimal_from_pico(billed_pico),
        "EffectiveCost": decimal_from_pico(billed_pico),
        "ListCost": decimal_from_pico(list_pico),
        "ContractedCost": decimal_from_pico(contracted_pico),
    }


def _priced(event: UsageEvent, line: ChargeLine) -> dict[str, str]:
    unit = _UNITS[KINDS[line.item].unit]
    listed = line.list_price_pico
    contracted = discounted(listed, line.discount_bp)
    rule = f"/{line.rule}" if line.rule else ""
    said = {
        "ChargeDescription": f"{event.model}: {line.item.replace('_', ' ')}{f' ({line.rule})' if line.rule else ''}",
        **_costs(line.amount_pico, listed * line.quantity, contracted * line.quantity),
        "ListUnitPrice": decimal_from_pico(listed),
        "ContractedUnitPrice": decimal_from_pico(contracted),
        "PricingCategory": "Committed" if line.lot else "Standard",
        "PricingQuantity": str(line.quantity),
        "PricingUnit": unit,
        "ConsumedQuantity": str(line.quantity),
        "ConsumedUnit": unit,
        "SkuId": f"{event.model}/{line.item}",
        "SkuMeter": line.item,
        "SkuPriceId": f"{event.price_version}/{line.item}{rule}",
        "x_BilledUnitPrice": decimal_from_pico(line.pico_per_unit),
    }
    return {**said, "x_Rule": line.rule} if line.rule else said


def _committed(line: ChargeLine) -> dict[str, str]:
    """A line that a grant, a pack or a reservation covers."""
    if not line.lot:
        return {}
    return {
        "CommitmentDiscountId": line.lot,
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountType": "Lot",
        "CommitmentDiscountStatus": "Used",
        "CommitmentDiscountQuantity": str(line.quantity),
        "CommitmentDiscountUnit": _UNITS[KINDS[line.item].unit],
    }


def _micro(quantity: int) -> str:
    whole, fraction = divmod(quantity, 10**6)
    return f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
