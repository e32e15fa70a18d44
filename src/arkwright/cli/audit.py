"""`arkwright audit`: proof that the bill equals what was served, and who changed what."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="audit", help="Proof that the bill equals what was served; who changed what.")


@app.command
def verify(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> int:
    """Read every journal and the whole ledger again. Exit code: 0 all agrees, 1 something does not."""
    with at.client() as client:
        report = client.post_long("/audit/verify")
    if json_output:
        tables.print_json(report)
        return EXIT_OK if report["ok"] else EXIT_FAILED
    print(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in report["checked"].items()))
    if report["ok"]:
        print("Everything agrees.")
        return EXIT_OK
    columns = [name for name in report["findings"][0] if report["findings"][0][name] is not None]
    tables.show(report["findings"], json_output=False, columns=columns)
    if report["omitted"]:
        print(f"… and {report['omitted']} more")
    return EXIT_FAILED


@app.command
def log(
    *,
    subject: Annotated[str | None, Parameter(help="Such as `organization acme`.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show who changed what, oldest first."""
    with at.client() as client:
        rows = list(client.every("/changes", subject=subject))
    tables.show(rows, json_output=json_output, columns=("id", "at", "actor", "action", "subject", "before", "after"))
