"""What a start does to a platform that is up: first tenant and key, and the models to serve. All of it idempotent."""

from typing import Any
from urllib.parse import quote

import msgspec

from arkwright.basics.errors import NotFound
from arkwright.cli.client import Client
from arkwright.store import model_list
from arkwright.store.weights import StoredModel, slug

_FREE = {"input_per_million": "0.00", "output_per_million": "0.00"}


class Login(msgspec.Struct, frozen=True):
    """What the first start made. Secrets are told once: they are None at every later start."""

    organization: str
    api_key: str | None
    login: str
    password: str | None


def bootstrap(client: Client) -> Login:
    """The first organization, project, key and admin login, made unless they are there."""
    return msgspec.convert(client.post("/bootstrap", {}), Login)


def deploy(client: Client, reference: str, stored: StoredModel) -> str:
    """Serve a model that lies in the model store, and give it a price if it has none. Returns its name."""
    manifest = stored.manifest
    deployment = slug(manifest.name)
    client.put(f"/deployments/{quote(deployment, safe='')}", {"engine": "embedded", "source": reference})
    client.put(
        f"/models/{quote(manifest.name)}",
        {"kind": manifest.kind, "deployment": deployment, "context_tokens": manifest.context_tokens},
    )
    if not client.get(f"/prices?model={quote(manifest.name, safe='')}")["data"]:
        client.post("/prices", {"model": manifest.name, **_suggested_price(reference)})
    return manifest.name


def served(client: Client) -> dict[str, str]:
    """Names of the models there are, each with its kind."""
    return {model["name"]: model["kind"] for model in client.get("/models?limit=200")["data"]}


def not_ready(client: Client) -> str:
    """Which deployments that should run do not answer yet, and why; empty when all do."""
    gaps = [
        f"{deployment['name']} ({deployment['gap']})"
        for deployment in client.get("/deployments?limit=200")["data"]
        if deployment["desired"] == "running" and deployment["gap"]
    ]
    return ", ".join(gaps)


def failed(client: Client) -> list[dict[str, Any]]:
    """Replicas that gave up, with what they said."""
    return [
        {"deployment": deployment["name"], "error": replica["last_error"]}
        for deployment in client.get("/deployments?limit=200")["data"]
        for replica in deployment["replicas"]
        if replica["state"] == "failed"
    ]


def _suggested_price(reference: str) -> dict[str, str]:
    """A listed model has a price to start from; any other is free until the operator says what it costs."""
    try:
        price = model_list.by_name(reference).price
    except NotFound:
        return _FREE
    return {name: value for name, value in msgspec.to_builtins(price).items()}
