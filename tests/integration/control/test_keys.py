"""Keys: what cannot be meant is refused, and what was is kept; found by id anywhere, by name at home."""

import pytest

from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio

FILE = """[[providers]]
name = "up"
base_url = "http://127.0.0.1:9/v1"
[[models]]
name = "some-model"
provider = "up"
context_tokens = 100
[[organizations]]
name = "acme"
[[keys]]
organization = "acme"
name = "k"
models = ["some-model"]
"""


async def test_a_model_there_is_none_of_is_refused_with_the_nearest(admin: Admin) -> None:
    answer = await admin.apply(FILE.replace('models = ["some-model"]', 'models = ["some-modle"]'), expect=400)
    assert answer["error"]["message"].startswith("line 13: keys[0]: models: there is no model 'some-modle'")
    await admin.apply(FILE)
    for method, path in (("POST", "/organizations/acme/keys"), ("PATCH", "/organizations/acme/keys/k")):
        error = await admin.refused(method, path, {"models": ["some-modle"]}, 400)
        assert (error["param"], "'some-model'?" in error["message"]) == ("models", True)
    await admin.call("DELETE", "/models/some-model")
    assert (await admin.call("PATCH", "/organizations/acme/keys/k", {"disabled": True}))["models"] == ["some-model"]


async def test_a_new_key_that_has_expired_is_refused_and_an_old_one_stays(admin: Admin) -> None:
    await admin.apply(FILE)
    passed = {"expires_at": "2020-01-01T00:00:00Z"}
    assert "has passed" in (await admin.refused("POST", "/organizations/acme/keys", passed, 400))["message"]
    await admin.call("PATCH", "/organizations/acme/keys/k", passed)
    exported = await admin.export()
    assert "2020-01-01" in exported
    assert (await admin.apply(exported))["unchanged"] == 5


async def test_a_key_is_found_by_id_anywhere_and_by_name_in_its_organization(admin: Admin) -> None:
    await admin.apply(FILE)
    await admin.post("/organizations", {"name": "rival"})
    key = (await admin.get("/organizations/acme/keys"))["data"][0]["id"]
    assert (await admin.call("PATCH", f"/keys/{key}", {"disabled": True}))["disabled"] is True
    assert (await admin.call("PATCH", "/organizations/acme/keys/k", {"disabled": False}))["id"] == key
    await admin.refused("PATCH", "/organizations/rival/keys/k", {}, 404)
    await admin.refused("PATCH", "/keys/k", {}, 404)
    await admin.post("/organizations/acme/keys", {"name": "k"})
    await admin.refused("PATCH", "/organizations/acme/keys/k", {}, 409)
