"""Our gateway for a benchmark: the role a supervisor starts, on a data directory made by hand, every duty on.

One prepaid organization with a limit of requests and of tokens a minute on itself and on its key; its balance is a
lease of the host's words. Law: nothing that a customer's request pays for is switched off, and what the gateway wrote
down is held against what the load saw answered.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from arkwright.basics.ids import secret_sha256
from arkwright.basics.paths import DataDir
from arkwright.basics.secrets import ensure_master_key
from arkwright.domain import snapshot as snapshots
from arkwright.domain.catalog import Model, Target
from arkwright.domain.limits import Limit
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway import pump
from arkwright.host.leases import LeaseWords
from benchmarks.gateway.processes import Failed, Missing, Place, Running, free_port, started, wait_for_listener

NAME = "arkwright"
# No native module at all; all of them but for the pump; all of them.
VARIANTS = {
    "python": {"ARKWRIGHT_NATIVE": "off", "ARKWRIGHT_PUMP": "off"},
    "native": {"ARKWRIGHT_NATIVE": "on", "ARKWRIGHT_PUMP": "off"},
    "pump": {"ARKWRIGHT_NATIVE": "on", "ARKWRIGHT_PUMP": "on"},
}
SECRET = "ak-bench-0123456789abcdef0123456789abcdef0123456789abcdef01234567"
MODEL = "mock"
MUCH = 10**12
CEILING_PICO = 2**62
# Of the mock's answer: 120 tokens in at 0.25 and 160 out at 2.00 a million, in pico.
CHARGE_PICO = 120 * 250_000 + 160 * 2_000_000


def variants() -> list[str]:
    """Those of `VARIANTS` that this checkout has, without the one in the middle."""
    return ["python", "pump"] if pump.built() else ["python"]


def snapshot(
    upstream: int, *, requests_per_minute: int = MUCH, more_keys: int = 0, keys_an_organization: int = 100
) -> Snapshot:
    """`more_keys`: of other organizations, each with so many."""
    organizations = {"org": Organization("org", "bench", "external", "", "prepaid", "USD", 0)}
    target = Target("tgt", "bench", f"http://127.0.0.1:{upstream}/v1", MODEL)
    rules = (Rule("input", 250_000), Rule("cached_input", 50_000), Rule("output", 2_000_000))
    keys = {secret_sha256(SECRET): Key("key", "org", "prj")}
    for number in range(more_keys):
        row = 1 + number // keys_an_organization
        owner = f"org_{row:026}"
        if owner not in organizations:
            organizations[owner] = Organization(owner, f"customer-{row}", "external", "", "prepaid", "USD", row)
        keys[secret_sha256(f"ak-{number}")] = Key(f"key_{number:026}", owner, f"prj_{row:026}")
    caps = {"requests_per_minute": requests_per_minute, "tokens_per_minute": MUCH}
    return Snapshot(
        version=1,
        built_at_us=0,
        organizations=organizations,
        keys=keys,
        models={MODEL: Model("mod", MODEL, "chat", 0, 32_768, None, "bench", (target,))},
        prices=(PriceVersion("price", MODEL, "USD", 0, rules),),
        limits=(
            Limit("lim_a", "org", 0, "organization", "", "", **caps),
            Limit("lim_b", "org", 1, "key", "key", "bench", **caps),
        ),
    )


@dataclass
class Gateway:
    """Workers that share one host's words."""

    words: LeaseWords
    workers: list[Running]

    def charged(self) -> int:
        """How many requests were billed. Raises Failed when the sum is none of whole requests."""
        pico = self.words.reserved(0) - self.words.held(0)
        if pico % CHARGE_PICO:
            raise Failed(f"{pico} pico were charged, which is no multiple of {CHARGE_PICO}")
        return pico // CHARGE_PICO


def prepare(directory: Path, content: Snapshot, rows: int) -> LeaseWords:
    """What supervisor and control would have made: keys, words, leases and a snapshot."""
    paths = DataDir(directory)
    paths.make()
    ensure_master_key(paths.master_key)
    paths.host_id.write_text("host_bench\n")
    paths.snapshot.write_bytes(snapshots.encode(content))
    LeaseWords.create(paths.lot_words, 1, rows=16, slots=64).close()
    words = LeaseWords.create(paths.lease_words, 1, rows=rows, slots=64)
    words.set_ceiling(0, CEILING_PICO)
    words.snapshot_version = content.version
    words.ready = True
    return words


@contextmanager
def gateway(
    content: Snapshot, place: Place, *, variant: str = "python", workers: int = 1, rows: int = 16
) -> Iterator[Gateway]:
    """So many workers on one port: one on the place's core, more on the cores after it."""
    if variant == "pump" and not pump.built():
        raise Missing("it was not built here")
    words, port = prepare(place.directory, content, rows), free_port()
    environment = {
        "ARKWRIGHT_DATA_DIR": str(place.directory),
        "ARKWRIGHT_PORT": str(port),
        "ARKWRIGHT_LOG_LEVEL": "warning",
        **VARIANTS[variant],
    }
    command = [sys.executable, "-m", "arkwright.app", "gateway"]
    with ExitStack() as stack:
        stack.callback(words.close)
        made = Gateway(words, [])
        for number in range(workers):
            log = place.directory / "logs" / f"gateway-{number}.log"
            core = place.core + number
            child = stack.enter_context(started(command, core=core, log=log, environment=environment))
            wait_for_listener(port, child, log)
            headers = {"authorization": f"Bearer {SECRET}"}
            made.workers.append(Running(f"{NAME} ({variant})", port, child, MODEL, headers, made.charged))
        yield made


@contextmanager
def one(place: Place, *, variant: str = "python") -> Iterator[Running]:
    with gateway(snapshot(place.upstream), place, variant=variant) as made:
        yield made.workers[0]


def chosen(names: Sequence[str]) -> list[str]:
    """Raises SystemExit for a name that is no variant."""
    for name in names:
        if name not in VARIANTS:
            raise SystemExit(f"{name!r} is no variant: one of {', '.join(VARIANTS)}")
    return list(names)
