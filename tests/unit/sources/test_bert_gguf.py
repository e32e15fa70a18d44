"""The converter on a tiny checkpoint: every tensor where llama.cpp looks for it, the same bytes each time."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.sources.bert_gguf import convert

HIDDEN, INNER, POSITIONS = 8, 16, 4
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##ing", "ü"]
CONFIG = {
    "model_type": "bert",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "max_position_embeddings": POSITIONS,
    "layer_norm_eps": 1e-12,
    "vocab_size": len(VOCABULARY),
    "hidden_act": "gelu",
    "transformers_version": "is of no interest",
}
LAYER = {
    "attention.self.query": (HIDDEN, HIDDEN),
    "attention.self.key": (HIDDEN, HIDDEN),
    "attention.self.value": (HIDDEN, HIDDEN),
    "attention.output.dense": (HIDDEN, HIDDEN),
    "attention.output.LayerNorm": (HIDDEN,),
    "intermediate.dense": (INNER, HIDDEN),
    "output.dense": (HIDDEN, INNER),
    "output.LayerNorm": (HIDDEN,),
}


def checkpoint(directory: Path, *, leave_out: str = "", **config: Any) -> tuple[Path, Path, Path]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    for name, shape in LAYER.items():
        shapes |= {f"encoder.layer.0.{name}.weight": shape, f"encoder.layer.0.{name}.bias": shape[:1]}
    shapes.pop(leave_out, None)
    header: dict[str, Any] = {}
    body = b""
    for number, (name, shape) in enumerate(shapes.items()):
        values = np.random.default_rng(number).standard_normal(shape).astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    packed = json.dumps(header).encode()
    paths = (directory / "model.safetensors", directory / "config.json", directory / "vocab.txt")
    paths[0].write_bytes(len(packed).to_bytes(8, "little") + packed + body)
    paths[1].write_text(json.dumps({**CONFIG, **config}))
    paths[2].write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return paths


def test_every_tensor_and_token_is_where_llama_cpp_looks(tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    convert(*checkpoint(tmp_path), target, name="Tiny")
    reader = gguf.GGUFReader(target)
    assert len(reader.tensors) == 5 + 16
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    query = np.random.default_rng(5).standard_normal((HIDDEN, HIDDEN)).astype("<f4")
    assert tensors["blk.0.attn_q.weight"].dtype == np.float16
    assert np.array_equal(tensors["blk.0.attn_q.weight"], query.astype("<f2"))
    assert tensors["blk.0.ffn_up.weight"].shape == (INNER, HIDDEN)
    assert tensors["token_embd_norm.bias"].dtype == np.float32
    tokens = [
        bytes(reader.fields["tokenizer.ggml.tokens"].parts[at]) for at in reader.fields["tokenizer.ggml.tokens"].data
    ]
    assert [token.decode() for token in tokens][4:] == ["[MASK]", "▁the", "ing", "▁ü"]
    assert reader.fields["bert.pooling_type"].contents() == 1
    assert reader.fields["bert.context_length"].contents() == POSITIONS


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = checkpoint(tmp_path)
    for name in ("a.gguf", "b.gguf"):
        convert(*paths, tmp_path / name, name="Tiny")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"leave_out": "encoder.layer.0.output.dense.bias"}, r"no single-precision tensor encoder\.layer\.0\.output"),
        ({"vocab_size": 9}, "has 8 tokens"),
        ({"model_type": "roberta"}, "not roberta/gelu"),
        ({"hidden_size": "8"}, "does not describe a BERT model"),
    ],
)
def test_what_is_no_such_model_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        convert(*checkpoint(tmp_path, **change), tmp_path / "x.gguf", name="Tiny")
