"""The models this package knows by name: what they are, where their weights come from, what each file must be.

Reads `models.toml` beside it; adding a model is adding an entry there.
"""

import difflib
import functools
from importlib import resources
from typing import Annotated

import msgspec

from arkwright.basics.errors import NotFound
from arkwright.domain.catalog import ModelKind

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class PinnedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that is this, byte for byte, or is refused. `path` is its name in the model store."""

    path: str
    sha256: Sha256
    bytes: Annotated[int, msgspec.Meta(gt=0)]


class SuggestedPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decimal strings, for a million tokens; what the first start puts into the price book."""

    currency: str
    input_per_million: str
    cached_input_per_million: str
    output_per_million: str


class ListedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`context_tokens` are those of one request as we serve it; `parallel` requests are computed at once."""

    name: str
    kind: ModelKind
    description: str
    license: str
    source: str
    files: tuple[PinnedFile, ...]
    archive: PinnedFile | None = None  # What the source downloads in order to take the files out of it.
    converter: str = ""
    converted: PinnedFile | None = None
    dimensions: int | None = None  # Of an embedding.
    trained_context_tokens: int
    context_tokens: int
    parallel: int
    price: SuggestedPrice

    @property
    def weights(self) -> tuple[PinnedFile, ...]:
        """What lies in the model store in the end; the first is what the engine loads."""
        return (self.converted,) if self.converted else self.files

    @property
    def download_bytes(self) -> int:
        return self.archive.bytes if self.archive else sum(file.bytes for file in self.files)


class _ModelList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    models: tuple[ListedModel, ...]


@functools.cache
def listed() -> dict[str, ListedModel]:
    """By name, in the order of the list."""
    text = resources.files("arkwright.store").joinpath("models.toml").read_bytes()
    return {model.name: model for model in msgspec.toml.decode(text, type=_ModelList).models}


def by_name(name: str) -> ListedModel:
    """Raises NotFound that names the nearest one."""
    models = listed()
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(models)}."
        raise NotFound(
            f"no model {name!r} in the model list{hint} A source such as file:/models/x.gguf can be named as well"
        )
    return models[name]
