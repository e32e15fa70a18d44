"""`arkwright invoices`: closing months, invoices as documents, credit notes, and whom they are written to."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.steps import Steps
from arkwright.cli.target import HERE, TargetOptions

app = App(name="invoices", help="Close months; invoices, credit notes, and whom they are written to.")
_COLUMNS = (
    "number", "organization", "billing", "period", "issued_at", "due_at", "net", "tax", "total", "credited", "currency",
)  # fmt: skip
_LINE = (
    "period",
    "kind",
    "subject",
    "item",
    "quantity",
    "unit",
    "unit_price",
    "per",
    "discount_bp",
    "lot",
    "exact",
    "amount",
)
_PROFILE = (
    "legal_name", "address", "email", "tax_id", "tax_name", "tax_rate_bp", "terms_days", "grace_days", "locale",
)  # fmt: skip
_ISSUER = ("legal_name", "address", "email", "tax_id", "payment_info")

Organization = Annotated[
    str | None, Parameter(name=["--organization", "-o"], help="Name or id; default: all organizations.")
]
Lines = Annotated[list[str] | None, Parameter(negative="", help="A line; repeat it.")]


@app.command
def close(
    period: Annotated[str, Parameter(help="The month, such as 2026-10.")],
    *,
    organization: Organization = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Close a month: make its invoices. Closing it again changes nothing; what comes late is on the next one."""
    body = given({"period": period, "organization": organization})
    with at.client() as client, Steps().step(f"Closing {period}"):
        answer = client.post_long("/invoices/close", body)
    tables.show(answer, json_output=json_output, columns=("organization", "period", "new", "invoices"))


@app.command(name="list")
def list_(*, organization: Organization = None, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List invoices by number."""
    with at.client() as client:
        rows = list(client.every("/invoices", organization=organization))
    tables.show(rows, json_output=json_output, columns=_COLUMNS, empty="No invoice yet.")


@app.command
def show(number: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show an invoice with its lines."""
    with at.client() as client:
        answer = client.get(f"/invoices/{segment(number)}")
    if json_output:
        tables.print_json(answer)
        return
    fields = ("number", "period", "billing", "issued_on", "due_on", "exact", "net", "tax", "total", "currency")
    answer["customer"] = answer["customer"]["name"]
    tables.show_fields(answer, json_output=False, fields=("customer", *fields))
    print()
    tables.show(answer["lines"], json_output=False, columns=_LINE)


@app.command
def save(
    number: str,
    *,
    format: Annotated[Literal["pdf", "html"], Parameter(help="pdf or html.")] = "pdf",
    output: Annotated[Path | None, Parameter(name=["--output", "-O"], help="File; - for stdout.")] = None,
    at: TargetOptions = HERE,
) -> None:
    """Write an invoice as a PDF or as one HTML page."""
    with at.client() as client:
        content = client.get_bytes(f"/invoices/{segment(number)}/{format}")
    path = output or Path(f"{number}.{format}")
    if str(path) == "-":
        sys.stdout.buffer.write(content)
        return
    path.write_bytes(content)
    tables.note(f"{path}: {len(content):,} bytes")


@app.command
def credit(
    number: str,
    amount: Annotated[str | None, Parameter(help="With its tax; default: all that is left.")] = None,
    *,
    reason: Annotated[str, Parameter(help="What the customer reads.")],
    reference: Annotated[str | None, Parameter(help="Yours: the same one credits only once.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Take back a part of an invoice, or all of it, by a credit note."""
    body = given({"amount": amount, "reason": reason, "reference": reference or f"cli:{uuid4()}"})
    with at.client() as client:
        answer = client.post(f"/invoices/{segment(number)}/credit-notes", body)
    tables.show(answer, json_output=json_output, columns=("created", "number", "invoice", "amount", "tax", "currency"))


@app.command
def issuer(
    *,
    legal_name: str | None = None,
    address: Lines = None,
    email: str | None = None,
    tax_id: str | None = None,
    payment_info: Lines = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show who writes the invoices, after changing what is given."""
    body = given(
        {"legal_name": legal_name, "address": address, "email": email, "tax_id": tax_id, "payment_info": payment_info}
    )
    with at.client() as client:
        answer = client.patch("/invoice-issuer", body) if body else client.get("/invoice-issuer")
    tables.show_fields(answer, json_output=json_output, fields=_ISSUER)


@app.command
def profile(
    organization: OrganizationOption,
    *,
    legal_name: str | None = None,
    address: Lines = None,
    email: str | None = None,
    tax_id: str | None = None,
    tax_name: Annotated[str | None, Parameter(help="Such as VAT.")] = None,
    tax_rate_bp: Annotated[int | None, Parameter(help="In hundredths of a percent: 600 is 6 %.")] = None,
    terms_days: Annotated[int | None, Parameter(help="From an invoice to its due date.")] = None,
    grace_days: Annotated[int | None, Parameter(help="From the due date until requests are refused.")] = None,
    locale: Annotated[str | None, Parameter(help="en or zh_CN.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show whom an organization's invoices are written to, after changing what is given."""
    body = given(
        {
            "legal_name": legal_name,
            "address": address,
            "email": email,
            "tax_id": tax_id,
            "tax_name": tax_name,
            "tax_rate_bp": tax_rate_bp,
            "terms_days": terms_days,
            "grace_days": grace_days,
            "locale": locale,
        }
    )
    where = f"/organizations/{segment(organization)}/billing-profile"
    with at.client() as client:
        answer = client.patch(where, body) if body else client.get(where)
    tables.show_fields(answer, json_output=json_output, fields=_PROFILE)
