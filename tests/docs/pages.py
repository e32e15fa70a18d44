"""Which pages there are, in the order in which a newcomer reads them: that of the documentation's own menu."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def menu() -> list[Path]:
    """Pages written by hand, as mkdocs.yml has them."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    return [DOCS / name for name in _names(settings["nav"]) if (DOCS / name).exists() and "reference/" not in name]


def with_code() -> list[Path]:
    return [ROOT / "README.md", *menu()]


def _names(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    items = nav.values() if isinstance(nav, dict) else nav
    return [name for item in items for name in _names(item)]
