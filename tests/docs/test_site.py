"""The site: every link leads somewhere, and no page asks anything of another host."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests.docs.pages import DOCS, ROOT, menu

pytestmark = [
    pytest.mark.xdist_group("docs"),
    # Of the site's builder, about itself.
    pytest.mark.filterwarnings("default"),
]
_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_LINKS = {"stylesheet", "preload", "preconnect", "dns-prefetch", "icon", "modulepreload"}
_IMPORT = re.compile(r"""@import\s+|url\(\s*['"]?(?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strict: whatever the builder warns of ends it."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    config.plugins.run_event("startup", command="build", dirty=False)
    build(config)
    return folder


def test_no_page_asks_anything_of_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(menu())
    asked = {f"{page.name}: {address}" for page in pages for address in _loaded(page)}
    asked |= {sheet.name for sheet in site.rglob("*.css") if _IMPORT.search(sheet.read_text())}
    assert not asked


def test_what_a_test_types_unseen_is_not_shown(site: Path) -> None:
    shown = [page.name for page in site.rglob("*.html") if "<!-- first" in page.read_text()]
    assert not shown


def test_every_page_is_in_the_menu() -> None:
    lost = {page for page in DOCS.rglob("*.md") if "reference" not in page.parts} - set(menu())
    assert not lost


def _loaded(page: Path) -> list[str]:
    reader = _Loads()
    reader.feed(page.read_text())
    return [address for address in reader.found if urlsplit(address).netloc]


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _LOADS:
            self.found.append(values.get(_LOADS[tag]) or "")
        elif tag == "link" and set((values.get("rel") or "").split()) & _LINKS:
            self.found.append(values.get("href") or "")
