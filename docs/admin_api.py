"""The admin API as a page, from the OpenAPI document that the API itself serves."""

import re
from typing import Any, cast

from arkwright.control.api import PREFIX, application
from arkwright.control.platform import Platform

_METHODS = ("get", "post", "put", "patch", "delete")
_HEAD = """# The admin API

Every action of the command line and of the console, over HTTP, under `/admin/v1`. Each request carries an admin key:

```bash
curl http://127.0.0.1:8080/admin/v1/organizations -H "Authorization: Bearer $ARKWRIGHT_ADMIN_KEY"
```

A list has at most `limit` rows; the next ones come with `after` = the answer's `last_id`. An error is an object `error`
with `message`, `type`, `code` and `param`, and every answer has an `x-request-id`. The whole of it, each field with its
type, is the OpenAPI 3.1 document at `/admin/v1/openapi.json`, for which no key is asked.
"""


def page() -> str:
    document = schema()
    by_noun: dict[str, list[str]] = {}
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in item:
                noun = path.removeprefix(PREFIX).strip("/").split("/")
                row = _row(method, path, item[method])
                by_noun.setdefault(noun[2] if len(noun) > 2 and noun[0] == "organizations" else noun[0], []).append(row)
    lines = [_HEAD]
    for noun, rows in sorted(by_noun.items()):
        lines += [f"## {noun}", "", "| request | body | does |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """Nothing of a platform stands in it, so none is needed."""
    app = application(cast(Platform, None)).app
    return app.openapi_schema.to_schema()


def _words(name: str) -> str:
    """ListAdminKeys → List admin keys."""
    return " ".join(re.findall(r"[A-Z][a-z]*", name)).capitalize() + "."


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    query = [f"`{each['name']}`" for each in operation.get("parameters", []) if each["in"] == "query"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = body.get("$ref", "").rsplit("/", 1)[-1].split("_")[-1]
    said = " ".join(str(operation.get("description") or _words(operation.get("summary") or "")).split())
    asked = f" ({', '.join(query)})" if query else ""
    return f"| `{method.upper()} {path.removeprefix(PREFIX)}`{asked} | {f'`{name}`' if name else '–'} | {said} |"
