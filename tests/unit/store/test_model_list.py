"""The model list holds what it promises."""

import pytest

from arkwright.basics.errors import NotFound
from arkwright.basics.money import currency_code, pico_per_token_from_price
from arkwright.basics.settings import Settings
from arkwright.store.model_list import by_name, listed


def test_the_default_models_are_listed_one_for_each_kind() -> None:
    assert {by_name(name).kind for name in Settings().default_models} == {"chat", "embedding"}


@pytest.mark.parametrize("name", listed())
def test_an_entry_is_consistent(name: str) -> None:
    model = by_name(name)
    assert model.context_tokens <= model.trained_context_tokens
    assert model.parallel > 0
    assert (model.converter == "") == (model.converted is None)
    assert model.weights[0].path.endswith(".gguf")
    assert model.download_bytes > 1_000_000
    currency_code(model.price.currency)
    prices = (model.price.input_per_million, model.price.cached_input_per_million, model.price.output_per_million)
    assert all(pico_per_token_from_price(price) >= 0 for price in prices)
    assert model.source.count("#") == 1
    members = model.source.partition("#")[2].split(",")
    assert [member.rsplit("/", 1)[-1] for member in members] == [file.path for file in model.files]


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"did you mean 'smollm2-135m-instruct'"):
        by_name("smollm2-135m")
    with pytest.raises(NotFound, match="there are: "):
        by_name("zzz")
