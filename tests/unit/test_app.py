"""The composition root: what children are told."""

from pathlib import Path

import pytest

from arkwright import app
from arkwright.basics import settings
from arkwright.basics.settings import Settings


def test_children_read_back_exactly_the_settings_of_their_parent(tmp_path: Path) -> None:
    given = Settings(
        data_dir=str(tmp_path),
        model_store=str(tmp_path / "models"),
        database_url="postgresql://x@/y?host=%2Ftmp",
        port=0,
        workers=3,
        default_models=("a", "file:/b c.gguf"),
        drain_timeout_s=0.25,
        log_level="debug",
    )
    (tmp_path / "arkwright.toml").write_text("this is edited right now and = = broken")
    told = {**app.environment(given), "ARKWRIGHT_LIFELINE_FD": "3", "ARKWRIGHT_PROCESS_NAME": "gateway-0"}
    assert settings.load(environment=told) == given


def test_no_models_are_told_as_none(tmp_path: Path) -> None:
    given = Settings(data_dir=str(tmp_path), model_store=str(tmp_path), default_models=())
    assert settings.load(environment=app.environment(given)) == given


def test_an_unknown_role_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app.main(["gardener"])
    assert ended.value.code == 2
    assert "gardener" in capsys.readouterr().err
