"""What callers may write: no control characters anywhere, and errors that say what may be written instead."""

from typing import Any

import pytest

from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/organizations", {"name": "a\x00b"}, "name"),
        ("/organizations", {"name": "a", "industry": "x\ny"}, "industry"),
        ("/organizations/acme/keys", {"models": ["m", "\x7f"]}, "models.1"),
        ("/organizations/acme/top-ups", {"amount": "1", "reference": "r", "memo": "a\x00"}, "memo"),
        ("/providers", {"name": "p", "base_url": "http://h/v1", "options": {"a\x00": 1}}, "options.a?"),
    ],
)
async def test_control_characters_are_refused_by_the_fields_name(
    admin: Admin, path: str, body: dict[str, Any], param: str
) -> None:
    error = await admin.refused("POST", path, body, 400)
    assert (error["param"], "control characters" in error["message"]) == (param, True)


@pytest.mark.parametrize("name", ["%00", "%ff%00", "a%00", "%0a"])
async def test_what_no_name_can_be_is_not_found(admin: Admin, name: str) -> None:
    for path in (f"/organizations/{name}", f"/organizations/{name}/keys", f"/models/{name}", f"/providers/{name}"):
        await admin.refused("GET", path, None, 404)
    await admin.refused("PUT", f"/organizations/{name}", {}, 404)
    answer = await admin.client.get(f"/admin/v1/prices?model={name}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_an_escaped_control_character_in_a_file_is_refused_with_its_line(admin: Admin) -> None:
    answer = await admin.apply('[[organizations]]\nname = "acme"\nindustry = "a\\u0000b"\n', expect=400)
    assert answer["error"]["message"].startswith("line 3: organizations: industry: control characters")
