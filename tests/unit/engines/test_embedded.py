"""What the embedded driver decides, without starting anything."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright import engines
from arkwright.basics.errors import InvalidInput
from arkwright.basics.settings import Settings
from arkwright.engines import embedded
from arkwright.engines.deployments import Deployment, Endpoint, Observation
from arkwright.engines.launch import VARIABLE, Launch
from arkwright.host.supervisor import ProcessInfo
from arkwright.store.model_list import PinnedFile
from arkwright.store.weights import Manifest, StoredModel

ENDPOINT = Endpoint("http://127.0.0.1:40001/v1", "secret")
SETTINGS = Settings(data_dir="/data")
MODEL = StoredModel(
    Manifest(
        name="tiny",
        reference="tiny",
        kind="chat",
        source="file:/x.gguf",
        license="",
        files=(PinnedFile(path="x.gguf", sha256="0" * 64, bytes=1),),
        trained_context_tokens=8192,
        context_tokens=4096,
        parallel=4,
        pulled_at_us=1,
    ),
    Path("/models/tiny"),
)


def launch(options: dict[str, Any], settings: Settings = SETTINGS) -> Launch:
    deployment = Deployment(id="dep_1", name="tiny", source="tiny", options=options)
    spec = embedded.plan(deployment, MODEL, ENDPOINT, settings, cores=3)
    assert spec.argv[1:] == ("-m", "arkwright.engines.llama")
    assert ENDPOINT.key not in " ".join(spec.argv)  # Every user of the machine can read an argv.
    assert spec.environment["OMP_WAIT_POLICY"] == "passive"
    assert spec.environment["ARKWRIGHT_DATA_DIR"] == "/data"
    return msgspec.json.decode(spec.environment[VARIABLE], type=Launch)


def test_a_plan_from_the_model_list_the_settings_and_the_machine() -> None:
    planned = launch({})
    assert planned.model_path == "/models/tiny/x.gguf"
    assert (planned.port, planned.key, planned.alias, planned.kind) == (40001, "secret", "tiny", "chat")
    assert (planned.context_tokens, planned.parallel, planned.threads, planned.cache_mib) == (4096, 4, 3, 256)
    assert planned.generation_threads == 1


def test_settings_and_options_overrule_in_this_order() -> None:
    settings = Settings(data_dir="/data", engine_threads=2, engine_cache_mib=64)
    planned = launch({}, settings)
    assert (planned.threads, planned.generation_threads, planned.cache_mib) == (2, 2, 64)
    planned = launch({"threads": 1, "parallel": 8, "context_tokens": 512, "cache_mib": 0}, settings)
    assert (planned.threads, planned.parallel, planned.context_tokens, planned.cache_mib) == (1, 8, 512, 0)


def test_the_same_deployment_gives_the_same_process() -> None:
    deployment = Deployment(id="dep_1", name="tiny", source="tiny")
    plans = [embedded.plan(deployment, MODEL, ENDPOINT, SETTINGS, cores=2) for _ in range(2)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thread": 1}, "unknown field `thread`"),
        ({"threads": "2"}, r"Expected `int`, got `str`"),
        ({"threads": -1}, "threads = -1 is not between"),
        ({"parallel": 65}, "parallel = 65 is not between"),
        ({"cache_mib": -2}, "cache_mib = -2 is not between"),
        ({"context_tokens": 9000}, r"context_tokens = 9000 is more than tiny was trained for \(8192\)"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        launch(options)


def process(**change: Any) -> ProcessInfo:
    info = ProcessInfo("engine-dep_1", 1, "running", restarts=0, started_at_us=1, last_exit="", ready=False)
    return msgspec.structs.replace(info, **change)


DEAD = {"state": "backing-off", "restarts": 3, "pid": None}


@pytest.mark.parametrize(
    ("info", "healthy", "expected"),
    [
        (None, False, Observation("stopped")),
        (None, True, Observation("stopped")),
        (process(), False, Observation("starting")),
        (process(), True, Observation("starting")),  # Somebody else's process may answer on that port.
        (process(ready=True), False, Observation("starting")),
        (process(ready=True), True, Observation("ready")),
        (process(ready=True, restarts=7), True, Observation("ready")),
        (process(last_exit="exit code 3", **DEAD), False, Observation("failed", "its last words")),
        (
            process(last_exit="signal SIGKILL", **DEAD),
            False,
            Observation("starting", "it ended 3 times, last with signal SIGKILL"),
        ),
    ],
)
def test_a_replica_is_judged_by_supervisor_and_engine_together(
    info: ProcessInfo | None, healthy: bool, expected: Observation
) -> None:
    assert embedded.judge(info, healthy, lambda: "its last words") == expected


def test_an_engine_moves_only_when_its_port_is_taken() -> None:
    assert embedded.must_move(process(last_exit="exit code 4", **DEAD))
    assert not embedded.must_move(process(last_exit="exit code 3", **DEAD))
    assert not embedded.must_move(process(last_exit="exit code 4"))
    assert not embedded.must_move(None)


def test_the_gateway_is_told_how_llama_cpp_differs() -> None:
    traits = engines.engine("embedded").traits({})
    assert (traits.usage_source, traits.progress, traits.on_disconnect) == ("engine", "timings", "stop")
    assert (traits.counts_choices, traits.enforces_tool_choice, traits.legacy_logprobs) == (False, False, False)
    with pytest.raises(InvalidInput, match="there is: embedded"):
        engines.engine("vllm")
