"""all-MiniLM-L6-v2 written down once more, in numpy and plain Python: what the engine's answers are compared with."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LAYERS, HEADS, EPSILON = 6, 12, 1e-12


def token_ids(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """WordPiece as BERT has it, uncased, with [CLS] and [SEP]."""
    ids = [vocabulary["[CLS]"]]
    for word in _words(text):
        ids += _pieces(word, vocabulary)
    return [*ids, vocabulary["[SEP]"]]


def embedding(ids: list[int], tensors: Mapping[str, Array]) -> Array:
    """The L2-normalised mean of the last hidden states; `tensors` by the names of the original checkpoint."""

    def weight(name: str) -> Array:
        exact: Array = tensors[name].astype(np.float64)
        return exact

    def dense(name: str, values: Array) -> Array:
        result: Array = values @ weight(f"{name}.weight").T + weight(f"{name}.bias")
        return result

    def normed(name: str, values: Array) -> Array:
        centred = values - values.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
        result: Array = scaled * weight(f"{name}.weight") + weight(f"{name}.bias")
        return result

    hidden = weight("embeddings.word_embeddings.weight")[ids]
    hidden = hidden + weight("embeddings.position_embeddings.weight")[: len(ids)]
    hidden = normed("embeddings.LayerNorm", hidden + weight("embeddings.token_type_embeddings.weight")[0])
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        query, key, value = (_heads(dense(f"{at}.attention.self.{part}", hidden)) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), -1)
        hidden = normed(f"{at}.attention.output.LayerNorm", hidden + dense(f"{at}.attention.output.dense", mixed))
        inner = dense(f"{at}.intermediate.dense", hidden)
        inner = dense(f"{at}.output.dense", 0.5 * inner * (1 + _erf(inner / np.sqrt(2))))
        hidden = normed(f"{at}.output.LayerNorm", hidden + inner)
    mean = hidden.mean(0)
    normalised: Array = mean / np.linalg.norm(mean)
    return normalised


def _heads(values: Array) -> Array:
    return values.reshape(len(values), HEADS, -1).transpose(1, 0, 2)


def _erf(values: Array) -> Array:
    """Abramowitz and Stegun 7.1.26: 1.5e-7 at worst, far below half precision."""
    t = 1 / (1 + 0.3275911 * np.abs(values))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    result: Array = np.sign(values) * (1 - series * np.exp(-(values**2)))
    return result


def _words(text: str) -> list[str]:
    """Lower case, without accents; punctuation and Chinese characters are words of their own."""
    plain = "".join(mark for mark in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(mark) != "Mn")
    spaced = []
    for mark in plain:
        category = unicodedata.category(mark)
        if category.startswith("C") and mark not in "\t\n\r":
            continue
        alone = category.startswith("P") or mark in "$+<=>^`|~" or "\u4e00" <= mark <= "\u9fff"
        spaced.append(f" {mark} " if alone else mark)
    return "".join(spaced).split()


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    ids, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in vocabulary), None)
        if end is None:
            return [vocabulary["[UNK]"]]
        ids.append(vocabulary[prefix + word[start:end]])
        start = end
    return ids
