"""A sign on a terminal that something is under way; elsewhere nothing, so that what is piped on stays clean."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """On stderr, gone when it is over."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{text} …"):
        yield
