"""`arkwright orgs`: the organizations that pay."""

from typing import Annotated
from uuid import uuid4

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="orgs", help="Organizations: who pays.")
_COLUMNS = ("id", "name", "class", "industry", "billing", "currency", "disabled")

Class = Annotated[
    str | None, Parameter(name="--class", help="external, internal or test; the token league counts external.")
]
Industry = Annotated[str | None, Parameter(help="Such as automotive; frozen onto what is used.")]
FreeOnly = Annotated[
    bool | None, Parameter(negative="--no-free-only", help="Refuse what its lots do not cover, instead of charging it.")
]
Billing = Annotated[str | None, Parameter(help="prepaid or postpaid.")]


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all organizations."""
    with at.client() as client:
        tables.show(list(client.every("/organizations")), json_output=json_output, columns=_COLUMNS)


@app.command
def create(
    name: str,
    *,
    class_: Class = None,
    industry: Industry = None,
    billing: Billing = None,
    currency: Annotated[str | None, Parameter(help="Three capital letters; chosen once.")] = None,
    free_only: FreeOnly = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create an organization: external and prepaid, unless said otherwise."""
    who = {"name": name, "class": class_, "industry": industry, "billing": billing, "currency": currency}
    body = given({**who, "free_only": free_only})
    with at.client() as client:
        tables.show(client.post("/organizations", body), json_output=json_output, columns=_COLUMNS)


@app.command
def show(organization: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show an organization, by name or id."""
    with at.client() as client:
        answer = client.get(f"/organizations/{segment(organization)}")
        tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def update(
    organization: str,
    *,
    class_: Class = None,
    industry: Industry = None,
    billing: Billing = None,
    disabled: Annotated[
        bool | None, Parameter(negative="--enabled", help="Refuse its keys, or serve them again.")
    ] = None,
    free_only: FreeOnly = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Change what is given; the rest stays."""
    body = given(
        {"class": class_, "industry": industry, "billing": billing, "disabled": disabled, "free_only": free_only}
    )
    with at.client() as client:
        answer = client.patch(f"/organizations/{segment(organization)}", body)
        tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command(name="top-up")
def top_up(
    organization: str,
    amount: str,
    *,
    reference: Annotated[str | None, Parameter(help="A payment's number: the same one credits only once.")] = None,
    memo: str = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Credit a prepaid balance, such as 10.00."""
    body = {"amount": amount, "reference": reference or f"cli:{uuid4()}", "memo": memo}
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/top-ups", body)
    tables.show(answer, json_output=json_output, columns=("created", "balance", "currency"))
