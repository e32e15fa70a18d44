"""Weights on their way: pulled in the background when a deployment needs what the model store does not have.

Blocks nobody: says what is awaited, in words, until it is there. A pull that failed is tried again after a while.
"""

import asyncio
from pathlib import Path

from arkwright.basics.errors import ArkwrightError
from arkwright.store.weights import ModelStore, StoredModel

AGAIN_S = 30.0


class Pulls:
    def __init__(self, model_store: Path) -> None:
        self._store = ModelStore(model_store)
        self._running: dict[str, asyncio.Task[StoredModel]] = {}
        self._progress: dict[str, str] = {}
        self._failed: dict[str, tuple[float, ArkwrightError | OSError]] = {}  # Until when not to try again, and why.

    def weights(self, source: str) -> StoredModel:
        """What drivers ask. Raises NotFound for what was not pulled."""
        return self._store.get(source)

    async def waiting_for(self, source: str) -> str:
        """Empty once the weights are there; otherwise what is being waited for. Raises what made a pull fail."""
        now = asyncio.get_running_loop().time()
        task = self._running.get(source)
        if task is not None and task.done():
            del self._running[source]
            error = task.exception()
            if isinstance(error, ArkwrightError | OSError):
                self._failed[source] = now + AGAIN_S, error
        if await asyncio.to_thread(self._store.find, source) is not None:
            return ""
        until, why = self._failed.get(source, (0.0, None))
        if why is not None and now < until:
            raise why
        if source not in self._running:
            self._progress.pop(source, None)
            self._running[source] = asyncio.create_task(asyncio.to_thread(self._pull, source))
        return self._progress.get(source, f"getting the weights of {source}")

    def _pull(self, source: str) -> StoredModel:
        # Brings HTTP clients and converters, which a platform whose weights are there never needs.
        from arkwright.sources import pulling

        def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
            # In tenths, since each change of the text is written to the database.
            share = f"{10 * (10 * done_bytes // total_bytes)} % of {total_bytes / 1e6:.0f} MB" if total_bytes else ""
            self._progress[source] = f"getting the weights: {what} {share}".strip()

        return pulling.pull(self._store, source, progress)
