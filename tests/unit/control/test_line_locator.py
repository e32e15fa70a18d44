"""Lines of tables and keys in a TOML text."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.control.line_locator import Path, lines_of

TEXT = '''# A comment with [[models]] in it.
title = "x"

[[providers]]
name = "up"   # [[keys]]
base_url = """
[[models]]
name = "not a key"
"""

[providers.options]
on_disconnect = "drain"

[[providers]]
"name" = 'two'
options = { a = 1, b = [1,
  2] }

[[prices]]
  tiers = [
    { above_input_tokens = 1 },   # ]
    { above_input_tokens = 2 },
  ]
  model.name = "m"

[[prices.tiers_of]]
x = 1
[[prices.tiers_of]]
x = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("providers",), 4),
        (("providers", 0), 4),
        (("providers", 0, "name"), 5),
        (("providers", 0, "base_url"), 6),
        (("providers", 0, "options"), 11),
        (("providers", 0, "options", "on_disconnect"), 12),
        (("providers", 1), 14),
        (("providers", 1, "name"), 15),
        (("providers", 1, "options"), 16),
        (("prices", 0), 19),
        (("prices", 0, "tiers"), 20),
        (("prices", 0, "model"), 24),
        (("prices", 0, "model", "name"), 24),
        (("prices", 0, "tiers_of", 1, "x"), 29),
    ],
)
def test_lines(path: Path, line: int) -> None:
    assert lines_of(TEXT)[path] == line


def test_what_only_looks_like_a_table_is_none() -> None:
    assert ("models",) not in lines_of(TEXT)
    assert ("keys",) not in lines_of(TEXT)


_keys = st.sampled_from(["name", "kind", "x-y", "_1"])
_values = st.sampled_from(['"a"', "'[[x]]'", "[1,\n 2]", '"""\n[[x]]\nname = 1\n"""', "{ a = 1 }", "1", '"\\"#"'])
_tables = st.sampled_from(["models", "keys"])


@given(st.lists(st.tuples(_tables, st.dictionaries(_keys, _values, max_size=3)), max_size=5))
def test_every_key_that_tomllib_reads_is_found_where_it_was_written(entries: list[tuple[str, dict[str, str]]]) -> None:
    text, expected, counts = "", {}, {"models": 0, "keys": 0}
    for table, fields in entries:
        text += f"[[{table}]]\n"
        expected[table, counts[table]] = text.count("\n")
        for key, value in fields.items():
            expected_path: Any = (table, counts[table], key)
            expected[expected_path] = text.count("\n") + 1
            text += f"{key} = {value}\n"
        counts[table] += 1
    tomllib.loads(text)
    lines = lines_of(text)
    assert {path: lines.get(path) for path in expected} == expected
