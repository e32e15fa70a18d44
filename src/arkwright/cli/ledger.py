"""`arkwright ledger`: what moved on an organization's accounts, and the movements that people make."""

from itertools import islice
from typing import Annotated, Any
from uuid import uuid4

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="ledger", help="Double entry: what moved, and what people move by hand.")
_COLUMNS = ("id", "posted_at", "kind", "account", "amount", "currency", "reference", "memo")
_MOVED = ("created", "kind", "amount", "currency", "balance", "owed", "refunding")

Reference = Annotated[str | None, Parameter(help="Yours, such as a payment's number: the same one posts only once.")]
Memo = Annotated[str, Parameter(help="Words for whoever reads it.")]


@app.default
@app.command(name="list")
def list_(
    organization: OrganizationOption = "default",
    *,
    limit: Annotated[int, Parameter(help="The newest so many transactions.")] = 50,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List the newest transactions with their entries, and what each account comes to."""
    where = f"/organizations/{segment(organization)}/ledger"
    with at.client() as client:
        rows = list(islice(client.every(where), max(0, limit)))
        accounts = client.get(f"{where}/accounts")
    if json_output:
        tables.print_json({"transactions": rows, "accounts": accounts})
        return
    tables.show([line for row in rows for line in _lines(row)], json_output=False, columns=_COLUMNS)
    if accounts:
        print()
        tables.show(accounts, json_output=False, columns=("account", "balance", "currency"))


@app.command
def payment(
    organization: OrganizationOption,
    amount: str,
    *,
    reference: Reference = None,
    memo: Memo = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """A customer that pays afterwards paid, such as 120.50."""
    _move("payment", organization, amount, reference, memo, json_output, at)


@app.command
def refund(
    organization: OrganizationOption,
    amount: str,
    *,
    reference: Reference = None,
    memo: Memo = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Promise money back: of a prepaid balance, or of what was paid too much."""
    _move("refund", organization, amount, reference, memo, json_output, at)


@app.command(name="refund-paid")
def refund_paid(
    organization: OrganizationOption,
    amount: str,
    *,
    reference: Reference = None,
    memo: Memo = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """What was promised back has been paid out."""
    _move("refund_paid", organization, amount, reference, memo, json_output, at)


@app.command(name="write-off")
def write_off(
    organization: OrganizationOption,
    amount: str,
    *,
    reference: Reference = None,
    memo: Memo = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """What is owed will not be paid: it becomes bad debt."""
    _move("write_off", organization, amount, reference, memo, json_output, at)


@app.command
def service(
    organization: OrganizationOption,
    item: Annotated[str, Parameter(help="What was done, such as `gpu-hour h100`.")],
    quantity: Annotated[str, Parameter(help="Such as 12.5.")],
    unit_price: Annotated[str, Parameter(help="For one, such as 2.40.")],
    *,
    layer: Annotated[str, Parameter(help="iaas (machine hours), paas (training, storage, deployments) or maas.")],
    performed_at: Annotated[str | None, Parameter(help="Such as 2026-11-23T14:00:00Z; default: now.")] = None,
    correction: Annotated[bool, Parameter(negative="", help="Of a closed month, for the next invoice.")] = False,
    reference: Reference = None,
    memo: Memo = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Charge a service beside model calls."""
    body = given(
        {
            "layer": layer,
            "item": item,
            "quantity": quantity,
            "unit_price": unit_price,
            "performed_at": moment(performed_at),
            "correction": correction,
            "reference": reference or f"cli:{uuid4()}",
            "memo": memo,
        }
    )
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/services", body)
    tables.show(answer, json_output=json_output, columns=_MOVED)


def _move(
    operation: str,
    organization: str,
    amount: str,
    reference: str | None,
    memo: str,
    json_output: bool,
    at: TargetOptions,
) -> None:
    body = {"amount": amount, "reference": reference or f"cli:{uuid4()}", "memo": memo}
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/ledger/{operation}", body)
    tables.show(answer, json_output=json_output, columns=_MOVED)


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each entry; what they share stands on the first."""
    first, *rest = [{**entry, "currency": row["currency"]} for entry in row["entries"]]
    shared = {name: row[name] for name in ("id", "posted_at", "kind", "reference", "memo")}
    return [{**shared, **first}, *({**dict.fromkeys(shared, ""), **entry} for entry in rest)]
