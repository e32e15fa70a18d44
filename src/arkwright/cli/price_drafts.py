"""`arkwright prices draft`, `drafts`, `diff`, `validate`, `activate`, `discard`: a price before it is one."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import price_rows, tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.files import read_text
from arkwright.cli.options import EXIT_FAILED, JsonOption
from arkwright.cli.target import HERE, TargetOptions

_COLUMNS = ("id", "model", "currency", "state", "origin", "rules", "troubles", "created_at")
_CHANGES = ("sign", "item", "old", "new", "percent", "conditions")

FileOption = Annotated[Path | None, Parameter(help="A TOML file with [[prices]]; `-` for standard input.")]


def draft(
    model: str,
    *,
    book: Annotated[str | None, Parameter(help="A ready-made book; `prices books` lists them.")] = None,
    book_model: Annotated[str | None, Parameter(help="Which of the book's models.")] = None,
    file: FileOption = None,
    currency: Annotated[str | None, Parameter(help="Which one, where a book or a file has several.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Prepare a price of a model from a book or a file; nothing is sold by it until it is activated."""
    if (book is None) == (file is None):
        raise InvalidInput("say what the draft is made of: --book NAME or --file FILE", code="wrong_usage")
    with at.client() as client:
        if file is not None:
            made = client.send_text("/price-drafts/file", read_text(file), model=model, currency=currency)
        else:
            body = given({"model": model, "book": book, "book_model": book_model, "currency": currency})
            made = client.post("/price-drafts", body)
    _show(made, json_output)


def drafts(
    *,
    model: str | None = None,
    every: Annotated[bool, Parameter(name="--all", negative="", help="Also those that were activated.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List the prices that are being prepared."""
    with at.client() as client:
        rows = list(client.every("/price-drafts", model=model, activated=str(every).lower()))
    shown = [
        {**row, "rules": len(price_rows.rows(row["price"])), "troubles": len(row.get("troubles", []))} for row in rows
    ]
    tables.show(rows if json_output else shown, json_output=json_output, columns=_COLUMNS)


def diff(draft: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show what a draft would change of the price in force, rule by rule."""
    with at.client() as client:
        found = client.get(f"/price-drafts/{segment(draft)}/diff")
    if json_output:
        tables.print_json(found)
        return
    against = found["against"] or "no price: the model has none in this currency"
    print(f"{found['model']}, {found['currency']}: {found['draft']} against {against}")
    for name in found["windows"]:
        for sign, hours in (("-", found["old_windows"]), ("+", found["new_windows"])):
            if name in hours:
                print(f"{sign} window {price_rows.windows({'windows': {name: hours[name]}})[0]}")
    rows = [_priced("-", "old", rule) for rule in found["removed"]]
    rows += [_priced("+", "new", rule) for rule in found["added"]]
    rows += [
        {
            "sign": "~",
            **price_rows.row(change["rule"]),
            "old": change["old"],
            "new": change["new"],
            "percent": f"{change['percent']} %" if change["percent"] else "from nothing",
        }
        for change in found["changed"]
    ]
    tables.show(rows, json_output=False, columns=_CHANGES, empty="It changes nothing.")


def validate(
    draft: str | None = None,
    *,
    file: FileOption = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> int:
    """Say everything that is wrong with a draft or with the prices of a file; exit with 1 if anything is."""
    if (draft is None) == (file is None):
        raise InvalidInput("say what to check: a draft's id, or --file FILE", code="wrong_usage")
    with at.client() as client:
        if file is not None:
            found = client.send_text("/price-drafts/check", read_text(file))
        else:
            found = [client.get(f"/price-drafts/{segment(str(draft))}")]
    troubles = [trouble for price in found for trouble in price.get("troubles", [])]
    if json_output:
        tables.print_json(
            [given({name: price.get(name) for name in ("model", "currency", "troubles")}) for price in found]
        )
    else:
        for price in found:
            print(f"{price['model']}, {price['currency']}: {len(price.get('troubles', [])) or 'nothing'} wrong")
            for trouble in price.get("troubles", []):
                print(f"  {trouble}")
    return EXIT_FAILED if troubles else 0


def activate(
    draft: str,
    *,
    when: Annotated[str | None, Parameter(name="--at", help="Such as 2027-01-31T00:00:00Z; default: now.")] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Say what would be; change nothing.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Make a draft the price: now, or from a later moment on."""
    with at.client() as client:
        answer = client.post(
            f"/price-drafts/{segment(draft)}/activate", given({"at": moment(when), "dry_run": dry_run})
        )
    if json_output:
        tables.print_json(answer)
        return
    verb = "would hold" if dry_run else "holds"
    until = f" until {answer['until']}" if answer["until"] else ""
    follows = f"; it follows {answer['replaces']}" if answer["replaces"] else "; it is the first"
    name = answer["price_version"] or answer["draft"]
    print(f"{answer['model']}, {answer['currency']}: {name} {verb} from {answer['valid_from']}{until}{follows}")


def discard(draft: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Throw a draft away."""
    with at.client() as client:
        client.delete(f"/price-drafts/{segment(draft)}")
    tables.show_deleted("draft", draft, json_output=json_output, done="discarded")


def _show(made: dict[str, Any], json_output: bool) -> None:
    if json_output:
        tables.print_json(made)
        return
    print(f"{made['id']}: {made['model']}, {made['currency']}, from {made['origin']}")
    for window in price_rows.windows(made["price"]):
        print(f"window {window}")
    tables.show(price_rows.rows(made["price"]), json_output=False, columns=price_rows.COLUMNS)
    for trouble in made.get("troubles", []):
        tables.note(f"wrong: {trouble}")


def _priced(sign: str, column: str, rule: dict[str, Any]) -> dict[str, Any]:
    row = price_rows.row(rule)
    return {**row, "sign": sign, column: f"{row['price']} per {row['unit']}"}
