"""The operator's overview: what is on offer, who uses it, what it earned, whether the books agree, what runs.

Everything that concerns money is read at one moment of the database, after the settler has caught up, as a bill is.
"""

import contextlib
import json
import shlex
from datetime import UTC, datetime

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from arkwright.basics.errors import Unavailable
from arkwright.console.look import Look
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import deployments, models, organizations, prices
from arkwright.control.deployments import DeploymentView
from arkwright.control.platform import Platform
from arkwright.control.prices import PriceView
from arkwright.control.session import PAGE_MAX
from arkwright.domain.catalog import ModelKind
from arkwright.host import supervisor_client
from arkwright.host.supervisor import ProcessInfo
from arkwright.store import books
from arkwright.store.books import TOKEN_COUNTS, Account, Books, Sums
from arkwright.store.catalog import Model
from arkwright.store.database import Connection
from arkwright.store.tenancy import Organization

ORGANIZATIONS_SHOWN = 100
_DIFFERENCES_SHOWN = 10


SCREEN = Screen(name="overview", path="/", title=_("Overview"), group="serve", right="see_overview")


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """`gap`: why its deployment does not serve it; empty when it does. `state` is a word of the templates."""

    name: str
    kind: ModelKind
    context_tokens: int
    provider: str | None
    deployment: str | None
    state: str
    gap: str
    prices: list[PriceView]
    later_prices: int


class OrganizationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Amounts are pico of its currency."""

    organization: Organization
    balance_pico: int
    held_pico: int
    used: Sums


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """`deployment`: whose engine it is; empty for what is no engine."""

    name: str
    deployment: str
    pid: int | None
    state: str
    restarts: int
    up_s: int
    last_exit: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    organization_id: str
    currency: str
    usage: Sums
    charges: Sums
    ledger_pico: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """`processes` is None when no supervisor answers (each role may be run by something else)."""

    at: datetime
    base_url: str
    models: list[ModelRow]
    more_models: bool
    organizations: list[OrganizationRow]
    more_organizations: bool
    requests: int
    tokens: dict[str, int]
    charged_pico: dict[str, int]
    differences: list[Difference]
    difference_count: int
    stalled: dict[str, str]
    processes: list[ProcessRow] | None
    snapshot_version: int
    gateways: int
    gateways_behind: int
    first_call: str


@get("/")
async def overview(look: NamedDependency[Look]) -> Response[str]:
    if not look.may("see_overview"):
        return look.redirect(look.first_screen())
    return look.page("overview.html", view=await read(look.platform, look.base_url + "/v1"))


async def read(platform: Platform, base_url: str) -> Overview:
    """Raises Unavailable, or psycopg's OperationalError, without a database."""
    await platform.settler.catch_up()
    async with platform.database.snapshot() as connection:
        rows = await organizations.listing(connection, "", ORGANIZATIONS_SHOWN)
        accounts = await books.accounts(connection, [row.id for row in rows.data])
        kept = await books.read(connection)
        deployed = (await deployments.listing(connection, "", PAGE_MAX)).data
        offered, more_models = await _models(connection, deployed)
    gateways = [slot for slot in platform.words.slots() if slot.alive]
    version = platform.words.snapshot_version
    differences = kept.differences()
    return Overview(
        at=datetime.now(UTC),
        base_url=base_url,
        models=offered,
        more_models=more_models,
        organizations=[_organization(platform, row, accounts[row.id], kept) for row in rows.data],
        more_organizations=rows.has_more,
        requests=sum(sums.requests for sums in kept.charges.values()),
        tokens={name: sum(getattr(sums, name) for sums in kept.charges.values()) for name in TOKEN_COUNTS},
        charged_pico=_by_currency(kept),
        differences=[_difference(kept, entry) for entry in differences[:_DIFFERENCES_SHOWN]],
        difference_count=len(differences),
        stalled=dict(platform.settler.stalled),
        processes=await _processes(platform, deployed),
        snapshot_version=version,
        gateways=len(gateways),
        gateways_behind=sum(slot.loaded_version < version for slot in gateways),
        first_call=_first_call(base_url, offered),
    )


async def _models(connection: Connection, deployed: list[DeploymentView]) -> tuple[list[ModelRow], bool]:
    listed = await models.listing(connection, "", PAGE_MAX)
    by_name = {view.name: view for view in deployed}
    now = datetime.now(UTC)
    by_model: dict[str, list[PriceView]] = {}
    for price in await prices.in_force(connection):
        by_model.setdefault(price.model, []).append(price)
    rows = []
    for model in listed.data:
        book = by_model.get(model.name, [])
        valid = [price for price in book if price.valid_from <= now]
        rows.append(_model(model, by_name.get(model.deployment or ""), valid, len(book) - len(valid)))
    return rows, listed.has_more


def _model(model: Model, deployment: DeploymentView | None, valid: list[PriceView], later: int) -> ModelRow:
    state, gap = "provided", ""
    if deployment is not None:
        gap = deployment.gap
        state = "stopped" if deployment.desired == "stopped" else "waiting" if gap else "ready"
    return ModelRow(
        name=model.name,
        kind=model.kind,
        context_tokens=model.context_tokens,
        provider=model.provider,
        deployment=model.deployment,
        state=state,
        gap=gap,
        prices=valid,
        later_prices=later,
    )


def _organization(platform: Platform, organization: Organization, account: Account, kept: Books) -> OrganizationRow:
    row = account.lease_row
    return OrganizationRow(
        organization=organization,
        balance_pico=account.balance_pico,
        held_pico=platform.words.held(row) if row < platform.words.rows else 0,
        used=kept.charges.get((organization.id, organization.currency), Sums()),
    )


def _by_currency(kept: Books) -> dict[str, int]:
    charged: dict[str, int] = {}
    for (_organization, currency), sums in kept.charges.items():
        charged[currency] = charged.get(currency, 0) + sums.amount_pico
    return dict(sorted(charged.items()))


def _difference(kept: Books, entry: tuple[str, str]) -> Difference:
    organization_id, currency = entry
    return Difference(
        organization_id=organization_id,
        currency=currency,
        usage=kept.usage.get(entry, Sums()),
        charges=kept.charges.get(entry, Sums()),
        ledger_pico=kept.ledger.get(entry, 0),
    )


async def _processes(platform: Platform, deployed: list[DeploymentView]) -> list[ProcessRow] | None:
    names = {view.id: view.name for view in deployed}
    with contextlib.suppress(Unavailable):
        listed = await supervisor_client.aprocesses(platform.settings.paths.supervisor_socket)
        return [_process(process, names) for process in sorted(listed, key=lambda process: process.name)]
    return None


def _process(process: ProcessInfo, deployments_by_id: dict[str, str]) -> ProcessRow:
    # Engines write no ready file: their readiness is their deployment's, which the models show.
    ours = process.name == "control" or process.name.startswith("gateway-")
    starting = ours and process.state == "running" and not process.ready
    return ProcessRow(
        name=process.name,
        deployment=next((name for id, name in deployments_by_id.items() if id in process.name), ""),
        pid=process.pid,
        state="starting" if starting else process.state,
        restarts=process.restarts,
        up_s=max(0, int(datetime.now(UTC).timestamp()) - process.started_at_us // 1_000_000),
        last_exit=process.last_exit,
    )


def _first_call(base_url: str, offered: list[ModelRow]) -> str:
    """A line for a shell; empty without a model that chats."""
    name = next((model.name for model in offered if model.kind == "chat"), "")
    if not name:
        return ""
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "hello"}]}, ensure_ascii=False)
    return f'curl {base_url}/chat/completions -H "Authorization: Bearer $ARKWRIGHT_KEY" -d {shlex.quote(body)}'


ROUTES = [overview]
