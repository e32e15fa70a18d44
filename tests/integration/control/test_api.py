"""The admin API as a caller sees it: keys, errors, pages, isolation, the OpenAPI document."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics.secrets import password_matches
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Traits
from arkwright.store import people
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


async def _organization(admin: Admin, name: str, **fields: Any) -> Any:
    return await admin.post("/organizations", {"name": name, **fields})


async def test_a_call_without_a_valid_admin_key_is_refused(admin: Admin) -> None:
    for header in ("", "Bearer", "Basic abc", "Bearer adm-wrong"):
        admin.client.headers["authorization"] = header
        error = await admin.refused("GET", "/organizations", None, 401)
        assert error["type"] == "authentication_error"


async def test_an_organization_from_birth_to_disabled(admin: Admin) -> None:
    made = await _organization(admin, "acme", industry="automotive")
    assert made["class"] == "external"
    assert made["billing"] == "prepaid"
    assert made["currency"] == "USD"
    assert (await admin.get("/organizations/acme")) == (await admin.get(f"/organizations/{made['id']}")) == made
    changed = await admin.call("PATCH", "/organizations/acme", {"disabled": True, "class": "internal"})
    assert changed == {**made, "disabled": True, "class": "internal"}
    error = await admin.refused("POST", "/organizations", {"name": "acme"}, 409)
    assert error["param"] == "name"
    error = await admin.refused("PATCH", "/organizations/acme", {"currency": "EUR"}, 400)
    assert error["param"] == "currency"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "org_" + "0" * 26}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": 5}, "name"),
        ({}, "name"),
        ({"name": "a", "class": "partner"}, "class"),
        ({"name": "a", "currency": "usd"}, None),
        ({"name": "a", "industy": "x"}, "industy"),
    ],
)
async def test_bad_fields_are_named(admin: Admin, body: dict[str, Any], param: str | None) -> None:
    error = await admin.refused("POST", "/organizations", body, 400)
    if param:
        assert error["param"] == param or param in error["message"], error
    assert (await admin.get("/organizations"))["data"] == []


async def test_what_is_no_json_is_a_400_in_the_same_shape(admin: Admin) -> None:
    answer = await admin.client.post("/admin/v1/organizations", content=b"{nope")
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    answer = await admin.client.post("/admin/v1/organizations", content=b"x" * (6 * 1024 * 1024))
    assert answer.status_code == 413
    assert (await admin.client.get("/admin/v1/nothing")).json()["error"]["code"] == "not_found"
    assert (await admin.client.delete("/admin/v1/organizations")).status_code == 405


async def test_pages_hold_everything_once(admin: Admin) -> None:
    made = [(await _organization(admin, f"org {number}"))["id"] for number in range(7)]
    seen: list[str] = []
    after = ""
    while True:
        page = await admin.get("/organizations", limit=3, after=after)
        seen += [entry["id"] for entry in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert sorted(made) == seen
    assert (await admin.get("/organizations", limit=3, after=seen[-1]))["data"] == []
    await admin.get("/organizations", limit=201, expect=400)


async def test_another_organizations_things_are_not_there(admin: Admin) -> None:
    await _organization(admin, "acme")
    await _organization(admin, "rival")
    key = (await admin.post("/organizations/acme/keys", {"name": "k"}))["key"]
    project = await admin.post("/organizations/acme/projects", {"name": "robots"})
    await admin.post("/organizations/acme/members", {"login": "ann@acme.example"})
    for path in (
        f"/organizations/rival/keys/{key['id']}",
        f"/organizations/rival/projects/{project['id']}",
        "/organizations/rival/projects/robots",
    ):
        await admin.get(path, expect=404)
        await admin.get(path.replace("rival", "acme"))
    await admin.refused("PATCH", f"/organizations/rival/keys/{key['id']}", {"disabled": True}, 404)
    await admin.refused("PATCH", "/organizations/rival/members/ann@acme.example", {"role": "admin"}, 404)
    await admin.refused("POST", "/organizations/rival/keys", {"project": "robots"}, 404)
    await admin.refused("POST", "/organizations/rival/keys", {"project": project["id"]}, 404)
    for noun in ("keys", "projects", "members"):
        assert (await admin.get(f"/organizations/rival/{noun}"))["data"] == []
        assert len((await admin.get(f"/organizations/acme/{noun}"))["data"]) >= 1


async def test_a_keys_secret_is_told_once_and_stored_nowhere(admin: Admin) -> None:
    await _organization(admin, "acme")
    await admin.post("/providers", {"name": "up", "base_url": "http://127.0.0.1:9/v1"})
    for name in ("m1", "m2"):
        await admin.post("/models", {"name": name, "provider": "up", "context_tokens": 100})
    made = await admin.post("/organizations/acme/keys", {"name": "k", "models": ["m2", "m1", "m1"]})
    secret = made["secret"]
    assert secret.startswith("ak-")
    assert made["key"]["models"] == ["m1", "m2"]
    assert made["key"]["hint"] == secret[-4:]
    given = await admin.post("/organizations/acme/keys", {"secret": "ak-given-by-hand"})
    assert given["secret"] is None
    await admin.refused("POST", "/organizations/acme/keys", {"secret": "ak-given-by-hand"}, 409)
    everything = await admin.get("/organizations/acme/keys"), await admin.get("/changes")
    assert secret not in str(everything)
    assert "ak-given-by-hand" not in str(everything)


async def test_the_audit_log_has_before_and_after_and_no_secrets(admin: Admin) -> None:
    await _organization(admin, "acme")
    await admin.call("PATCH", "/organizations/acme", {"industry": "toys"})
    await admin.call("PATCH", "/organizations/acme", {"industry": "toys"})
    provider = {"name": "up", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-very-secret"}
    await admin.post("/providers", provider)
    await admin.call("PATCH", "/providers/up", {"api_key": "sk-more-secret"})
    rows = (await admin.get("/changes"))["data"]
    assert [row["action"] for row in rows] == [
        "organization.create",
        "organization.update",
        "provider.create",
        "provider.update",
    ]
    assert rows[1]["before"]["industry"] == ""
    assert rows[1]["after"]["industry"] == "toys"
    assert rows[0]["before"] is None
    assert rows[0]["actor"] == "admin key test"
    assert "secret" not in str(rows)
    assert rows[3]["before"] != rows[3]["after"], "a changed key shows, though not what it is"
    assert [row["id"] for row in (await admin.get("/changes", subject="provider up"))["data"]] == [3, 4]


async def test_a_provider_never_gives_its_key_back(admin: Admin) -> None:
    body = {
        "name": "up",
        "base_url": "https://example.org/v1/",
        "api_key": "sk-very-secret",
        "options": {"legacy_logprobs": False},
    }
    made = await admin.post("/providers", body)
    assert made["base_url"] == "https://example.org/v1"
    assert made["has_api_key"] is True
    assert "secret" not in str(await admin.get("/providers"))
    for field, value in {
        "base_url": "ftp://example.org",
        "kind": "unheard_of",
        "options": {"unheard_of": 1},
        "api_key": "line\r\nbreak: yes",
    }.items():
        error = await admin.refused("PATCH", "/providers/up", {field: value}, 400)
        assert field in error["message"]
    error = await admin.refused("PATCH", "/providers/up", {"base_url": "https://user:hunter2@example.org/"}, 400)
    assert "hunter2" not in str(error)


async def test_what_an_admin_call_did_is_in_the_snapshot_when_it_answers(admin: Admin, tmp_path: Path) -> None:
    await _organization(admin, "acme")
    await admin.post("/providers", {"name": "up", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-1"})
    await admin.post("/models", {"name": "lab/m:1", "provider": "up", "upstream_name": "mock", "context_tokens": 100})
    price = {"model": "lab/m:1", "input_per_million": "1", "output_per_million": "2"}
    assert (await admin.post("/prices", price))["action"] == "create"
    assert (await admin.post("/prices", price))["action"] == "unchanged"
    key = await admin.post("/organizations/acme/keys", {})
    snapshot = snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes())
    assert snapshot.version == admin.platform.words.snapshot_version
    assert [entry.id for entry in snapshot.keys.values()] == [key["key"]["id"]]
    target = snapshot.models["lab/m:1"].targets[0]
    assert (target.base_url, target.upstream_model, target.name) == ("http://127.0.0.1:9/v1", "mock", "up")
    assert target.traits == Traits()
    assert [version.model for version in snapshot.prices] == ["lab/m:1"]
    await admin.call("DELETE", "/models/lab/m:1")
    after = snapshots.decode((tmp_path / "snapshot.msgpack").read_bytes())
    assert after.models == {}
    assert after.version == snapshot.version + 1
    await admin.platform.publisher.publish()
    assert admin.platform.words.snapshot_version == after.version, "nothing changed, so nothing is published"


async def test_what_serves_a_model_cannot_be_deleted(admin: Admin) -> None:
    await admin.post("/providers", {"name": "up", "base_url": "http://127.0.0.1:9/v1"})
    await admin.post("/models", {"name": "m", "provider": "up", "context_tokens": 100})
    assert "m" in (await admin.refused("DELETE", "/providers/up", None, 409))["message"]
    assert "nowhere" in (await admin.refused("PATCH", "/models/m", {"provider": "nowhere"}, 400))["message"]
    await admin.call("DELETE", "/models/m")
    await admin.call("DELETE", "/providers/up")


async def test_a_top_up_credits_once_for_each_reference(admin: Admin) -> None:
    made = await _organization(admin, "acme")
    body = {"amount": "10.50", "reference": "payment 1"}
    answers = await asyncio.gather(*(admin.post("/organizations/acme/top-ups", body) for _ in range(5)))
    assert sorted(answer["created"] for answer in answers) == [False] * 4 + [True]
    bill = await admin.get("/organizations/acme/bill")
    assert (bill["balance"], bill["held"], bill["charged"], bill["charges"]) == ("10.50", "0.00", "0.00", 0)
    async with admin.platform.database.connection() as connection:
        row = await connection.execute("SELECT lease_row FROM organization WHERE id = %s", (made["id"],))
        found = await row.fetchone()
    assert found is not None
    assert admin.platform.words.ceiling(found.lease_row) == 10_500_000_000_000, "spendable when the call answers"
    for amount in ("0", "-1", "1e3", "ten"):
        await admin.refused("POST", "/organizations/acme/top-ups", {"amount": amount, "reference": "x"}, 400)
    await admin.refused("POST", "/organizations/acme/top-ups", {"amount": "1", "reference": "payment 1"}, 409)


async def test_bootstrap_tells_its_secrets_once(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.post("/bootstrap") for _ in range(3)))
    first = [answer for answer in answers if answer["first"]]
    assert len(first) == 1
    assert first[0]["api_key"].startswith("ak-")
    assert len(first[0]["password"]) >= 12
    assert all(answer["api_key"] is answer["password"] is None for answer in answers if not answer["first"])
    assert len((await admin.get("/organizations/default/keys"))["data"]) == 1


async def test_a_listed_model_is_deployed_once_and_then_left_alone(admin: Admin) -> None:
    first = await admin.post("/deploy", {"reference": "smollm2-135m-instruct"})
    assert [change["noun"] for change in first["changes"]] == ["deployment", "model", "price"]
    price = {"model": "smollm2-135m-instruct", "input_per_million": "7", "output_per_million": "8"}
    await admin.post("/prices", price)
    assert (await admin.post("/deploy", {"reference": "smollm2-135m-instruct"}))["changes"] == []
    in_force = await admin.get("/prices/in-force")
    assert [version["input_per_million"] for version in in_force] == ["7.00"]
    shown = await admin.get("/deployments/smollm2-135m-instruct")
    assert shown["gap"] == "no replica has been started yet"
    await admin.refused("POST", "/deploy", {"reference": "file:/no/such.gguf"}, 404)


async def test_the_openapi_document_describes_every_route(admin: Admin) -> None:
    answer = await admin.client.get("/admin/v1/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "/admin/v1/organizations/{organization}/keys" in document["paths"]
    assert document["components"]["schemas"]["OrganizationSpec"]["required"] == ["name"]
    references = set(_references(document))
    assert references, "the document refers to its schemas"
    for reference in references:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []


async def test_admin_keys_are_made_and_disabled_but_never_the_last(admin: Admin) -> None:
    made = await admin.post("/admin-keys", {"name": "laptop"})
    keys = {key["name"]: key["id"] for key in (await admin.get("/admin-keys"))["data"]}
    assert set(keys) == {"test", "laptop"}
    await admin.call("PATCH", f"/admin-keys/{keys['test']}", {"disabled": True})
    await admin.get("/organizations", expect=401)
    admin.client.headers["authorization"] = f"Bearer {made['secret']}"
    assert made["secret"] not in str(await admin.get("/changes"))
    await admin.refused("PATCH", f"/admin-keys/{keys['laptop']}", {"disabled": True}, 409)
    await admin.get("/organizations")


async def test_a_reset_password_is_the_one_that_opens(admin: Admin) -> None:
    first = await admin.post("/bootstrap")
    second = await admin.post("/people/admin/password")
    async with admin.platform.database.connection() as connection:
        person = await people.by_login(connection, "admin")
    assert person is not None
    assert password_matches(person.password_hash, second["password"])
    assert not password_matches(person.password_hash, first["password"])
    assert second["password"] not in str(await admin.get("/changes"))
    await admin.refused("POST", "/people/nobody/password", None, 404)
