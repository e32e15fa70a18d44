"""Gets a model into the model store: from its name or its source to verified files that an engine can load.

Blocks for as long as the download takes: call it in a thread from an event loop.
"""

import re
from pathlib import Path

from arkwright.basics import clock
from arkwright.basics.errors import InvalidInput, Unprocessable
from arkwright.sources import REGISTRY, fetch
from arkwright.sources.fetching import Fetched, Wanted
from arkwright.sources.gguf_header import Description, describe
from arkwright.store.downloads import Progress, check_hash, hash_of, silent, told_when_full
from arkwright.store.model_list import ListedModel, by_name, listed
from arkwright.store.weights import Manifest, ModelStore, StoredModel, normalized, pinned

# What an unlisted model is served with: enough to talk, small enough for a laptop's memory. Options can say more.
CONTEXT_TOKENS_DEFAULT = 8192
PARALLEL_DEFAULT = 4


def canonical(reference: str) -> str:
    """The one way to write a reference: a name in the model list, or a source with an absolute path.

    Raises InvalidInput or NotFound for what is neither name nor source."""
    reference = normalized(reference)
    if reference in listed() or reference.partition(":")[0] in REGISTRY:
        return reference
    if re.match(r"[a-z0-9]+:", reference):
        known = ", ".join(f"{name}:" for name in REGISTRY)
        raise InvalidInput(f"{reference!r} is no source of weights; a source starts with one of {known}")
    return by_name(reference).name


def pull(store: ModelStore, reference: str, progress: Progress = silent, *, again: bool = False) -> StoredModel:
    """What `reference` names, from the store if it is there, else downloaded, verified and converted.

    Raises Unprocessable (`wrong_hash`), Unavailable (`disk_full`, `incomplete`, `download_failed`), NotFound, Forbidden
    or InvalidInput. An interrupted pull is gone on with by the next one.
    """
    reference = canonical(reference)
    model = listed().get(reference)

    def build(into: Path) -> Manifest:
        return _build_listed(model, into, progress) if model else _build_source(reference, into, progress)

    return store.install(reference, build, again=again, progress=progress)


def _build_listed(model: ListedModel, into: Path, progress: Progress) -> Manifest:
    fetched = fetch(Wanted(source=model.source, into=into, files=model.files, archive=model.archive), progress)
    if model.converted:
        _convert(model, fetched, into, progress)
    return Manifest(
        name=model.name,
        reference=model.name,
        kind=model.kind,
        source=model.source,
        license=model.license,
        files=model.weights,
        trained_context_tokens=model.trained_context_tokens,
        context_tokens=model.context_tokens,
        parallel=model.parallel,
        pulled_at_us=clock.now_us(),
    )


def _convert(model: ListedModel, fetched: list[Fetched], into: Path, progress: Progress) -> None:
    # Loads numpy, which no other command needs: only here.
    from arkwright.sources import bert_gguf

    if model.converter != "bert" or model.converted is None:
        raise InvalidInput(f"the model list names the converter {model.converter!r} for {model.name}; there is: bert")
    target = into / model.converted.path
    paths = {file.path.name: file.path for file in fetched}
    progress(0, None, f"converting {model.name}")
    with told_when_full(into, model.converted.bytes):
        bert_gguf.convert(
            paths["model.safetensors"], paths["config.json"], paths["vocab.txt"], target, name="all-MiniLM-L6-v2"
        )
    check_hash(target, hash_of(target).hexdigest(), model.converted.sha256, target.name)


def _build_source(source: str, into: Path, progress: Progress) -> Manifest:
    fetched = fetch(Wanted(source=source, into=into), progress)
    try:
        described = describe(fetched[0].path)
    except InvalidInput as error:
        for file in fetched:
            file.path.unlink(missing_ok=True)
        raise Unprocessable(f"{error.message}; it was not kept") from error
    return _manifest_of(described, fetched, source)


def _manifest_of(described: Description, fetched: list[Fetched], source: str) -> Manifest:
    return Manifest(
        name=fetched[0].path.stem,
        reference=source,
        kind=described.kind,
        source=source,
        license=described.license,
        files=tuple(pinned(file.path, file.sha256) for file in fetched),
        trained_context_tokens=described.trained_context_tokens,
        context_tokens=min(described.trained_context_tokens, CONTEXT_TOKENS_DEFAULT),
        parallel=PARALLEL_DEFAULT,
        pulled_at_us=clock.now_us(),
    )
