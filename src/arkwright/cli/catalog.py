"""`arkwright catalog`: the models that customers can call, wherever they are served."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, path
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="catalog", help="Models that customers can call, and what serves them.")
_COLUMNS = ("name", "kind", "provider", "deployment", "upstream_name", "context_tokens", "max_output_tokens")

_FIGURES = ("served", "failed", "ttft_p50_us", "ttft_p95_us", "output_tokens_per_s", "availability")


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all models on offer."""
    with at.client() as client:
        tables.show(list(client.every("/models")), json_output=json_output, columns=_COLUMNS)


@app.command
def measured(
    name: Annotated[str, Parameter(help="Only this one, by hour.")] = "",
    /,
    *,
    hours: Annotated[int, Parameter(help="How many hours back, of one model.")] = 24,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """How fast and how reliable models were, as they were really served: the last hour of each, or one by hour."""
    with at.client() as client:
        if name:
            answer = client.get(f"/showcase/{path(name)}", hours=hours)
            rows = answer if json_output else answer["hours"]
            tables.show(rows, json_output=json_output, columns=("hour", *_FIGURES), empty="Nothing was measured.")
            return
        cards = list(client.every("/showcase"))
    rows = cards if json_output else [{**card, **card["last_hour"]} for card in cards]
    tables.show(rows, json_output=json_output, columns=("name", "state", *_FIGURES))


@app.command
def deploy(
    reference: Annotated[str, Parameter(help="A name in the model list, or a source such as file:/models/x.gguf.")],
    *,
    name: Annotated[str | None, Parameter(help="What customers call it; default: its own name.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Serve a model on this platform's own machine: deployment, model and a suggested price, where missing."""
    from arkwright.sources import pulling  # Brings HTTP clients and converters, which no other command here needs.

    body = given({"reference": pulling.canonical(reference), "name": name})
    with at.client() as client:
        answer = client.post("/deploy", body)
    tables.show(answer, json_output=json_output, columns=("model", "deployment"))


@app.command(name="set")
def set_(
    name: str,
    *,
    provider: Annotated[str | None, Parameter(help="The provider that serves it.")] = None,
    deployment: Annotated[str | None, Parameter(help="Or the deployment that does.")] = None,
    upstream_name: Annotated[str | None, Parameter(help="What it is called there; default: the same.")] = None,
    context_tokens: int | None = None,
    max_output_tokens: int | None = None,
    kind: Annotated[str | None, Parameter(help="chat or embedding.")] = None,
    free_grant_tokens: Annotated[
        int | None, Parameter(help="What each organization created from now on is given of it.")
    ] = None,
    free_grant_days: Annotated[int | None, Parameter(help="… and for how long; default: for ever.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Offer a model, or change what is given of it."""
    body = given(
        {
            "provider": provider,
            "deployment": deployment,
            "upstream_name": upstream_name,
            "context_tokens": context_tokens,
            "max_output_tokens": max_output_tokens,
            "kind": kind,
            "free_grant_tokens": free_grant_tokens,
            "free_grant_days": free_grant_days,
        }
    )
    with at.client() as client:
        tables.show(client.put(f"/models/{path(name)}", body), json_output=json_output, columns=_COLUMNS)


@app.command
def delete(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Offer a model no longer; its prices and charges stay."""
    with at.client() as client:
        client.delete(f"/models/{path(name)}")
    tables.show_deleted("model", name, json_output=json_output)
