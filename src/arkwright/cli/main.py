"""The `arkwright` command: a table of commands, each in a module that is imported only when it runs."""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from arkwright import __version__
from arkwright.basics.errors import ArkwrightError
from arkwright.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, exit_code

# name → where its function (or group of functions) is, and what it does.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("arkwright.cli.up:up", "Bring a whole platform up on this machine; Ctrl-C stops it."),
    "down": ("arkwright.cli.down:down", "Stop everything that `up` started."),
    "reload": ("arkwright.cli.reload:reload", "New gateway workers take over; no request fails for it."),
    "status": ("arkwright.cli.status:status", "Show what runs, and whether it is ready."),
    "top": ("arkwright.cli.top:top", "What passes through the gateway now, by model and replica."),
    "logs": ("arkwright.cli.logs:logs", "What the processes of the platform wrote, and write now."),
    "doctor": ("arkwright.cli.doctor:doctor", "Look for what is wrong, and say how to mend it."),
    "apply": ("arkwright.cli.apply:apply", "Bring a platform to what a TOML file declares."),
    "export": ("arkwright.cli.export:export", "Write a platform's set-up as such a file, without secrets."),
    "orgs": ("arkwright.cli.orgs:app", "Organizations: who pays."),
    "projects": ("arkwright.cli.projects:app", "Projects of an organization."),
    "members": ("arkwright.cli.members:app", "People in an organization."),
    "people": ("arkwright.cli.people:app", "People of the console: roles, sessions and tokens."),
    "invitations": ("arkwright.cli.invitations:app", "Links that let one person in, once."),
    "keys": ("arkwright.cli.keys:app", "API keys."),
    "admin-keys": ("arkwright.cli.admin_keys:app", "Keys of the admin API."),
    "providers": ("arkwright.cli.providers:app", "Accounts elsewhere that serve models."),
    "catalog": ("arkwright.cli.catalog:app", "Models that customers can call, and what serves them."),
    "endpoints": (
        "arkwright.cli.endpoints:app",
        "What customers call instead of a model: canaries, fallbacks, guards.",
    ),
    "deployments": ("arkwright.cli.deployments:app", "Models on this platform's own machines."),
    "prices": ("arkwright.cli.prices:app", "The price book."),
    "discounts": ("arkwright.cli.discounts:app", "What an organization pays less than the book says."),
    "limits": ("arkwright.cli.limits:app", "How much may pass in a minute, at once, in a day and in a month."),
    "reservations": ("arkwright.cli.reservations:app", "Throughput that is paid for by time."),
    "lots": ("arkwright.cli.lots:app", "Free grants, resource packs and promotional credit."),
    "charges": ("arkwright.cli.charges:app", "What each request cost, and the lines that made it."),
    "requests": ("arkwright.cli.requests:app", "Every admitted request, those that failed among them."),
    "usage": ("arkwright.cli.usage:usage", "Show tokens, requests and charges."),
    "costs": ("arkwright.cli.costs:app", "What the operator pays: the other side of the margin."),
    "report": ("arkwright.cli.report:report", "Reports: spend, tokens, latency, margin, the league tables …"),
    "market": ("arkwright.cli.market:app", "Published figures of other vendors, beside one's own."),
    "bill": ("arkwright.cli.bill:bill", "Show an organization's balance and charges."),
    "ledger": ("arkwright.cli.ledger:app", "Double entry: what moved; payments, refunds, services, write-offs."),
    "exports": ("arkwright.cli.exports:app", "Usage and cost as files that other systems read."),
    "invoices": ("arkwright.cli.invoices:app", "Close months; invoices, credit notes, whom they are written to."),
    "dunning": ("arkwright.cli.dunning:app", "Who pays afterwards and is late."),
    "rerate": ("arkwright.cli.rerate:rerate", "Charge a period again under another price, by the difference."),
    "forecast": ("arkwright.cli.forecast:forecast", "What this month will come to."),
    "alerts": ("arkwright.cli.alerts:app", "Thresholds on money, told by mail and webhook."),
    "webhooks": ("arkwright.cli.webhooks:app", "Receivers of usage events."),
    "audit": ("arkwright.cli.audit:app", "Proof that the bill equals what was served."),
    "config": ("arkwright.cli.config:config", "Show every setting, its value, where it came from, and its meaning."),
    "models": ("arkwright.cli.models:app", "Weights on this machine: list, pull, verify and remove them."),
    "serve": ("arkwright.cli.serve:serve", "Run one role in the foreground, for clusters and service managers."),
    "version": ("arkwright.cli.version:version", "Show the version."),
}


def build() -> App:
    app = App(
        name="arkwright",
        help="A self-hosted Model-as-a-Service platform: serve models, meter every token once, bill it exactly.",
        version=__version__,
        result_action="return_value",
    )
    for name, (where, meaning) in COMMANDS.items():
        app.command(where, name=name, help=meaning)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit: 0 done, 1 refused or failed, 2 usage, 3 not running or not ready, 4 already running, 130 interrupted."""
    try:
        result = build()(list(sys.argv[1:] if arguments is None else arguments), exit_on_error=False)
    except CycloptsError:  # Told already, with the usage.
        raise SystemExit(EXIT_USAGE) from None
    except ArkwrightError as error:
        sys.stderr.write(f"arkwright: {error.message}\n")
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:  # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXIT_FAILED) from None
    except OSError as error:  # A path or a disk of the user's: the operating system says it best.
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"arkwright: {where}{error.strerror or error}\n")
        raise SystemExit(EXIT_FAILED) from None
    raise SystemExit(result if isinstance(result, int) else 0)
