"""Trees against the definition of RFC 6962 §2.1, word for word."""

from hashlib import sha256

import pytest

from arkwright.domain import merkle


def defined(data: list[bytes]) -> bytes:
    """MTH of the RFC."""
    if not data:
        return sha256().digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    split = 1
    while split * 2 < len(data):
        split *= 2
    return sha256(b"\x01" + defined(data[:split]) + defined(data[split:])).digest()


@pytest.mark.parametrize("size", [*range(20), 31, 32, 33, 100])
def test_roots_and_paths_of_every_shape(size: int) -> None:
    data = [b"%d" % number for number in range(size)]
    leaves = [merkle.leaf(datum) for datum in data]
    tree, growing = merkle.Tree(leaves), merkle.Growing()
    for leaf in leaves:
        growing.add(leaf)
    assert tree.root == growing.root() == defined(data)
    assert growing.size == size
    for index, leaf in enumerate(leaves):
        path = tree.path(index)
        assert merkle.root_by_path(leaf, index, size, path) == tree.root
        assert merkle.root_by_turns(leaf, tree.turns(index)) == tree.root
        for other in {0, index - 1, index + 1, size} - {index}:
            assert merkle.root_by_path(leaf, other, size, path) != tree.root, "no row has two places"
        if path:
            assert merkle.root_by_path(leaf, index, size, path[:-1]) != tree.root
            assert merkle.root_by_path(leaf, index, size, [*path, path[-1]]) != tree.root


def test_the_rfcs_own_vectors() -> None:
    """The reference tree of seven leaves that implementations of Certificate Transparency are tested with."""
    texts = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    leaves = [merkle.leaf(bytes.fromhex(text)) for text in texts]
    assert merkle.Tree([]).root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.Tree(leaves[:1]).root.hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.Tree(leaves).root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = merkle.leaf(b"a"), merkle.leaf(b"b")
    assert merkle.leaf(left + right) != merkle.node(left, right)
