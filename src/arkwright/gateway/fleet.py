"""The targets as one worker knows them: what is under way at each, how quick and how well each is, whom to ask next.

Law: a leg is ended once, however its attempt ended. What is counted as under way is never less than what is. A target
that is down gets nothing while another is up. State lives through snapshots for as long as its target does, and no
longer. Each worker has a view of its own: another one's traffic shows here only in how quick a target is.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Literal, NamedTuple

from arkwright.basics.errors import ArkwrightError, LimitExceeded, Unavailable
from arkwright.domain.breaker import KEPT_ALIVE, POLICY, Breaker, State
from arkwright.domain.catalog import Target
from arkwright.domain.routing import Affinity, Outlook, Prefixes, Standing, asked, by_session, order, smoothed
from arkwright.gateway.routes import Route
from arkwright.host.metric_boards import Families
from arkwright.wire.prometheus import series

# served: a whole answer. failed: the target's fault. refused: the caller's fault. cancelled: nobody waits any more.
OutcomeKind = Literal["served", "failed", "refused", "cancelled"]
REPLICAS_TOLD_MAX = 512  # In metrics.
_NOTHING_KNOWN = Affinity()


class Outcome(NamedTuple):
    """How one attempt at a target ended."""

    kind: OutcomeKind
    status: int = 0  # What the target answered; 0: nothing.
    retry_after_s: int = 0  # What the target asked for, with a 429 or a 503.
    output_tokens: int = 0


class Leg:
    """One attempt at a target, from its sending to its end."""

    __slots__ = ("_fleet", "_over", "_standing", "_unread", "_unwritten", "first_us", "sent_us", "target")

    def __init__(self, fleet: "Fleet", target: Target, standing: Standing, unread: int, unwritten: int) -> None:
        self._fleet = fleet
        self._standing = standing
        self._unread = unread
        self._unwritten = unwritten
        self._over = False
        self.target = target
        self.sent_us = fleet.now_us()
        self.first_us = 0  # 0 until the first token came.
        standing.requests += 1
        standing.tokens += unread + unwritten

    def heard(self) -> None:
        """The first token came: the prompt is read, and the target well."""
        if self.first_us or self._over:
            return
        standing = self._standing
        now_us = self.first_us = standing.heard_us = self._fleet.now_us()
        standing.ttft_us = smoothed(standing.ttft_us, now_us - self.sent_us)
        standing.tokens -= self._unread
        self._unread = 0
        standing.breaker.answered(now_us, self.sent_us)
        self._fleet.watch(self.target, standing)

    def ended(self, outcome: Outcome) -> None:
        """Told once; what is told later is not heard."""
        if self._over:
            return
        self._over = True
        standing, now_us = self._standing, self._fleet.now_us()
        standing.requests -= 1
        standing.tokens -= self._unread + self._unwritten
        if outcome.status:
            standing.heard_us = now_us
        if outcome.kind == "served":
            written = outcome.output_tokens
            if written:
                standing.output_tokens = smoothed(standing.output_tokens, written)
            if self.first_us and written > 1:
                standing.inter_token_us = smoothed(standing.inter_token_us, (now_us - self.first_us) // (written - 1))
            standing.breaker.served(now_us, self.sent_us)
        else:
            self._judge(outcome, standing.breaker, now_us)
        self._fleet.watch(self.target, standing)
        self._fleet.freed()

    def _judge(self, outcome: Outcome, breaker: Breaker, now_us: int) -> None:
        if outcome.kind == "refused":
            breaker.answered(now_us, self.sent_us)
        elif outcome.kind == "cancelled":
            breaker.released(self.sent_us)
        elif outcome.status == 429 or outcome.retry_after_s:
            breaker.put_aside(now_us, self.sent_us, outcome.retry_after_s * 1_000_000)
        else:
            breaker.failed(now_us, self.sent_us)


class _Standings(dict[str, Standing]):
    """Whoever is asked about has one."""

    def __missing__(self, target_id: str) -> Standing:
        standing = self[target_id] = Standing()
        return standing


class Fleet:
    """One a worker. It lives through every snapshot."""

    def __init__(
        self,
        clock: Callable[[], float],
        freed: Callable[[], None],
        told: Callable[[Target, State], None] = lambda target, state: None,
        random: Random | None = None,
    ) -> None:
        """`clock`: seconds that never go back. `freed` hears of each attempt's end, `told` of each breaker's moves."""
        self._clock = clock
        self.freed = freed
        self._told = told
        self._standings = _Standings()
        self._states: dict[str, State] = {}  # As they were told.
        self._troubled: set[str] = set()  # Whoever is down, on trial or put aside; empty when all is well.
        self.moves = 0  # How often somebody fell into trouble or came out of it.
        self._prefixes = Prefixes()
        self._random = random or Random()  # noqa: S311 - no secret
        self._outlook = Outlook(self._standings, self._prefixes, self._random)

    def now_us(self) -> int:
        return int(self._clock() * 1_000_000)

    # Whom to ask

    def choose(self, route: Route, affinity: Affinity | None = None) -> list[Target]:
        """The order in which to ask, the best first; empty when nobody may be asked now: see `unavailable`."""
        targets = route.targets
        if len(targets) == 1 and not self._troubled:
            return [targets[0]]
        now_us, trial, weights = self.now_us(), None, {}
        able: Sequence[Target] = targets
        if route.weights:
            weights = {asked(one): weight for one, weight in zip(targets, route.weights, strict=False) if weight}
            able = [target for target in targets if asked(target) in weights]
        if self._troubled:
            able, trial = self._able(able, now_us)
        given = affinity or _NOTHING_KNOWN
        if route.sticky and given.session:
            ranked = by_session(able, given.session, weights)
        elif weights and len(able) > 1:
            ranked = self._by_weight(able, weights, given, now_us)
        else:
            ranked = self._roomy(order(able, given, self._outlook, now_us), able)
        return ranked if trial is None else [trial, *ranked]

    def askable(self, targets: list[Target]) -> list[Target]:
        """Those that may still be asked: one may have gone down since it was chosen."""
        if not self._troubled:
            return targets
        now_us = self.now_us()
        return [target for target in targets if target.id not in self._troubled or self._may(target, now_us)]

    def _may(self, target: Target, now_us: int) -> bool:
        breaker = self._standing(target).breaker
        return breaker.up(now_us) or breaker.due(now_us, alone=True) or breaker.begs(now_us)

    def unavailable(self, route: Route) -> ArkwrightError:
        """Why nobody may be asked, and when to try again."""
        now_us = self.now_us()
        waits = [self._standing(target).breaker.again_us(now_us) - now_us for target in route.targets]
        after_s = max(1, -(-min(waits, default=0) // 1_000_000))
        if waits and all(self._standing(target).breaker.state == "closed" for target in route.targets):
            return LimitExceeded(
                f"The model `{route.called}` is receiving too many requests. Try again later.", retry_after_s=after_s
            )
        return Unavailable(
            f"The model `{route.called}` does not answer right now; it is tried again in {after_s} s.",
            code="model_unavailable",
            retry_after_s=after_s,
        )

    def _able(self, targets: Sequence[Target], now_us: int) -> tuple[Sequence[Target], Target | None]:
        """Those that are up, and one that is due for a trial. Where none is up, only the least bad one is left."""
        troubled = [target for target in targets if target.id in self._troubled]
        if not troubled:
            return targets, None
        breakers = {target.id: self._standings[target.id].breaker for target in troubled}
        down = {target_id for target_id, breaker in breakers.items() if not breaker.up(now_us)}
        self._out_of_trouble(breakers.keys() - down)
        up = [target for target in targets if target.id not in down]
        due = [target for target in troubled if breakers[target.id].due(now_us, alone=not up)]
        trial = min(due, key=lambda target: breakers[target.id].try_us, default=None)
        if not up and trial is None:  # Better than to refuse everybody.
            up = [target for target in troubled if breakers[target.id].begs(now_us)]
        return up, trial

    def _out_of_trouble(self, well: Iterable[str]) -> None:
        for target_id in well:
            self.moves += 1
            self._troubled.discard(target_id)

    def _by_weight(
        self, able: Sequence[Target], weights: dict[tuple[str, str], int], affinity: Affinity, now_us: int
    ) -> list[Target]:
        """Chance gives each deployment, or model of a provider, its share; within one, the best target is taken."""
        shares: dict[tuple[str, str], int] = {}
        for target in able:
            shares[_place(target)] = shares.get(_place(target), 0) + weights[asked(target)]
        drawn = self._random.choices(list(shares), list(shares.values()))[0]
        mine = [target for target in able if _place(target) == drawn]
        ranked = self._roomy(order(mine, affinity, self._outlook, now_us), mine)
        return ranked + [target for target in able if _place(target) != drawn]

    def _roomy(self, ranked: list[Target], able: Sequence[Target]) -> list[Target]:
        """Whoever has no room comes after one that has, though it was not drawn."""
        first = ranked[0] if ranked else None
        if first is None or not first.capacity or self.outstanding(first.id) < first.capacity:
            return ranked
        room = [target for target in able if not target.capacity or self.outstanding(target.id) < target.capacity]
        if not room:
            return ranked
        best = min(room, key=lambda target: self._standings[target.id].tokens)
        return [best, *(target for target in ranked if target is not best)]

    # What is under way

    def began(self, target: Target, affinity: Affinity | None = None) -> Leg:
        """A request is sent to a target."""
        standing = self._standing(target)
        given = affinity or _NOTHING_KNOWN
        unread = given.input_tokens
        if given.hashed:
            unread -= given.matched_tokens(self._prefixes.match(target.id, given.blocks))
            self._prefixes.show(target.id, given.blocks)
        leg = Leg(self, target, standing, unread, given.output_tokens(standing))
        if standing.breaker.state != "closed":
            standing.breaker.sent(leg.sent_us)
            self.watch(target, standing)
        return leg

    def outstanding(self, target_id: str) -> int:
        """How many requests this worker has at a target."""
        standing = self._standings.get(target_id)
        return standing.requests if standing is not None else 0

    # What the pump carries by itself

    def well(self, target: Target) -> bool:
        """Nothing speaks against sending to it."""
        return target.id not in self._troubled or self._standing(target).breaker.up(self.now_us())

    def carried(self, target: Target, ttft_us: int) -> None:
        """Requests were served without a leg, their first tokens after so long in the mean."""
        standing, now_us = self._standing(target), self.now_us()
        standing.heard_us = now_us
        standing.ttft_us = smoothed(standing.ttft_us, ttft_us)
        standing.breaker.served(now_us, now_us - ttft_us)

    # Health

    def standings(self) -> dict[str, Standing]:
        """Of all targets that were ever asked, or of which something is known."""
        return self._standings

    def checked(self, target: Target, *, healthy: bool) -> None:
        """What a health check showed."""
        standing, now_us = self._standing(target), self.now_us()
        if healthy:
            standing.heard_us = now_us
        standing.breaker.checked(now_us, healthy=healthy)
        self.watch(target, standing)

    def watch(self, target: Target, standing: Standing) -> None:
        """Keep in mind who is troubled, and tell each move of a breaker."""
        breaker = standing.breaker
        if breaker.state == "closed" and not breaker.aside_until_us:
            if target.id not in self._states:
                return
        elif self._standings.get(target.id) is not standing:
            return  # Of a process that is gone.
        else:
            self.moves += target.id not in self._troubled
            self._troubled.add(target.id)  # Taken out by the first choice that finds it well.
        if self._states.get(target.id, "closed") != breaker.state:
            self._states[target.id] = breaker.state
            self._told(target, breaker.state)

    def keep(self, targets: Iterable[Target]) -> None:
        """A new snapshot: who is gone is forgotten once nothing is under way there; who moved is another process."""
        stay = {target.id: target for target in targets}
        for target_id, standing in list(self._standings.items()):
            target = stay.get(target_id)
            if standing.requests > 0 if target is None else standing.url in ("", target.base_url):
                continue
            del self._standings[target_id]
            self._troubled.discard(target_id)
            self._prefixes.forget(target_id)
            if self._states.pop(target_id, "closed") != "closed" and target is not None:
                self._told(target, "closed")

    def _standing(self, target: Target) -> Standing:
        standing = self._standings[target.id]
        if not standing.url:  # Asked about only, until now.
            policy = KEPT_ALIVE if target.traits.on_disconnect == "stop" else POLICY
            standing = self._standings[target.id] = Standing(target.base_url, policy)
        return standing


def _place(target: Target) -> tuple[str, str]:
    return target.name, target.upstream_model


def replica_families(fleet: Fleet, targets: Iterable[Target], worker: str) -> Families:
    """What the choice goes by, for metrics: what replicas have to do, and how soon they begin to answer."""
    tokens, first, found = "arkwright_target_tokens", "arkwright_target_ttft_seconds", fleet.standings()
    told: Families = {f"{tokens} gauge": [], f"{first} gauge": []}
    asked = [target for target in targets if target.id in found][:REPLICAS_TOLD_MAX]
    for target in asked:
        standing, labels = found[target.id], {"worker": worker, "target": target.name, "replica": target.id}
        told[f"{tokens} gauge"].append(series(tokens, standing.tokens, labels))
        if standing.ttft_us:
            told[f"{first} gauge"].append(series(first, f"{standing.ttft_us / 1e6:.6f}", labels))
    return {family: lines for family, lines in told.items() if lines}
