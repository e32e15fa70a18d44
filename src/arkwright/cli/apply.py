"""`arkwright apply FILE`: bring a platform to what a file declares, and print what that changed."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.files import read_text
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

_SIGN = {"create": "+", "update": "~", "delete": "-", "unchanged": " "}


def apply(
    file: Annotated[Path, Parameter(help="A TOML file; `-` for standard input.", allow_leading_hyphen=True)],
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Print what would change; change nothing.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Bring the platform to what a file declares; what it does not mention stays. Applying it again changes nothing."""
    text = read_text(file)
    with at.client() as client:
        applied = client.send_text("/apply", text, dry_run=str(dry_run).lower())
    if json_output:
        tables.print_json(applied)
        return
    for change in applied["changes"]:
        _print_change(change)
    done = "would be " if dry_run else ""
    print(f"{applied['created']} {done}created, {applied['updated']} {done}updated, {applied['unchanged']} unchanged")


def _print_change(change: dict[str, Any]) -> None:
    print(f"{_SIGN[change['action']]} {change['noun']} {change['name']}")
    for field, values in change.get("fields", {}).items():
        if field in _PARTS:
            _print_parts(field, values["old"] or [], values["new"] or [])
            continue
        new = tables.text(values["new"])
        print(
            f"    {field}: {new}"
            if change["action"] == "create"
            else f"    {field}: {tables.text(values['old'])} → {new}"
        )
    if change.get("secret"):
        print(f"    secret, shown this once: {change['secret']}")


def _print_parts(field: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """A line for each tier or rule that comes, goes or stays."""
    print(f"    {field}:")
    for sign, parts in (("-", [part for part in old if part not in new]), ("+", new)):
        for part in parts:
            shown = " " if sign == "+" and part in old else sign
            print(f"      {shown} {_PARTS[field](part)}")


def _tier(tier: dict[str, Any]) -> str:
    return f"above {tier['above_input_tokens']}: {tables.text(_without(tier, 'above_input_tokens'))}"


def _rule(rule: dict[str, Any]) -> str:
    return f"{rule['item']}: {tables.text(_without(rule, 'item'))}"


def _without(part: dict[str, Any], name: str) -> dict[str, Any]:
    return {field: value for field, value in part.items() if field != name}


_PARTS = {"tiers": _tier, "rules": _rule}
