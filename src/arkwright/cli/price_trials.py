"""`arkwright prices try`: what a draft would have brought."""

import sys
import time
from typing import Annotated, Any

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions

_POLL_S = 0.3
_MODELS = ("model", "currency", "requests", "before", "after", "difference", "percent")
_CUSTOMERS = ("model", "organization", "requests", "before", "after", "difference", "percent", "share")


def try_(
    *drafts: str,
    period: Annotated[
        str | None, Parameter(help="last-month (the default), 2026-11, 2026-Q4, 2026; month: this.")
    ] = None,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, with --until; whole hours.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01; not included.")] = None,
    organization: Annotated[str | None, Parameter(name=["--organization", "-o"], help="This customer alone.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> int:
    """Rate what was really used by drafts, one for each model: charged then, and what it would have been.

    Changes nothing. Exit code 1: it could not be worked out.
    """
    body = given({"period": period, "since": moment(since), "until": moment(until), "organization": organization})
    with at.client() as client:
        found = client.post("/price-trials", {"drafts": list(drafts), **body})
        while found["state"] == "running":
            _progress(found)
            time.sleep(_POLL_S)
            found = client.get(f"/price-trials/{segment(found['id'])}")
    if json_output:
        tables.print_json(found)
    elif found["state"] == "failed":
        tables.note(found["error"])
    else:
        _show(found)
    return EXIT_OK if found["state"] == "done" else EXIT_FAILED


def _progress(found: dict[str, Any]) -> None:
    if sys.stderr.isatty() and found["requests"]:
        tables.note(f"{found['requests_done']} of {found['requests']} requests")


def _show(found: dict[str, Any]) -> None:
    print(f"{found['period']}, {found['requests']} requests")
    tables.show([_signed(model) for model in found["models"]], json_output=False, columns=_MODELS)
    rows = [
        {**_signed(customer), "model": model["model"], "organization": customer["organization"] or "(the others)",
         "share": f"{customer['share_bp'] // 100}.{customer['share_bp'] % 100:02d} %"}
        for model in found["models"]
        for customer in model["customers"]
    ]  # fmt: skip
    print()
    tables.show(rows, json_output=False, columns=_CUSTOMERS, empty="Nothing was used of it.")


def _signed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "percent": f"{row['percent']} %" if row["percent"] else ""}
