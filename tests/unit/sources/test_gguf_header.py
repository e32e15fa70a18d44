"""What a GGUF file says about itself, and that a broken one is refused, wherever it is cut."""

from pathlib import Path

import gguf
import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.sources.gguf_header import Description, describe


def written(path: Path, *, pooling: gguf.PoolingType | None = None, context: int | None = 2048) -> Path:
    writer = gguf.GGUFWriter(path=None, arch="llama")
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_token_list(["a", "ü", "c"])
    writer.add_token_scores([0.5, 1.0, 2.0])
    writer.add_bool("llama.flag", True)
    writer.add_float64("llama.number", 0.5)
    if context:
        writer.add_context_length(context)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.write_header_to_file(path=path)
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_a_chat_model(tmp_path: Path) -> None:
    assert describe(written(tmp_path / "x.gguf")) == Description("llama", "Tiny", "apache-2.0", "chat", 2048)


def test_a_model_that_pools_is_for_embeddings(tmp_path: Path) -> None:
    assert describe(written(tmp_path / "x.gguf", pooling=gguf.PoolingType.MEAN)).kind == "embedding"
    assert describe(written(tmp_path / "y.gguf", pooling=gguf.PoolingType.NONE)).kind == "chat"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no language model"):
        describe(written(tmp_path / "x.gguf", context=None))
    for content in (b"", b"hello, this is text", b"GGUF\x01\x00\x00\x00" + bytes(16), b"GGUF" + b"\xff" * 40):
        path = tmp_path / "bad.gguf"
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"bad\.gguf is no GGUF file"):
            describe(path)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "x.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(InvalidInput):
            describe(cut)
