"""What axe-core finds on a page: barriers for people who read, hear or use a page otherwise. None is the bound."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from playwright.async_api import Page

VENDOR = Path(__file__).parent / "vendor"
_SOURCE = (VENDOR / "axe.min.js").read_text()
_RUN = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ["violations"], elementRef: false});
  return violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.map(
    ({target, html, failureSummary}) => ({target: target.join(" "), html: html.slice(0, 160), failureSummary}))}));
}"""
_SHOWN = 3


async def findings(page: Page) -> list[str]:
    """Every rule of axe, its best practices, too; each finding with the first elements it was found at."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_SOURCE)  # As a debugger does: no policy of the page is in the way, and none is broken.
    found: list[dict[str, Any]] = await page.evaluate(_RUN)
    return [_told(finding) for finding in found]


def vendored() -> list[tuple[str, str, str]]:
    """Name, the hash it should have, the hash it has."""
    files = tomllib.loads((VENDOR / "vendored.toml").read_text())["file"]
    return [
        (each["name"], each["sha256"], hashlib.sha256((VENDOR / each["name"]).read_bytes()).hexdigest())
        for each in files
    ]


def _told(finding: dict[str, Any]) -> str:
    nodes = finding["nodes"]
    shown = [f"    {node['target']}: {node['html']}\n      {_why(node)}" for node in nodes[:_SHOWN]]
    more = [f"    and {len(nodes) - _SHOWN} more"] if len(nodes) > _SHOWN else []
    return "\n".join([f"  {finding['id']}: {finding['help']}", *shown, *more])


def _why(node: dict[str, Any]) -> str:
    return " ".join(str(node["failureSummary"]).split())[:300]
