"""`arkwright up`: from nothing to a served model. Leaves nothing running when it fails or is interrupted."""

import json
import time
from typing import Annotated

import msgspec
from cyclopts import Parameter

from arkwright.basics import settings as settings_module
from arkwright.basics.errors import Unavailable
from arkwright.basics.settings import Settings
from arkwright.cli import first_start, startup
from arkwright.cli.client import Client
from arkwright.cli.first_start import Login
from arkwright.cli.interrupts import Interrupts
from arkwright.cli.options import EXIT_INTERRUPTED, EXIT_OK, DataDirOption, JsonOption
from arkwright.cli.startup import Started
from arkwright.cli.steps import Steps
from arkwright.host import lifeline, ports
from arkwright.host.lifeline import SupervisorState
from arkwright.host.lock import DirectoryLock
from arkwright.store import health
from arkwright.store.weights import ModelStore

MODELS_DEADLINE_S = 600.0  # Large weights on a slow disk.
_POLL_S = 0.2


class Serving(msgspec.Struct):
    """What `--detach --json` prints. `api_key` is null when an earlier start has shown it."""

    base_url: str
    api_key: str | None
    admin_key: str
    console_url: str
    models: list[str]
    data_dir: str
    pid: int


def up(
    *,
    detach: Annotated[bool, Parameter(negative="", help="Return once it is ready, and leave it running.")] = False,
    json_output: JsonOption = False,
    data_dir: DataDirOption = None,
    host: Annotated[str | None, Parameter(help="Address to listen on; 0.0.0.0 for every network.")] = None,
    port: Annotated[int | None, Parameter(help="Port of APIs and console; 0 picks a free one.")] = None,
    workers: Annotated[int | None, Parameter(help="Gateway workers; 0: one for each core.")] = None,
    model: Annotated[
        list[str] | None,
        Parameter(negative="", help="A model to serve: a name in the model list, or a source; `none` for no model."),
    ] = None,
) -> int:
    """Bring a whole platform up on this machine; Ctrl-C stops it."""
    settings = settings_module.load(
        {
            "data_dir": str(data_dir) if data_dir else None,
            "host": host,
            "port": port,
            "workers": workers,
            "default_models": ",".join(model) if model else None,
        }
    )
    steps = Steps()
    with Interrupts() as interrupts:
        began = time.monotonic()
        held = DirectoryLock.acquire(settings.paths.lock)
        try:
            ports.check(settings.host, settings.port)
            if settings.database_url:
                health.refuse_unusable(settings.database_url)
            references = _pull(settings, steps, asked=model is not None)
        except BaseException:
            held.release()
            raise
        with startup.started(settings, held, interrupts) as platform:
            interrupts.let_one()
            serving, login, kinds = _wait_until_serving(settings, platform, references, steps)
            if json_output:
                print(json.dumps(msgspec.to_builtins(serving)), flush=True)
            else:
                _show(serving, login, kinds, settings, time.monotonic() - began, detach=detach)
            return EXIT_OK if detach else _follow(platform, interrupts, steps)


def _pull(settings: Settings, steps: Steps, *, asked: bool) -> list[str]:
    """The weights of what this start deploys: the default models at the first one, later only what is asked for."""
    if settings.paths.started_once.exists() and not asked:
        return []
    from arkwright.cli.models import ProgressBar  # Brings HTTP clients and converters; a second start needs none.
    from arkwright.sources import pulling

    store = ModelStore(settings.model_store_path)
    references = [pulling.canonical(reference) for reference in settings.default_models]
    for reference in references:
        if store.find(reference) is None:
            steps.say(f"Getting {reference} for the model store {store.root}")
            with ProgressBar(steps.console) as progress:
                pulling.pull(store, reference, progress)
    return references


def _wait_until_serving(
    settings: Settings, platform: Started, references: list[str], steps: Steps
) -> tuple[Serving, Login, dict[str, str]]:
    with steps.step("Starting database, control and gateway"):
        state = platform.wait_until_ready()
    with Client.local(settings.paths) as client:
        login = first_start.bootstrap(client)
        for reference in references:
            first_start.deploy(client, reference)
        models = first_start.served(client)
        if first_start.not_ready(client):
            with steps.step(f"Loading {', '.join(models)}"):
                _wait_for_models(client, platform, settings)
    settings.paths.started_once.touch()
    return _serving(settings, state, login, list(models)), login, models


def _wait_for_models(client: Client, platform: Started, settings: Settings) -> None:
    def missing() -> str:
        gave_up = first_start.failure(client)
        if gave_up:
            name, error = gave_up
            raise Unavailable(f"the model of deployment {name} does not start: {error}\n(logs: {settings.paths.logs})")
        return first_start.not_ready(client)

    startup.wait_for(missing, platform, MODELS_DEADLINE_S)


def _serving(settings: Settings, state: SupervisorState, login: Login, models: list[str]) -> Serving:
    url = ports.base_url(state.host, state.port)
    return Serving(
        base_url=f"{url}/v1",
        api_key=login.api_key,
        admin_key=settings.paths.operator_key.read_text().strip(),
        console_url=f"{url}/console",
        models=models,
        data_dir=str(settings.paths.root),
        pid=state.pid,
    )


def _show(
    serving: Serving, login: Login, kinds: dict[str, str], settings: Settings, took_s: float, *, detach: bool
) -> None:
    """One screenful, on stdout."""
    key = serving.api_key or "$ARKWRIGHT_KEY"
    shown_before = "(shown at the first start; `arkwright keys create` makes another)"
    chat = next((name for name, kind in kinds.items() if kind == "chat"), "")
    lines = [
        "",
        f"Arkwright is serving after {took_s:.1f} s.",
        "",
        f"  API base URL  {serving.base_url}",
        f"  API key       {serving.api_key or shown_before}",
        f"  Console       {serving.console_url}",
        f"  Login         {login.login} / {login.password}" if login.password else f"  Login         {login.login}",
        f"  Admin key     {settings.paths.operator_key}",
        f"  Models        {', '.join(serving.models) or 'none yet: `arkwright models pull`, or `arkwright apply`'}",
        f"  Data          {serving.data_dir}",
        "",
    ]
    if chat:
        body = json.dumps({"model": chat, "messages": [{"role": "user", "content": "hello"}]})
        lines += [f"curl {serving.base_url}/chat/completions -H \"Authorization: Bearer {key}\" -d '{body}'", ""]
    stop = f"arkwright down --data-dir {serving.data_dir}"
    lines.append(f"`{stop}` stops everything." if detach else "Ctrl-C stops everything.")
    print("\n".join(lines), flush=True)


def _follow(platform: Started, interrupts: Interrupts, steps: Steps) -> int:
    """Stay until interrupted, or until somebody else stops the platform."""
    try:
        while lifeline.read_state(platform.paths) is not None:
            interrupts.check()
            time.sleep(_POLL_S)
        steps.say("The platform was stopped.")
        return EXIT_OK
    except KeyboardInterrupt:
        steps.say("Stopping: requests under way may end (Ctrl-C again: at once) …")
    began = time.monotonic()
    platform.stop(interrupted=True)
    steps.say(f"Stopped in {time.monotonic() - began:.1f} s.")
    return EXIT_INTERRUPTED
