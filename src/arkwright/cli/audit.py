"""`arkwright audit`: proof that the bill equals what was served, and who changed what."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import proofs, tables
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.steps import Steps
from arkwright.cli.target import HERE, TargetOptions
from arkwright.domain.audit import MEANINGS

app = App(name="audit", help="Proof that the bill equals what was served; who changed what.")
app.command(proofs.key)
app.command(proofs.roots)
app.command(proofs.seal)
app.command(proofs.export)


@app.command
def verify(
    file: Annotated[Path | None, Parameter(help="An export with proof; default: the platform itself.")] = None,
    /,
    *,
    key: Annotated[str | None, Parameter(help="Of FILE: the platform's public key, or a file that holds it.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> int:
    """Read every journal and the whole ledger again; or check an export, with neither platform nor network.

    Exit code: 0 all agrees, 1 something does not, 2 a file or a key that can't be read.
    """
    if file is not None:
        if key is None:
            raise InvalidInput(
                "a file is checked with a key: --key, as `arkwright audit key` shows it", code="wrong_usage"
            )
        return proofs.verify_file(file, key, json_output=json_output)
    if key is not None:
        raise InvalidInput("--key is for an export: name its file", code="wrong_usage")
    with at.client() as client:
        report = client.post_long("/audit/verify")
    return _tell(report, json_output)


@app.command
def check(
    *,
    list_: Annotated[bool, Parameter(name="--list", negative="", help="What is checked, by name.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> int:
    """Check the books now: every sum, posting, invoice and balance, without the journals. It also comes round daily.

    Exit code: 0 all agrees, 1 something does not.
    """
    if list_:
        rows = [{"name": name, "meaning": meaning} for name, meaning in MEANINGS.items()]
        tables.show(rows, json_output=json_output, columns=("name", "meaning"))
        return EXIT_OK
    with at.client() as client, Steps().step("Checking the books"):
        report = client.post_long("/audit/check")
    return _tell(report, json_output)


@app.command
def log(
    *,
    subject: Annotated[str | None, Parameter(help="Such as `organization acme`.")] = None,
    organization: Annotated[str | None, Parameter(help="Only what was changed of this one.")] = None,
    actor: Annotated[str | None, Parameter(help="Such as `person admin`.")] = None,
    action: Annotated[str | None, Parameter(help="Such as `key.update`.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show who changed what, oldest first."""
    with at.client() as client:
        if organization or actor or action:
            sought = {"subject": subject, "organization": organization, "actor": actor, "action": action}
            rows = list(client.every("/changes/search", **sought))[::-1]
        else:
            rows = list(client.every("/changes", subject=subject))
    tables.show(rows, json_output=json_output, columns=("id", "at", "actor", "action", "subject", "before", "after"))


def _tell(report: dict[str, Any], json_output: bool) -> int:
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
