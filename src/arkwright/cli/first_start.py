"""What a start does to a platform that is up: first tenant and key, and the models to serve. All of it idempotent."""

from typing import Any

import msgspec

from arkwright.cli.client import Client


class Login(msgspec.Struct, frozen=True):
    """What the first start made. Secrets are told once: they are None at every later start."""

    login: str
    api_key: str | None
    password: str | None


def bootstrap(client: Client) -> Login:
    """The first organization, project, key and admin login, made unless they are there."""
    return msgspec.convert(client.post("/bootstrap"), Login)


def deploy(client: Client, reference: str) -> None:
    """Serve what lies in the model store, at its suggested price unless it has one."""
    client.post("/deploy", {"reference": reference})


def served(client: Client) -> dict[str, str]:
    """Names of the models there are, each with its kind."""
    return {model["name"]: model["kind"] for model in client.every("/models")}


def deployments(client: Client) -> list[dict[str, Any]]:
    """Those that should run."""
    return [deployment for deployment in client.every("/deployments") if deployment["desired"] == "running"]


def not_ready(client: Client) -> str:
    """Which deployments do not answer yet, and why; empty when all do."""
    return ", ".join(f"{found['name']} ({found['gap']})" for found in deployments(client) if found["gap"])


def failure(client: Client) -> tuple[str, str] | None:
    """The first deployment that gave up, and what its replica said."""
    for deployment in deployments(client):
        for replica in deployment["replicas"]:
            if replica["state"] == "failed":
                return deployment["name"], replica["last_error"]
    return None
