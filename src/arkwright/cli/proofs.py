"""`arkwright audit key, roots, seal, export` and `verify FILE`: proof for somebody who trusts no platform.

Law: checking a file needs the file and the key alone: no platform, no database, no network.
"""

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from cyclopts import Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.basics.signing import Verifier
from arkwright.cli import saving, tables
from arkwright.cli.fields import segment
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.progress import Counted
from arkwright.cli.target import HERE, TargetOptions
from arkwright.domain.proof_check import Checker

LINE_BYTES_MAX = 4 * 1024 * 1024
_ROOTS_A_PAGE = 200

Since = Annotated[str | None, Parameter(help="First UTC day, such as 2026-11-01; default: from the first.")]
Until = Annotated[str | None, Parameter(help="Such as 2026-12-01; not included; default: up to now.")]


def key(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show the public half of the key that signs roots. Give it to customers by another way than their exports."""
    with at.client() as client:
        answer = client.get("/audit/key")
    if json_output:
        tables.print_json(answer)
    else:
        print(answer["key"])


def roots(
    *, since: Since = None, until: Until = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """List signed roots, oldest first. Publish them: what is in one can't be changed afterwards unseen."""
    found: list[dict[str, Any]] = []
    with at.client() as client:
        while True:
            after = found[-1]["number"] if found else 0
            page = client.get("/audit/roots", since=since, until=until, after=after, limit=_ROOTS_A_PAGE)
            found += page
            if len(page) < _ROOTS_A_PAGE:
                break
    columns = ("number", "day", "over", "hash", "tree", "sealed_at")
    tables.show(found, json_output=json_output, columns=columns, empty="Nothing is sealed yet.")


def seal(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Sign a root for every day that is over, and for what today has so far. Happens by itself once a day is over."""
    with at.client() as client:
        answer = client.post_long("/audit/roots")
    columns = ("number", "day", "over", "hash", "tree", "sealed_at")
    tables.show(answer, json_output=json_output, columns=columns, empty="Nothing was charged yet.")


def export(
    *,
    organization: Annotated[str, Parameter(help="Name or id.")],
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="File to write; one that is there is replaced.")],
    since: Since = None,
    until: Until = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Write an organization's charges with proof, for `arkwright audit verify FILE --key KEY`."""
    with at.client() as client:
        parts = client.stream(f"/organizations/{segment(organization)}/proof", since=since, until=until)
        saving.save(parts, output, json_output=json_output)


def verify_file(file: Path, public_key: str, *, json_output: bool) -> int:
    """Exit code: 0 all of it holds, 1 something does not, 2 it can't be checked."""
    verifier = Verifier(_key_text(public_key))
    checker = Checker(verifier.holds, verifier.public)
    try:
        with file.open("rb") as lines:
            _check(lines, file.stat().st_size, checker)
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror or error}", code="wrong_usage") from None
    ok = not checker.faults
    amounts = {currency: decimal_from_pico(pico) for currency, pico in checker.amount_pico.items()}
    report = {
        "ok": ok,
        "organization_id": checker.organization_id,
        "roots": checker.roots,
        "rows": checker.rows,
        "amount": amounts,
        "faults": msgspec.to_builtins(checker.faults),
        "omitted": checker.omitted,
    }
    if json_output:
        tables.print_json(report)
    else:
        _tell(report)
    return EXIT_OK if ok else EXIT_FAILED


def _check(lines: BinaryIO, size: int, checker: Checker) -> None:
    done = 0
    with Counted("bytes") as progress:
        while line := lines.readline(LINE_BYTES_MAX + 1):
            if len(line) > LINE_BYTES_MAX:
                message = (
                    f"line {checker.line + 1} is longer than {LINE_BYTES_MAX // 2**20} MiB: this is no such export"
                )
                raise InvalidInput(message, code="wrong_usage")
            checker.check(line)
            done += len(line)
            progress.at(done, size, f"{checker.rows:,} rows")
    checker.finish()


def _key_text(given: str) -> str:
    """The key itself, or the path of a file that holds it."""
    if given.startswith("ed25519:"):
        return given
    try:
        with Path(given).open("rb") as file:
            return file.read(1_000).decode()
    except (OSError, UnicodeDecodeError, ValueError):
        return given


def _tell(report: dict[str, Any]) -> None:
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in sorted(report["amount"].items()))
    print(f"{report['organization_id'] or 'nobody'}: {report['roots']} roots, {report['rows']} rows, {amounts or '0'}")
    if report["ok"]:
        print("All of it holds: signatures, chain, every row, every sum.")
        return
    tables.show(report["faults"], json_output=False, columns=("line", "subject", "what"))
    if report["omitted"]:
        print(f"… and {report['omitted']} more")
