"""What the store writes as bytes comes back exactly, and nothing else is taken for it."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import nasworkbench
from nasworkbench.search.packing import (
    digest,
    pack_distributions,
    pack_log_probs,
    pack_state,
    pack_tokens,
    unpack_distributions,
    unpack_log_probs,
    unpack_state,
    unpack_tokens,
)


@given(st.lists(st.integers(0, 65535)))
def test_tokens(tokens):
    assert unpack_tokens(pack_tokens(tokens)) == tuple(tokens)


@given(st.lists(st.floats(-50, 0, width=32)), st.lists(st.floats(-50, 0), min_size=1))
def test_log_probs_are_exact(single, double):
    packed = pack_log_probs(single)
    assert len(packed) == 4 * len(single)
    assert unpack_log_probs(packed, len(single)) == tuple(single)
    assert unpack_log_probs(pack_log_probs(double), len(double)) == tuple(double)
    assert unpack_log_probs(b"", 7) == ()


def test_distributions():
    assert unpack_distributions(pack_distributions(None)) is None
    values = numpy.array([0.5, 0.25, 0.25, 1.0], "<f2")
    assert (unpack_distributions(pack_distributions(values)) == values).all()
    assert len(pack_distributions(values)) == 8


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | arrays.arrays(
        st.sampled_from(["<f4", "<f8", "<i8", "|u1", "|b1", "<f2", ">f4"]),
        arrays.array_shapes(min_dims=0, min_side=0),
    )
)
STATES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(["array", "pairs"]), inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(a, b):
    if isinstance(a, numpy.ndarray | torch.Tensor):
        return type(a) is type(b) and a.shape == b.shape and numpy.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


@given(STATES)
def test_states_come_back(state):
    parts = pack_state(state)
    assert all(isinstance(blob, bytes) for *_, blob in parts)
    assert same(unpack_state(parts), state)


def test_an_optimiser_comes_back_to_the_bit():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    back = unpack_state(pack_state({"layer": dict(layer.state_dict()), "adam": state}))
    assert back["adam"]["state"].keys() == state["state"].keys() == {0, 1}
    for number, moments in state["state"].items():
        for name, tensor in moments.items():
            found = back["adam"]["state"][number][name]
            assert found.dtype == tensor.dtype and torch.equal(found, tensor)
    assert torch.equal(back["layer"]["weight"], layer.weight)


@pytest.mark.parametrize(
    "state", [{"a": object()}, [numpy.array(["x"])], numpy.array([object()]), {"a": {1, 2}}]
)
def test_what_is_not_data_is_refused(state):
    with pytest.raises((TypeError, ValueError)):
        pack_state(state)


@given(st.lists(st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()))
def test_a_digest_depends_on_every_value_and_its_place(values):
    found = digest(values)
    assert len(found) == 8 and digest(list(values)) == found
    assert digest([*values, b""]) != found
    for place, value in enumerate(values):
        if isinstance(value, bytes) and value:
            flipped = bytes([value[0] ^ 1]) + value[1:]
            assert digest([*values[:place], flipped, *values[place + 1 :]]) != found
    assert digest([b"ab", b"c"]) != digest([b"a", b"bc"])
    assert digest([0.1]) != digest([math.nextafter(0.1, 1)])


#: Modules that may read pickles: of files that are known by their checksum, by an unpickler that
#: knows numbers only.
UNPICKLING = {"nas_bench_graph/table.py": {"pickle.Unpickler"}}
#: Modules that may read weights of torch (with ``weights_only=True``).
WEIGHTS: set[str] = set()


def readers_of_programs(text):
    """What a module uses that may run what a file says."""
    names = (
        "torch.load", "torch.jit.load", "pickle.load", "pickle.loads", "pickle.Unpickler",
        "numpy.load", "marshal.loads", "joblib.load", "torch.package.PackageImporter",
    )  # fmt: skip
    tree, found = ast.parse(text), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found |= {ast.unparse(node)} & set(names)
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & set(names)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "numpy.load":
            safe = any(k.arg == "allow_pickle" and not k.value.value for k in node.keywords)
            found |= set() if safe else {"numpy.load with pickles"}
    return found - {"numpy.load"}


def test_no_module_reads_what_may_be_a_program():
    root = Path(nasworkbench.__file__).parent
    found = {
        path.relative_to(root).as_posix(): readers_of_programs(path.read_text(encoding="utf-8"))
        for path in root.rglob("*.py")
        if path.relative_to(root).as_posix() not in WEIGHTS
    }
    assert {name: uses for name, uses in found.items() if uses} == UNPICKLING


def test_a_module_that_reads_programs_is_found():
    assert readers_of_programs("import torch\ntorch.load(f, weights_only=True)") == {"torch.load"}
    assert readers_of_programs("from pickle import loads") == {"pickle.loads"}
    assert readers_of_programs("numpy.load(f)") == {"numpy.load with pickles"}
    assert readers_of_programs("numpy.load(f, allow_pickle=False)") == set()
