"""Turns a BERT sentence encoder (safetensors + WordPiece vocabulary) into the one file llama.cpp loads.

*Law*: the same input gives the same bytes, on every machine, so that the result's SHA-256 can be pinned in the model
list. Hence: tensors in a fixed order, metadata from the input only (no clock, no path, no library version), matrices
rounded to half precision by IEEE half-even, norms and biases kept in single precision.
Must never: download, tokenize, or guess a shape that the checkpoint does not state.
"""

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.basics.errors import InvalidInput

_LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_EMBEDDING_TENSORS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class BertConfig(msgspec.Struct, frozen=True):
    """What of `config.json` decides the file; the rest of it is for training."""

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    max_position_embeddings: int
    layer_norm_eps: float
    vocab_size: int
    hidden_act: str = "gelu"


def convert(checkpoint: Path, config: Path, vocabulary: Path, target: Path, *, name: str) -> None:
    """Write `target` (GGUF, half precision, mean pooling). Raises InvalidInput on a checkpoint that is no BERT.

    `checkpoint` is a safetensors file, `config` the `config.json`, `vocabulary` the `vocab.txt` beside it.
    """
    shape = _config(config)
    tokens = vocabulary.read_text(encoding="utf-8").splitlines()
    if len(tokens) != shape.vocab_size:
        raise InvalidInput(f"{vocabulary.name} has {len(tokens)} tokens, {config.name} says {shape.vocab_size}")
    writer = gguf.GGUFWriter(path=None, arch="bert")
    try:
        _add_shape(writer, shape, name)
        _add_vocabulary(writer, tokens)
        with checkpoint.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for tensor_name, values in _tensors(mapped, shape):
                writer.add_tensor(tensor_name, values)
        writer.write_header_to_file(path=target)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _config(config: Path) -> BertConfig:
    try:
        shape = msgspec.json.decode(config.read_bytes(), type=BertConfig)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise InvalidInput(f"{config.name} does not describe a BERT model: {error}") from error
    if shape.model_type != "bert" or shape.hidden_act != "gelu":
        raise InvalidInput(
            f"{config.name}: only BERT with GELU is converted, not {shape.model_type}/{shape.hidden_act}"
        )
    return shape


def _add_shape(writer: gguf.GGUFWriter, shape: BertConfig, name: str) -> None:
    writer.add_name(name)
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_layer_norm_eps(shape.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _add_vocabulary(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    kinds = gguf.TokenType
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(2)
    writer.add_token_list([_as_llama_piece(token) for token in tokens])
    writer.add_token_types(
        [
            kinds.UNKNOWN if token == "[UNK]" else kinds.CONTROL if token in _SPECIAL_TOKENS else kinds.NORMAL  # noqa: S105
            for token in tokens
        ]
    )
    ids = {token: tokens.index(token) for token in _SPECIAL_TOKENS if token in tokens}
    if len(ids) != len(_SPECIAL_TOKENS):
        raise InvalidInput(f"the vocabulary lacks {', '.join(sorted(set(_SPECIAL_TOKENS) - set(ids)))}")
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_eos_token_id(ids["[SEP]"])
    writer.add_mask_token_id(ids["[MASK]"])


def _as_llama_piece(token: str) -> str:
    """llama.cpp marks the start of a word (`▁the`), WordPiece its continuation (`##ing`)."""
    if token.startswith("[") and token.endswith("]"):
        return token
    return token[2:] if token.startswith("##") else f"\u2581{token}"


def _tensors(mapped: mmap.mmap, shape: BertConfig) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Every tensor of the model by llama.cpp's name, in a fixed order; the pooler head is not part of an encoder."""
    names = dict(_EMBEDDING_TENSORS)
    for layer in range(shape.num_hidden_layers):
        for theirs, ours in _LAYER_TENSORS.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{theirs}.{part}"] = f"blk.{layer}.{ours}.{part}"
    header_bytes = int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8 : 8 + header_bytes])
    for theirs, ours in names.items():
        entry = header.get(theirs) or header.get(f"bert.{theirs}")
        if entry is None or entry["dtype"] != "F32":
            raise InvalidInput(f"the checkpoint has no single-precision tensor {theirs}")
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        values = np.frombuffer(mapped[begin:end], dtype="<f4").reshape(entry["shape"])
        is_matrix = values.ndim == 2 and ours not in ("position_embd.weight", "token_types.weight")
        yield ours, values.astype("<f2") if is_matrix else values
