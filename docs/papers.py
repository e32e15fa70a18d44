"""What the site shows beyond `docs/`: the project's own papers, and links from pages to what lies outside of them.

Law: no page of the site loads or asks anything of another host; a link that leads nowhere ends the build.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs import admin_api

ROOT = Path(__file__).resolve().parent.parent
PAPERS = {
    "architecture.md": "ARCHITECTURE.md",
    "benchmarks.md": "BENCHMARKS.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
_HIDDEN = re.compile(r"<!-- (?:first|not run):.*?-->\n*", re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    files.append(File.generated(config, "reference/admin-api.md", content=admin_api.page()))
    for name, paper in PAPERS.items():
        text = _LINK.sub(_moved, (ROOT / paper).read_text())
        # Drawing it would load a script from elsewhere; the text of it reads well.
        files.append(File.generated(config, name, content=text.replace("```mermaid", "```text")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """What is only for the test of the code blocks is not for readers."""
    return _HIDDEN.sub("", markdown)


def _moved(link: re.Match[str]) -> str:
    """From the root of the project to where the site has it; what it has not is named, and leads nowhere."""
    target, anchor = link.group(1), link.group(2) or ""
    names = {paper: name for name, paper in PAPERS.items()}
    if target in names:
        return f"]({names[target]}{anchor})"
    if target.startswith("docs/") and target.endswith(".md"):
        return f"]({target.removeprefix('docs/')}{anchor})"
    raise ValueError(f"the site has no {target}")
