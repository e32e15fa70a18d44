"""`arkwright endpoints`: what customers call instead of a model: canaries, fallbacks, guards, start and stop."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="endpoints", help="Endpoints (ep-…): what customers call instead of a model.")
_COLUMNS = ("id", "name", "organization", "model", "state", "members", "mirror", "fallbacks", "guard", "region")
_USAGE = (
    "endpoint", "model", "target", "requests", "input_tokens", "cached_input_tokens", "output_tokens", "amount",
    "currency",
)  # fmt: skip
_SIDES = ("deployment", "provider")
_NONE = "none"

OwnerOption = Annotated[
    str | None, Parameter(name=["--organization", "-o"], help="Whose it is; left out: the platform's.")
]
Members = Annotated[
    list[str] | None,
    Parameter(
        name="--member",
        negative="",
        help="deployment:NAME=WEIGHT or provider:NAME/UPSTREAM_MODEL=WEIGHT; repeat it. `none`: as its model.",
    ),
]
MirrorOption = Annotated[
    str | None, Parameter(name="--mirror", help="deployment:NAME=10% or provider:NAME/UPSTREAM_MODEL=10%; `none`.")
]
Fallbacks = Annotated[
    list[str] | None,
    Parameter(
        name="--fallback",
        negative="",
        help="MODEL=unavailable,overloaded,timeout,refused,context_length or MODEL=cost:0.05:USD; in order; `none`.",
    ),
]
For = Annotated[
    list[str] | None,
    Parameter(name="--for", negative="", help="An organization that it is for; repeat it. `none`: all."),
]
MostTokens = Annotated[str | None, Parameter(help="The most output that a request may ask for; `none`.")]
DefaultTokens = Annotated[str | None, Parameter(help="The output's bound where a request names none; `none`.")]
Temperature = Annotated[str | None, Parameter(help="Where a request names none; `none`.")]
Refuse = Annotated[
    list[str] | None,
    Parameter(
        negative="", help="tools, images, audio, choices, logprobs or response_format; repeat it. `none`: takes all."
    ),
]
Region = Annotated[str | None, Parameter(help="A tag.")]
Hedged = Annotated[bool | None, Parameter(negative="--no-hedged", help="Ask a second target where the first is slow.")]
Sticky = Annotated[bool | None, Parameter(negative="--no-sticky", help="Keep a conversation at its target.")]


@app.command(name="list")
def list_(
    *, organization: OwnerOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:  # fmt: skip
    """List all endpoints, or those of an organization."""
    with at.client() as client:
        _show(list(client.every("/endpoints", organization=organization)), json_output)


@app.command
def show(
    endpoint: str, *, organization: OwnerOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Show an endpoint, by id or name."""
    with at.client() as client:
        _show(client.get(_path(endpoint), organization=organization), json_output)


@app.command
def create(
    name: str,
    *,
    model: Annotated[str, Parameter(help="What it is priced, limited and charged as.")],
    organization: OwnerOption = None,
    member: Members = None,
    mirror: MirrorOption = None,
    fallback: Fallbacks = None,
    for_: For = None,
    max_output_tokens: MostTokens = None,
    default_output_tokens: DefaultTokens = None,
    default_temperature: Temperature = None,
    refuse: Refuse = None,
    region: Region = None,
    hedged: Hedged = None,
    sticky: Sticky = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create an endpoint; its id is what goes into a request's `model`."""
    guard = _guard({}, max_output_tokens, default_output_tokens, default_temperature, refuse)
    body = _body(model, member, mirror, fallback, for_, region, hedged, sticky) | ({"guard": guard} if guard else {})
    with at.client() as client:
        answer = client.post("/endpoints", {"name": name, **given({"organization": organization}), **body})
    _show(answer, json_output)


@app.command
def update(
    endpoint: str,
    *,
    organization: OwnerOption = None,
    model: Annotated[str | None, Parameter(help="What it is priced, limited and charged as.")] = None,
    member: Members = None,
    mirror: MirrorOption = None,
    fallback: Fallbacks = None,
    for_: For = None,
    max_output_tokens: MostTokens = None,
    default_output_tokens: DefaultTokens = None,
    default_temperature: Temperature = None,
    refuse: Refuse = None,
    region: Region = None,
    hedged: Hedged = None,
    sticky: Sticky = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Change what is given of an endpoint; the rest stays as it is."""
    body = _body(model, member, mirror, fallback, for_, region, hedged, sticky)
    bounds = (max_output_tokens, default_output_tokens, default_temperature, refuse)
    with at.client() as client:
        found = client.get(_path(endpoint), organization=organization)
        if any(bound is not None for bound in bounds):
            body["guard"] = _guard(found["guard"], *bounds)
        _show(client.patch(_path(found["id"]), body), json_output)


@app.command
def weights(
    endpoint: str,
    given_weights: Annotated[
        list[str], Parameter(name="weights", help="NAME=WEIGHT or NAME/UPSTREAM_MODEL=WEIGHT, for each that changes.")
    ],
    *,
    organization: OwnerOption = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Set other weights of members, in one step: move a canary on, or let blue and green change places."""
    wanted = dict(_number(pair, "weight") for pair in given_weights)
    with at.client() as client:
        found = client.get(_path(endpoint), organization=organization)
        _show(client.put(f"{_path(found['id'])}/weights", {"weights": wanted}), json_output)


@app.command
def start(
    endpoint: str, *, organization: OwnerOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Let a stopped endpoint serve again."""
    _set_state(endpoint, organization, "running", json_output, at)


@app.command
def stop(
    endpoint: str, *, organization: OwnerOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Serve no new request through an endpoint; those under way end as they would have."""
    _set_state(endpoint, organization, "stopped", json_output, at)


@app.command
def delete(
    endpoint: str, *, organization: OwnerOption = None, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Delete an endpoint that no other one falls back to; its charges stay."""
    with at.client() as client:
        found = client.get(_path(endpoint), organization=organization)
        client.delete(_path(found["id"]))
    tables.show_deleted("endpoint", found["id"], json_output=json_output)


@app.command
def usage(
    endpoint: str | None = None,
    *,
    organization: OwnerOption = None,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-01, or 2026-11-01T12:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Not included.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show what was used through each endpoint, or through one: by the model that served, and where."""
    asked = {"endpoint": endpoint, "organization": organization, "since": moment(since), "until": moment(until)}
    with at.client() as client:
        rows = client.get("/endpoints/usage", **asked)
    tables.show(rows, json_output=json_output, columns=_USAGE)


def _set_state(endpoint: str, organization: str | None, state: str, json_output: bool, at: TargetOptions) -> None:
    with at.client() as client:
        found = client.get(_path(endpoint), organization=organization)
        _show(client.patch(_path(found["id"]), {"state": state}), json_output)


def _path(endpoint: str) -> str:
    return f"/endpoints/{segment(endpoint)}"


def _body(
    model: str | None,
    members: list[str] | None,
    mirror: str | None,
    fallbacks: list[str] | None,
    for_: list[str] | None,
    region: str | None,
    hedged: bool | None,
    sticky: bool | None,
) -> dict[str, Any]:
    body = given(
        {
            "model": model,
            "members": _some(members, _member),
            "fallbacks": _some(fallbacks, _fallback),
            "organizations": _some(for_, str),
            "region": region,
            "hedged": hedged,
            "sticky": sticky,
        }
    )
    if mirror is not None:
        body["mirror"] = None if mirror == _NONE else _mirror(mirror)
    return body


def _some(texts: list[str] | None, read: Any) -> list[Any] | None:
    """`none` alone takes all of them away."""
    if texts is None:
        return None
    return [] if texts == [_NONE] else [read(text) for text in texts]


def _member(text: str) -> dict[str, Any]:
    where, weight = _number(text, "weight")
    return {**_place(where), "weight": weight}


def _mirror(text: str) -> dict[str, Any]:
    where, _, share = text.rpartition("=")
    percent, _, hundredths = share.removesuffix("%").partition(".")
    if not where or not percent.isdecimal() or len(hundredths) > 2 or not (hundredths or "0").isdecimal():
        raise InvalidInput(f"{text!r} is no mirror: write deployment:NAME=10%, of at most two decimals")
    return {**_place(where), "share_bp": int(percent) * 100 + int(hundredths.ljust(2, "0"))}


def _place(where: str) -> dict[str, str]:
    side, colon, name = where.partition(":")
    if not colon or side not in _SIDES:
        raise InvalidInput(f"{where!r} is no place: write deployment:NAME or provider:NAME/UPSTREAM_MODEL")
    name, _, upstream = name.partition("/")
    return {side: name, "upstream_name": upstream}


def _fallback(text: str) -> dict[str, Any]:
    to, _, reasons = text.rpartition("=")
    rule: dict[str, Any] = {"to": to, "on": []}
    for reason in reasons.split(","):
        name, *price = reason.split(":")
        rule["on"].append(name)
        if len(price) == 2:
            rule["cost_above"], rule["currency"] = price
        elif price:
            raise InvalidInput(f"{reason!r} is no price: write cost:0.05:USD")
    if not to:
        raise InvalidInput(f"{text!r} is no fallback: write MODEL=unavailable,timeout")
    return rule


def _guard(
    before: dict[str, Any], most: str | None, default: str | None, temperature: str | None, refuse: list[str] | None
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "max_output_tokens": most, "default_output_tokens": default, "default_temperature": temperature
    }  # fmt: skip
    guard = dict(before)
    for name, text in given(said).items():
        guard[name] = None if text == _NONE else _bound(name, text)
    refuses = _some(refuse, str)
    return guard | ({} if refuses is None else {"refuses": refuses})


def _bound(name: str, text: str) -> float | int:
    try:
        return float(text) if name == "default_temperature" else int(text)
    except ValueError:
        raise InvalidInput(f"--{name.replace('_', '-')} {text!r} is no number (or `none`)") from None


def _number(pair: str, what: str) -> tuple[str, int]:
    name, _, number = pair.rpartition("=")
    if not name or not number.isdecimal():
        raise InvalidInput(f"{pair!r} is no {what}: write NAME={what.upper()}, a whole number")
    return name, int(number)


def _show(answer: Any, json_output: bool) -> None:
    if json_output:
        tables.print_json(answer)
        return
    rows = answer if isinstance(answer, list) else [answer]
    tables.show([_told(row) for row in rows], json_output=False, columns=_COLUMNS)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """As it was typed, or might have been."""
    return {
        **row,
        "organization": row["organization"] or "(platform)",
        "members": [f"{_where(member)}={member.get('weight', 1)}" for member in row["members"]],
        "mirror": _share(row["mirror"]),
        "fallbacks": [f"{rule['to']}={','.join(rule['on'])}" for rule in row["fallbacks"]],
    }


def _where(place: dict[str, Any]) -> str:
    name = place.get("deployment") or place.get("provider")
    return f"{name}/{place['upstream_name']}" if place.get("upstream_name") else str(name)


def _share(mirror: dict[str, Any] | None) -> str | None:
    return None if mirror is None else f"{_where(mirror)}={mirror['share_bp'] / 100:g}%"
