"""The native modules: which ones there are, and whether this installation has them.

They are built where a compiler is (`hatch_build.py`), and do what the Python that they stand in for does, but faster.
`ARKWRIGHT_NATIVE=off` in a process's environment leaves them unused.
Law: nothing but speed depends on them.
"""

import importlib.machinery
import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
WANTED = os.environ.get("ARKWRIGHT_NATIVE") != "off"


def modules() -> dict[str, bool]:
    """Their names, as in `store._journal`, and whether each is built for this Python."""
    return {
        ".".join(source.relative_to(_PACKAGE).with_suffix("").parts): any(
            source.with_suffix(suffix).exists() for suffix in importlib.machinery.EXTENSION_SUFFIXES
        )
        for source in sorted(_PACKAGE.glob("**/_*.pyx"))
    }


def processor() -> tuple[str, ...]:
    """What this processor has that they use; empty without them."""
    try:
        from arkwright.basics._processor import features
    except ImportError:
        return ()
    return features()
