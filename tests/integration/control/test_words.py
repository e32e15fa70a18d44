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


async def test_errors_say_what_may_be_written(admin: Admin) -> None:
    error = await admin.refused("POST", "/organizations", {"name": "a", "class": "partner"}, 400)
    assert (error["message"], error["param"]) == ("class must be external, internal or test", "class")
    answer = await admin.apply('[[organizations]]\nname = "a"\nbilling = "never"\n', expect=400)
    assert answer["error"]["message"] == "line 3: organizations: billing must be postpaid or prepaid"
    await admin.post("/organizations", {"name": "acme"})
    for path in ("/usage?since=yesterday", "/organizations/acme/bill?until=2026-11-23T00:00:00"):
        error = await admin.refused("GET", path, None, 400)
        assert "write 2026-11-23T00:00:00Z" in error["message"], error
    error = await admin.refused("POST", "/organizations/acme/keys", {"expires_at": "soon"}, 400)
    assert "write 2026-11-23T00:00:00Z" in error["message"], error
    assert "or total" in (await admin.refused("GET", "/usage?by=nonsense", None, 400))["message"]


async def test_a_dry_run_names_no_secret_that_will_never_be(admin: Admin) -> None:
    text = '[[organizations]]\nname = "acme"\n[[keys]]\norganization = "acme"\n'
    tried = [await admin.apply(text, dry_run=True) for _ in range(2)]
    assert tried[0] == tried[1]
    assert tried[0]["changes"][-1]["name"] == "acme/default/…"
