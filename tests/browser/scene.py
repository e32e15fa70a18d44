"""The platform that is looked at, and the life in it: customers, people of every role, prices, money, real requests.

Law: all of it comes about as it does anywhere, by the admin API and by requests to the data plane; what belongs to
others than `acme` carries the word ALIEN, so that a page which shows it to acme's people is found out by that word.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from tests.contract.platforms import Platform

MODEL = "smollm2-135m-instruct"
OWN, ALIEN = "acme", "umbrella"
POSTPAID, BROKE, INTERNAL = f"{ALIEN}-research", f"{ALIEN}-broke", f"{ALIEN}-own"
DEAD_MODEL = "far-away"  # Its provider does not answer.
QUESTIONS = ("What is a spinning frame?", "Name a river in China.", "Count to three.", "Say hello to a weaver.")
PAYLOADS = (
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(2)>{{7*7}}${7*7}",
    "'-alert(3)-'",
    "javascript:alert(4)",
)

_PLATFORM_FILE = f"""
[[providers]]
name = "far"
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-nobody"

[[models]]
name = "{DEAD_MODEL}"
provider = "far"
context_tokens = 8192

[[prices]]
model = "{DEAD_MODEL}"
currency = "USD"
input_per_million = "0.25"
output_per_million = "2.00"

[[prices.tiers]]
above_input_tokens = 4096
input_per_million = "0.50"
output_per_million = "4.00"

[[organizations]]
name = "{OWN}"
class = "external"
industry = "automotive"
billing = "prepaid"
top_up = "25.00"

[[organizations]]
name = "{POSTPAID}"
class = "external"
industry = "health"
billing = "postpaid"

[[organizations]]
name = "{BROKE}"
class = "external"
billing = "prepaid"

[[organizations]]
name = "{INTERNAL}"
class = "internal"
billing = "postpaid"

[[projects]]
organization = "{OWN}"
name = "checkout"

[[projects]]
organization = "{POSTPAID}"
name = "{ALIEN}-lab"

[[keys]]
organization = "{OWN}"
project = "checkout"
name = "shop"

[[keys]]
organization = "{OWN}"
project = "default"
name = "notebook"

[[keys]]
organization = "{POSTPAID}"
project = "{ALIEN}-lab"
name = "{ALIEN}-bench"

[[keys]]
organization = "{BROKE}"
project = "default"
name = "{ALIEN}-empty"

[[keys]]
organization = "{INTERNAL}"
project = "default"
name = "{ALIEN}-probe"

[[limits]]
organization = "{OWN}"
requests_per_minute = 600
budget_monthly = "100.00"

[[lots]]
organization = "{OWN}"
reference = "welcome"
kind = "credit"
amount = "1.00"
"""


class Scene(msgspec.Struct, frozen=True):
    """A running platform with what was made on it. `keys` by the name each has."""

    platform: Platform
    keys: dict[str, str]

    @property
    def origin(self) -> str:
        return self.platform.base_url.removesuffix("/v1")

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the admin API; anything but success fails the test."""
        return self._ask(method, f"{self.origin}/admin/v1{path}", self.platform.admin_key, body)

    def chat(self, key: str, **fields: Any) -> httpx.Response:
        """A request to the data plane, read to its end, whatever comes of it."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTIONS[0]}], "max_tokens": 6, **fields}
        headers = {"authorization": f"Bearer {self.keys.get(key, key)}"}
        return httpx.post(f"{self.platform.base_url}/chat/completions", json=body, headers=headers, timeout=60)

    @staticmethod
    def _ask(method: str, url: str, key: str, body: Any) -> Any:
        headers = {"authorization": f"Bearer {key}"}
        answer = httpx.request(method, url, json=body, headers=headers, timeout=30)
        assert answer.is_success, f"{method} {url}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None


def fill(platform: Platform, file: Any) -> Scene:
    """Declare who there is and what it costs (`file`: a path to write to), then let them call."""
    file.write_text(_PLATFORM_FILE)
    applied = platform.cli_json("apply", str(file))
    scene = Scene(platform, _secrets(applied))
    scene.admin("POST", "/prices", _dearer())
    _traffic(scene)
    _money(scene)
    return scene


def make_hostile(scene: Scene) -> None:
    """Names that are no names: in everything that a person may name, acme's own and others'."""
    for number, payload in enumerate(PAYLOADS):
        named = f"{payload} {number}"
        scene.admin("POST", "/organizations", {"name": named, "industry": payload, "billing": "postpaid"})
        scene.admin("POST", f"/organizations/{OWN}/projects", {"name": named})
        made = scene.admin("POST", f"/organizations/{OWN}/keys", {"name": named, "project": named})
        scene.admin("POST", f"/organizations/{OWN}/members", {"login": named})
        scene.admin("POST", f"/organizations/{OWN}/top-ups", {"amount": "0.01", "reference": named, "memo": payload})
        lot = {"reference": named, "kind": "credit", "amount": "0.01"}
        scene.admin("POST", f"/organizations/{OWN}/lots", lot)
        _expect(scene.chat(made["secret"], messages=[{"role": "user", "content": payload}], user=payload), 200)


def _money(scene: Scene) -> None:
    """A month that is closed, with its invoices; alerts of a customer and of the platform."""
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    for name in (OWN, POSTPAID):
        service = {
            "layer": "iaas",
            "item": "gpu-hour h100",
            "quantity": "2",
            "unit_price": "0.40",
            "reference": "hours",
        }
        service |= {"reference": "hours"}
        service["performed_at"] = f"{last:%Y-%m-%d}T10:00:00Z"
        scene.admin("POST", f"/organizations/{name}/services", service)
    scene.admin("POST", "/invoices/close", {"period": f"{last:%Y-%m}"})
    for alert in (
        {"name": "low balance", "kind": "balance", "threshold": "5", "organization": OWN},
        {"name": f"{ALIEN} month", "kind": "spend_month", "threshold": "9", "organization": POSTPAID},
        {"name": "a dear day", "kind": "spend_day", "threshold": "100"},
    ):
        scene.admin("POST", "/alerts", alert | {"webhook_url": "https://example.com/hook"})


def _secrets(applied: Any) -> dict[str, str]:
    return {
        change["name"].rsplit("/", 1)[-1]: change["secret"] for change in applied["changes"] if change.get("secret")
    }


def _dearer() -> dict[str, str]:
    return {
        "model": MODEL,
        "input_per_million": "0.03",
        "output_per_million": "0.09",
        "cached_input_per_million": "0.01",
    }


def _traffic(scene: Scene) -> None:
    """Answers whole and streamed, of several customers, and each way to be refused."""
    callers = ["shop", "notebook", f"{ALIEN}-bench", "shop", f"{ALIEN}-probe", "shop"]
    asked = [(callers[at % len(callers)], QUESTIONS[at % len(QUESTIONS)], at % 3 == 0) for at in range(30)]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda one: _one(scene, *one), asked):
            _expect(answer, 200)
    _expect(scene.chat("ak-nobody"), 401)
    _expect(scene.chat("shop", model="none-such"), 404)
    _expect(scene.chat("shop", messages="hello"), 400)
    _expect(scene.chat(f"{ALIEN}-empty"), 402)
    _expect(scene.chat("shop", model=DEAD_MODEL), 502, 503)
    _expect(scene.chat(f"{ALIEN}-bench", model=DEAD_MODEL, stream=True), 502, 503)


def _one(scene: Scene, key: str, question: str, stream: bool) -> httpx.Response:
    fields = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return scene.chat(key, messages=[{"role": "user", "content": question}], **fields)


def _expect(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, f"{answer.status_code}: {json.dumps(answer.text[:500])}"
