"""`python -m benchmarks.admission [--rounds N] [--requests N] [--native] [--json]`: to let a request in and out.

A worker's own path, whole: the key is found by its hash, the price that holds is looked up, two limits of the
organization and of the key (requests and tokens a minute each) and a prepaid hold are decided in one step under the
organization's lock, and all of it is corrected when the request is over. CPU time of the process, user and system.
`--native`: rounds of the Python permits and of the native ones in turn, so that both meet the same machine.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from arkwright.basics import collector
from arkwright.basics.ids import secret_sha256
from arkwright.domain.catalog import Model, Target
from arkwright.domain.limits import Limit
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway.admission import Admission, Admitted, Wanted, authenticate
from arkwright.gateway.connection import Connection
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.state import State
from arkwright.host.leases import LeaseWords, Slot
from arkwright.host.native_permits import QuickPermits, open_permits
from arkwright.host.permits import Group, Permit, Permits
from benchmarks.table import spread, table

SECRET = "ak-bench-0123456789abcdef0123456789abcdef0123456789abcdef01234567"
GOAL_US = 8.0
MUCH = 10**12
WORKERS = 2
TURN = 8  # Requests that begin in one turn of the event loop.


def snapshot() -> Snapshot:
    organization = Organization("org", "bench", "external", "", "prepaid", "USD", 0)
    target = Target("tgt", "bench", "http://127.0.0.1:9/v1", "bench")
    rules = (Rule("input", 250_000), Rule("cached_input", 50_000), Rule("output", 2_000_000))
    caps = {"requests_per_minute": MUCH, "tokens_per_minute": MUCH}
    return Snapshot(
        version=1,
        built_at_us=0,
        organizations={"org": organization},
        keys={secret_sha256(SECRET): Key("key", "org", "prj")},
        models={"bench": Model("mod", "bench", "chat", 0, 32_768, None, "bench", (target,))},
        prices=(PriceVersion("price", "bench", "USD", 0, rules),),
        limits=(
            Limit("lim_a", "org", 0, "organization", "", "", **caps),
            Limit("lim_b", "org", 1, "key", "key", "bench", **caps),
        ),
    )


class Gate:
    """One worker's admission, on words that another worker has a slot in too."""

    def __init__(self, directory: Path, make: Callable[[Slot], Permits]) -> None:
        self.words = LeaseWords.create(directory / "words", 1, rows=16, slots=64, limit_rows=16)
        self.words.set_ceiling(0, 2**62)
        slots = [self.words.claim_slot(number, f"inc_{number}") for number in range(WORKERS)]
        self.state = State(snapshot(), bytes(32))
        self.permits = make(slots[0])
        self.soon: list[Callable[[], None]] = []
        self.permits.soon = self.soon.append
        self.admission = Admission(self.state, self.permits)
        self.model = self.state.models["bench"]
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"accept", b"*/*"),
                   (b"authorization", b"Bearer " + SECRET.encode())]  # fmt: skip
        self.exchange = Exchange(cast(Connection, None), "POST", "/v1/chat/completions", b"", headers)

    def key(self, count: int) -> None:
        for _ in range(count):
            authenticate(self.state, self.exchange)

    def admitted(self) -> Admitted:
        principal = authenticate(self.state, self.exchange)
        wanted = Wanted(principal, self.model, "chat.completions", 600, 400, True)
        outcome = self.admission.admit(wanted, leases_ready=True)
        assert isinstance(outcome, Admitted)
        return outcome

    def whole(self, count: int) -> None:
        """As many at once as a turn of a busy event loop brings: some begin, and those before them end."""
        running: list[Admitted] = []
        for _ in range(count // TURN):
            ended, running = running, [self.admitted() for _ in range(TURN)]
            self.end(ended)
        self.end(running)

    def permitted(self, count: int) -> None:
        """The permits alone, as `whole` meets them."""
        group = self.admitted().permit.group
        running: list[Permit] = []
        for _ in range(count // TURN):
            ended, running = running, [self.taken(group) for _ in range(TURN)]
            for permit in ended:
                self.permits.settle(permit, amount_pico=300_000_000, tokens=500)
            self.turn()
        for permit in running:
            self.permits.settle(permit)
        self.turn()

    def taken(self, group: Group) -> Permit:
        permit = self.permits.take(group, cost_pico=950_000_000, tokens=1_000, at_us=1)
        assert isinstance(permit, Permit)
        return permit

    def end(self, ended: list[Admitted]) -> None:
        for outcome in ended:
            self.permits.settle(outcome.permit, amount_pico=300_000_000, tokens=500)
        self.turn()

    def turn(self) -> None:
        for call in self.soon:
            call()
        self.soon.clear()

    def headers(self, count: int) -> None:
        outcome = self.admitted()
        for _ in range(count):
            self.admission.header_lines(outcome)
        self.permits.give_back(outcome.permit)


def cpu_us(step: Callable[[int], None], count: int) -> float:
    began = time.process_time()
    step(count)
    return (time.process_time() - began) / count * 1e6


def run(directory: Path, rounds: int, count: int, native: bool) -> dict[str, list[dict[str, float]]]:
    """By the kind of permits. The first round warms up and is left out."""
    makes: dict[str, Callable[[Slot], Permits]] = {"python": Permits, **({"native": open_permits} if native else {})}
    gates = {}
    for name, make in makes.items():
        (directory / name).mkdir()
        gates[name] = Gate(directory / name, make)
    if native and not isinstance(gates["native"].permits, QuickPermits):
        raise SystemExit("the native permits are not built here: see `arkwright doctor`")
    collector.seldom()  # As in a gateway.
    found: dict[str, list[dict[str, float]]] = {name: [] for name in gates}
    for _ in range(rounds + 1):
        for name, gate in gates.items():
            found[name].append(
                {
                    "whole_us": cpu_us(gate.whole, count),
                    "permits_us": cpu_us(gate.permitted, count),
                    "key_us": cpu_us(gate.key, count),
                    "headers_us": cpu_us(gate.headers, count),
                }
            )
    return {name: rounds_of[1:] for name, rounds_of in found.items()}


def report(found: dict[str, list[dict[str, float]]]) -> str:
    def row(what: str, key: str) -> list[str]:
        return [what, *(spread([one[key] for one in rounds], ".2f") for rounds in found.values())]

    rows = [
        row("key + 2 limits (RPM, TPM) + hold + correction", "whole_us"),
        row("of it the permits: taken, and ended together", "permits_us"),
        row("of it the key", "key_us"),
        row("beside it: the six x-ratelimit headers", "headers_us"),
    ]
    return table(["admission, CPU us a request", *(f"{name}: median (min to max)" for name in found)], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--native", action="store_true", help="the native permits, too")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as directory:
        found = run(Path(directory), given.rounds, given.requests, given.native)
    if given.json:
        told = {"goal_us": GOAL_US, "rounds": found["python"], "native_rounds": found.get("native", [])}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(report(found) + "\n")


if __name__ == "__main__":
    main()
