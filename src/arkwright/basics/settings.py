"""Every setting there is, in one frozen struct: its meaning, its default, and where its value came from.

Read from `arkwright.toml` in the data directory (or `ARKWRIGHT_CONFIG`), then from `ARKWRIGHT_*`, then from the command
line; later wins. An unknown name is an error that names the nearest known one.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.paths import DataDir, default_data_dir, default_model_store

ENVIRONMENT_PREFIX = "ARKWRIGHT_"
_NOT_SETTINGS = {
    "ARKWRIGHT_CONFIG",
    "ARKWRIGHT_URL",
    "ARKWRIGHT_ADMIN_KEY",
    "ARKWRIGHT_CHROMIUM",
    "ARKWRIGHT_SCREENSHOTS",
    "ARKWRIGHT_KEY",  # A customer's key and a person's token, as every sample of ours has them in a shell.
    "ARKWRIGHT_TOKEN",
    "ARKWRIGHT_LIFELINE_FD",  # How a supervisor tells its children that it lives.
    "ARKWRIGHT_LISTEN_FDS",  # The sockets that it hands to gateways.
    "ARKWRIGHT_NATIVE",  # See `basics/native.py`.
    "ARKWRIGHT_PROCESS_NAME",
    "ARKWRIGHT_TEST_DATABASE_URL",
}
_SECRET = {"database_url", "smtp_password", "oidc_client_secret"}
_HIDDEN = "(set; not shown)"


def _meaning(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the head of this file; `arkwright config` prints this table."""

    data_dir: Annotated[str, _meaning("Directory of this platform: database, journal, secrets, logs.")] = ""
    model_store: Annotated[str, _meaning("Directory of downloaded weights; shared by platforms.")] = ""
    database_url: Annotated[str, _meaning("PostgreSQL 15 or later; empty: the embedded one.")] = ""
    host: Annotated[str, _meaning("Address the gateway listens on; 0.0.0.0 for every network.")] = "127.0.0.1"
    port: Annotated[int, _meaning("Port of the APIs and the console; 0 picks a free one.", ge=0, le=65535)] = 8080
    workers: Annotated[int, _meaning("Gateway workers; 0: one for each core.", ge=0, le=64)] = 0
    currency: Annotated[str, _meaning("Currency of an organization that names none.", pattern="^[A-Z]{3}$")] = "USD"
    default_models: Annotated[
        tuple[str, ...], _meaning("Models served at the first start: names in the model list, or sources.")
    ] = ("smollm2-135m-instruct", "all-minilm-l6-v2")
    engine_threads: Annotated[
        int, _meaning("Threads of an embedded engine; 0: one for each core, half of them to generate.", ge=0, le=512)
    ] = 0
    engine_cache_mib: Annotated[int, _meaning("Memory for an embedded engine's prompt cache.", ge=0)] = 256
    body_bytes_max: Annotated[int, _meaning("Longest request body.", ge=1024)] = 32 * 1024 * 1024
    header_bytes_max: Annotated[int, _meaning("Longest request head.", ge=1024)] = 32 * 1024
    header_timeout_s: Annotated[float, _meaning("Time for a client to send a request's head.", gt=0)] = 15.0
    body_timeout_s: Annotated[float, _meaning("Time for a client to send the next part of a body.", gt=0)] = 30.0
    idle_timeout_s: Annotated[float, _meaning("Time a kept-alive connection may rest.", gt=0)] = 75.0
    write_timeout_s: Annotated[float, _meaning("Time a client may refuse to read an answer.", gt=0)] = 60.0
    connect_timeout_s: Annotated[float, _meaning("Time to reach an upstream.", gt=0)] = 5.0
    first_byte_timeout_s: Annotated[float, _meaning("Time for an upstream's first byte.", gt=0)] = 600.0
    stream_idle_timeout_s: Annotated[float, _meaning("Longest silence inside an upstream's answer.", gt=0)] = 120.0
    queue_timeout_s: Annotated[float, _meaning("How long a request waits for a replica to have room.", gt=0)] = 120.0
    queue_requests_max: Annotated[
        int, _meaning("Requests of a model that wait in one worker; more are told to come again.", ge=1)
    ] = 2048
    queue_bytes_max: Annotated[int, _meaning("How long the bodies of those may be together.", ge=1024)] = (
        256 * 1024 * 1024
    )
    total_timeout_s: Annotated[float, _meaning("Longest answer of an upstream, from its start to its end.", gt=0)] = (
        3600.0
    )
    drain_timeout_s: Annotated[
        float, _meaning("How long a hung-up request is read to its usage, and a stop waits.", gt=0)
    ] = 60.0
    segment_bytes: Annotated[int, _meaning("Size at which a journal segment is sealed.", ge=4096)] = 64 * 1024 * 1024
    idempotency_retention_s: Annotated[float, _meaning("How long an answer is kept for its Idempotency-Key.", ge=1)] = (
        86_400.0
    )
    idempotency_wait_s: Annotated[
        float, _meaning("How long a request waits for another with its Idempotency-Key.", gt=0)
    ] = 600.0
    idempotency_answer_bytes_max: Annotated[
        int, _meaning("Longest answer kept for its Idempotency-Key.", ge=0, le=1024**3)
    ] = 4 * 1024 * 1024
    idempotency_bytes_max: Annotated[
        int, _meaning("Room for all kept answers on this host; beyond it the oldest go.", ge=0)
    ] = 1024**3
    close_months_after_h: Annotated[
        int, _meaning("Hours after its end at which a month is closed into invoices; 0: by hand only.", ge=0, le=672)
    ] = 0
    smtp_host: Annotated[str, _meaning("Mail server that alerts go out by; empty: no mail.")] = ""
    smtp_port: Annotated[int, _meaning("Its port.", ge=1, le=65535)] = 587
    smtp_tls: Annotated[
        Literal["starttls", "tls", "none"],
        _meaning("How the connection to it is encrypted; none: only on this machine."),
    ] = "starttls"
    smtp_login: Annotated[str, _meaning("Who signs in to it; empty: nobody does.")] = ""
    smtp_password: Annotated[str, _meaning("And the password.")] = ""
    smtp_sender: Annotated[str, _meaning("Address that mail is from, such as billing@example.com.")] = ""
    smtp_timeout_s: Annotated[float, _meaning("How long each step with it may take.", gt=0, le=120)] = 15.0
    otlp_endpoint: Annotated[
        str, _meaning("Collector that takes OTLP over HTTP, such as http://localhost:4318; empty: none.")
    ] = ""
    pump: Annotated[
        Literal["on", "off"], _meaning("Native code that carries what is plain; off: asyncio carries everything.")
    ] = "on"
    trace_share: Annotated[
        float,
        _meaning("Share of requests traced to otlp_endpoint; a caller's own trace goes on. 0: none.", ge=0, le=1),
    ] = 0.0
    access_log: Annotated[
        Literal["on", "off"], _meaning("One JSON line for each request, in logs/access-<process>.log.")
    ] = "off"
    access_log_bytes_max: Annotated[
        int, _meaning("Size at which an access log is set aside; four of those are kept.", ge=4096)
    ] = 64 * 1024 * 1024
    oidc_issuer: Annotated[
        str, _meaning("Issuer of accounts that sign in to the console, such as https://id.example.com; empty: none.")
    ] = ""
    oidc_client_id: Annotated[str, _meaning("What this platform is called at the issuer.")] = ""
    oidc_client_secret: Annotated[str, _meaning("What this platform proves it by; empty: a public client.")] = ""
    oidc_name: Annotated[str, _meaning("What the issuer is called on the sign-in page.", max_length=60)] = "OpenID"
    oidc_domains: Annotated[
        tuple[str, ...], _meaning("Domains of verified addresses that may sign in by the issuer; empty: any.")
    ] = ()
    oidc_auto_join: Annotated[
        str, _meaning("What somebody new gets without an invitation: ORGANIZATION:ROLE; empty: nobody new comes in.")
    ] = ""
    oidc_role_claim: Annotated[str, _meaning("The claim that names roles.")] = "groups"
    oidc_roles: Annotated[
        tuple[str, ...],
        _meaning(
            "What its values give, at each sign-in: VALUE=operator, VALUE=ORGANIZATION:ROLE, …; the rest is taken."
        ),
    ] = ()
    log_level: Annotated[str, _meaning("debug, info, warning or error.", pattern="^(debug|info|warning|error)$")] = (
        "info"
    )

    @property
    def paths(self) -> DataDir:
        return DataDir(Path(self.data_dir))

    @property
    def model_store_path(self) -> Path:
        return Path(self.model_store).expanduser()


class Described(msgspec.Struct, frozen=True):
    """One setting as texts, as a running platform has it."""

    name: str
    value: str
    default: str
    meaning: str


def described(running: Settings) -> list[Described]:
    """Every setting of a running platform; secrets are shown as set or not."""
    rows = []
    for field in msgspec.structs.fields(Settings):
        value = getattr(running, field.name)
        shown = _HIDDEN if field.name in _SECRET and value else _text(value)
        rows.append(Described(field.name, shown, _text(field.default), meaning_of(field)))
    return rows


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


class Origin(msgspec.Struct, frozen=True):
    """One row of `arkwright config`."""

    name: str
    value: Any
    source: str  # "default", "ARKWRIGHT_PORT", "/…/arkwright.toml", "command line"
    meaning: str


def load(command_line: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Raises InvalidInput that names the setting, the value and the source."""
    return explain(command_line, environment)[0]


def explain(
    command_line: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, list[Origin]]:
    """The settings, and for each its value, source and meaning."""
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (command_line or {}).items() if value is not None}
    layers: list[tuple[str, dict[str, Any]]] = [("command line", given), *_environment_layers(environment)]
    root = next((values["data_dir"] for _, values in layers if values.get("data_dir")), None)
    data_dir = str(DataDir(Path(root) if root else default_data_dir()).root)
    config = Path(environment.get("ARKWRIGHT_CONFIG") or DataDir(Path(data_dir)).config)
    if config.exists():
        layers.append((str(config), _read_toml(config)))
    elif "ARKWRIGHT_CONFIG" in environment:
        raise InvalidInput(f"ARKWRIGHT_CONFIG names {config}, which does not exist")
    layers.append(("default", {"data_dir": data_dir, "model_store": str(default_model_store())}))
    return _merge(layers)


def _merge(layers: list[tuple[str, dict[str, Any]]]) -> tuple[Settings, list[Origin]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        for name, value in layer.items():
            known(name, source)
            if name not in values:
                values[name], sources[name] = _converted(name, value, source), source
    values["data_dir"] = str(DataDir(Path(values["data_dir"])).root)
    settings = Settings(**values)
    origins = []
    for field in msgspec.structs.fields(Settings):
        shown = getattr(settings, field.name)
        if field.name in _SECRET and shown:
            shown = _HIDDEN
        origins.append(Origin(field.name, shown, sources.get(field.name, "default"), meaning_of(field)))
    return settings, origins


def known(name: str, source: str) -> None:
    """Refuse a name that is no setting."""
    names = [field.name for field in msgspec.structs.fields(Settings)]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise InvalidInput(f"unknown setting {name!r} from {source}; the nearest known one is {near[0]!r}")


def _environment_layers(environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    layers = []
    for variable, text in environment.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in _NOT_SETTINGS:
            layers.append((variable, {variable.removeprefix(ENVIRONMENT_PREFIX).lower(): text}))
    return layers


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read settings from {path}: {error}") from error


def _converted(name: str, value: Any, source: str) -> Any:
    field = next(field for field in msgspec.structs.fields(Settings) if field.name == name)
    if isinstance(value, str) and isinstance(field.default, tuple):
        value = [part.strip() for part in value.split(",") if part.strip() and part.strip() != "none"]
    try:
        return msgspec.convert(value, field.type, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        shown = "" if name in _SECRET else f" = {value!r}"
        raise InvalidInput(f"setting {name}{shown} from {source}: {error}") from error


def meaning_of(field: msgspec.structs.FieldInfo) -> str:
    for annotation in getattr(field.type, "__metadata__", ()):
        if isinstance(annotation, msgspec.Meta) and annotation.description:
            return annotation.description
    return ""
