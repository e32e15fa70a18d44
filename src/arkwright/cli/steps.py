"""What `up` shows while it works: steps with a spinner on a terminal, plain lines elsewhere; on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A step that takes a while; says how long it took once it is done."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{text} …"):
                yield
            self.console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - began:.1f} s)[/]")
        else:
            self.console.print(f"{text} …", soft_wrap=True)
            yield

    def say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)
