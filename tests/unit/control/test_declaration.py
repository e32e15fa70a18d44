"""What a file may say, and the line that an error names."""

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.control.declaration import Declaration

PROVIDER = '[[providers]]\nname = "up"\nbase_url = "http://127.0.0.1:1/v1"\n'
PRICE = '[[prices]]\nmodel = "m"\ncurrency = "USD"\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[provider]]\n", 1, "did you mean 'providers'"),
        ("\n\nunheard = 1\n", 3, "unknown table"),
        ('[providers]\nname = "up"\n', 1, "write providers as [[providers]]"),
        (PROVIDER + "\ntimeout = 5\n", 5, "unknown key 'timeout'"),
        (PROVIDER + 'kidn = "x"\n', 4, "did you mean 'kind'"),
        (PROVIDER + "name2 = \n", 4, "nvalid value"),
        ('[[providers]]\nname = "a"\nname = "b"\n', 3, ""),
        ('[[models]]\nname = "m"\ncontext_tokens = "many"\n', 3, "Expected `int"),
        ('[[models]]\nname = "m"\n[[models]]\nname = 5\n', 4, "Expected `str`"),
        (PRICE + "input_per_million = 0.25\noutput_per_million = '1'\n", 4, "decimal string"),
        (PRICE + "output_per_million = '1'\n", 1, "input_per_million"),
        (
            PRICE + "input_per_million = '1'\noutput_per_million = '1'\n[[prices.tiers]]\nabove = 1\n",
            7,
            "unknown field `above`",
        ),
        ('[[organizations]]\nname = "a"\nclass = "partner"\n', 3, "class must be external, internal or test"),
        ('[[organizations]]\nname = "a"\ntop_up = 10.0\n', 3, "decimal string"),
        ('[[organizations]]\nname = "a"\n\n[[organizations]]\nname = "a"\n', 4, "declared already in line 1"),
        ('[[keys]]\norganization = "a"\n[[keys]]\norganization = "a"\n', 3, "told apart by their name"),
    ],
)
def test_refusals_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Declaration(text)
    assert refused.value.message.startswith(f"line {line}: "), refused.value.message
    assert words in refused.value.message


def test_a_secret_is_never_in_a_refusal() -> None:
    text = (
        '[[keys]]\norganization = "a"\nsecret = "ak-hidden-1"\n[[keys]]\norganization = "a"\nsecret = "ak-hidden-1"\n'
    )
    with pytest.raises(InvalidInput) as refused:
        Declaration(text)
    assert "hidden" not in refused.value.message


def test_what_is_referred_to_comes_first_whatever_the_order_of_the_file() -> None:
    text = '[[keys]]\norganization = "a"\n[[models]]\nname = "m"\n[[organizations]]\nname = "a"\n' + PROVIDER
    assert [entry.table for entry in Declaration(text).entries] == ["providers", "models", "organizations", "keys"]


def test_an_error_of_an_entry_is_located() -> None:
    declaration = Declaration("\n\n" + PROVIDER)
    error = declaration.located(declaration.entries[0], InvalidInput("no good", param="base_url"))
    assert error.message == "line 5: providers[0]: no good"
    error = declaration.located(declaration.entries[0], InvalidInput("no good", param="elsewhere"))
    assert error.message.startswith("line 3: ")
