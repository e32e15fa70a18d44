"""The build of native modules: in place, again when a source changed, and left out without harm."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import hatch_build

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None or not Path(sysconfig.get_paths()["include"], "Python.h").exists(),
    reason="there is no compiler, or no Python headers",
)
ANSWER = '"""A number."""\n\ndef answer():\n    return {number}\n'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one small module."""
    package = tmp_path / "src" / "arkwright"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_answer.pyx").write_text(ANSWER.format(number=42))
    monkeypatch.setattr(hatch_build, "ROOT", tmp_path)
    monkeypatch.setattr(hatch_build, "SOURCE", tmp_path / "src")
    monkeypatch.setattr(hatch_build, "COMPILE", ["-O0"])
    monkeypatch.delenv("ARKWRIGHT_NATIVE", raising=False)
    return tmp_path / "src"


def answer(source: Path) -> int:
    asked = [sys.executable, "-c", "from arkwright._answer import answer; print(answer())"]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return int(subprocess.run(asked, env=environment, cwd=source, capture_output=True, check=True).stdout)


def _build_anew(source: Path) -> None:
    """As another process does it: Cython looks at a file once only in each."""
    words = (
        "import sys, pathlib, hatch_build as it; it.ROOT = pathlib.Path(sys.argv[1]); it.SOURCE = it.ROOT / 'src'; "
        "it.COMPILE = ['-O0']; it.build(it.SOURCE)"
    )
    here = Path(hatch_build.__file__).parent
    subprocess.run([sys.executable, "-c", words, str(source.parent)], cwd=here, check=True)


def built_there(source: Path) -> list[Path]:
    return list(source.rglob("*.so"))


@needs_compiler
def test_a_module_is_built_beside_its_source_and_again_when_that_changed(source: Path) -> None:
    (first,) = hatch_build.build(source)
    assert first == source / "arkwright" / f"_answer{hatch_build.SUFFIX}"
    assert answer(source) == 42
    before = first.stat().st_mtime_ns
    hatch_build.build(source)
    assert first.stat().st_mtime_ns == before, "nothing changed, and it was compiled again"
    changed = source / "arkwright" / "_answer.pyx"
    changed.write_text(ANSWER.format(number=43))
    os.utime(changed, ns=(before + 10**9, before + 10**9))
    _build_anew(source)
    assert answer(source) == 43


@needs_compiler
def test_a_wheel_s_modules_are_built_elsewhere(source: Path, tmp_path: Path) -> None:
    (module,) = hatch_build.build(tmp_path / "wheel")
    assert module.is_file()
    assert module.is_relative_to(tmp_path / "wheel")
    assert not built_there(source)


@needs_compiler
def test_a_module_that_does_not_compile_leaves_all_out_and_says_so(
    source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hatch_build.build(source)
    (source / "arkwright" / "_broken.pyx").write_text('"""Not Cython."""\ncdef int f(:\n')
    assert hatch_build.build(source) == []
    assert "built without its native modules" in capfd.readouterr().err
    assert not built_there(source), "what was built from other sources must not stay"
    monkeypatch.setenv("ARKWRIGHT_NATIVE", "on")
    with pytest.raises(Exception, match="_broken"):
        hatch_build.build(source)


def test_without_a_compiler_all_is_left_out(
    source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    assert hatch_build.build(source) == []
    assert "built without its native modules" in capfd.readouterr().err


def test_without_cython_all_is_left_out(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Cython.Build", None)
    assert hatch_build.build(source) == []


@needs_compiler
def test_off_leaves_them_out_and_takes_away_what_was_there(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hatch_build.build(source)
    monkeypatch.setenv("ARKWRIGHT_NATIVE", "off")
    assert hatch_build.build(source) == []
    assert not built_there(source)


@needs_compiler
def test_a_module_whose_source_is_gone_goes_too(source: Path) -> None:
    (source / "arkwright" / "_other.pyx").write_text(ANSWER.format(number=1))
    hatch_build.build(source)
    (source / "arkwright" / "_other.pyx").unlink()
    hatch_build.build(source)
    assert [path.name.partition(".")[0] for path in built_there(source)] == ["_answer"]


def test_a_word_that_means_nothing_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKWRIGHT_NATIVE", "yes")
    with pytest.raises(ValueError, match="auto, on or off"):
        hatch_build.build(source)
