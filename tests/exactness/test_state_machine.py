"""Whatever is done to the books, in whatever order: every law after each step. `make soak` is the long form."""

import contextlib
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import TemporaryDatabase
from tests.exactness import ledger_machine
from tests.exactness.ledger_machine import LedgerMachine

SEED = 5
SETTINGS = hypothesis.settings(
    max_examples=4, stateful_step_count=40, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip


def test_the_laws_hold_after_every_step(database_server: str, database_template: str) -> None:
    @hypothesis.seed(SEED)
    class Machine(LedgerMachine):
        new_database = staticmethod(lambda: TemporaryDatabase(database_server, database_template))

    ledger_machine.totals.clear()
    run_state_machine_as_test(Machine, settings=SETTINGS)
    done = ledger_machine.totals
    assert done["charges"] >= 300, done
    assert min(done.get(name, 0) for name in ("settlings", "top-ups", "audits")) >= 3, done
    assert len(done) >= 8, done


@pytest.mark.parametrize(
    "fault",
    [
        "ALTER TABLE charge DROP CONSTRAINT charge_pkey CASCADE",  # No dedupe.
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.requests = OLD.requests; RETURN NEW; END $$;"
        " CREATE TRIGGER lose BEFORE UPDATE ON usage_hourly FOR EACH ROW EXECUTE FUNCTION lose()",
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.balance_pico % 7 = 3 THEN NEW.balance_pico = NEW.balance_pico + 1; END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER lose BEFORE UPDATE ON ledger_account FOR EACH ROW EXECUTE FUNCTION lose()",
    ],
    ids=["no dedupe", "a roll-up that loses", "a balance off by one pico"],
)
def test_a_faulty_database_is_found_out(database_server: str, database_template: str, fault: str) -> None:
    @contextlib.contextmanager
    def faulty() -> Iterator[tuple[str, str]]:
        with TemporaryDatabase(database_server, database_template) as (name, url):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(fault)
            yield name, url

    @hypothesis.seed(SEED)
    class Machine(LedgerMachine):
        new_database = staticmethod(faulty)

    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(Machine, settings=hypothesis.settings(SETTINGS, max_examples=12))
