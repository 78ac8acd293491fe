"""GraphSpace: the classes of the authors' code, round trips, pictures, and controllers on it."""

import itertools
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nas_bench_graph.architecture import Arch, all_archs, gnn_list, gnn_list_proteins, link_list

from nasworkbench.controllers import PPO, Outcome, RandomSearch, RegularizedEvolution
from nasworkbench.drawing import draw
from nasworkbench.drawing.dot import THEMES
from nasworkbench.errors import GenotypeError, SpaceError
from nasworkbench.genotype import Genotype, from_text
from nasworkbench.nas_bench_graph import (
    GRAPH_OPERATIONS,
    PROTEINS_OPERATIONS,
    WIRINGS,
    GraphArchitecture,
    GraphSpace,
)
from nasworkbench.spaces import CellSpace

BRIEF = settings(max_examples=200, deadline=None, derandomize=True)
SPACES = {9: GraphSpace(), 5: GraphSpace(PROTEINS_OPERATIONS)}
#: Every tree of four nodes, whatever the numbers of its nodes.
ALL_WIRINGS = list(itertools.product(range(1), range(2), range(3), range(4)))
RESIDUAL = GraphArchitecture((0, 0, 1, 1), ("gcn", "skip", "fc", "skip"))

ARCHITECTURES = st.builds(
    GraphArchitecture,
    st.sampled_from(ALL_WIRINGS),
    st.tuples(*4 * [st.sampled_from(GRAPH_OPERATIONS)]),
)


def authors_code(wiring, operations):
    return Arch(list(wiring), list(operations)).valid_hash()


# --- classes ------------------------------------------------------------------------------------


def test_names_are_the_authors():
    assert tuple(gnn_list) == GRAPH_OPERATIONS
    assert tuple(gnn_list_proteins) == PROTEINS_OPERATIONS
    assert tuple(map(tuple, link_list)) == WIRINGS


@pytest.mark.parametrize(
    ("operations", "strings", "classes"), [(9, 59_049, 26_207), (5, 5_625, 2_022)]
)
def test_every_string_is_in_the_class_that_the_authors_code_gives_it(operations, strings, classes):
    """Key and code decide each other: no class is split, no two are merged."""
    space = SPACES[operations]
    code_of, key_of = {}, {}
    for tokens in space.token_sequences():
        architecture = space.decode(tokens)
        code = authors_code(architecture.wiring, architecture.operations)
        assert code_of.setdefault(architecture.key, code) == code, tokens
        assert key_of.setdefault(code, architecture.key) == architecture.key, tokens
    assert space.size == strings
    assert len(code_of) == len(key_of) == classes
    assert code_of["input"] == 88888  # four skips; the authors trained all others
    found = space.unique
    assert set(found.keys) == set(code_of) and sum(found.token_sequences) == strings
    assert found.token_sequences[found.keys.index("input")] == 9


def test_the_authors_list_of_architectures_has_each_class_once(capsys):
    keys = {GraphArchitecture(arch.link, arch.ops).key for arch in all_archs()}
    assert capsys.readouterr().out == "26206\n"
    assert keys == set(SPACES[9].unique.keys) - {"input"}


def test_wirings_in_any_order_are_in_the_authors_class_too():
    space = SPACES[5]
    codes = {
        space.decode(tokens).key: authors_code(
            space.decode(tokens).wiring, space.decode(tokens).operations
        )
        for tokens in space.token_sequences()
    }
    assert len(ALL_WIRINGS) == 24
    for wiring in ALL_WIRINGS:
        for operations in itertools.product(PROTEINS_OPERATIONS, repeat=4):
            key = GraphArchitecture(wiring, operations).key
            assert codes[key] == authors_code(wiring, operations), (wiring, operations)


@BRIEF
@given(ARCHITECTURES, st.permutations(range(1, 5)))
def test_the_numbers_of_the_nodes_do_not_count(architecture, order):
    new = {0: 0} | {old: place for place, old in enumerate(order, 1)}
    wiring = tuple(new[architecture.wiring[old - 1]] for old in order)
    if any(read >= node for node, read in enumerate(wiring, 1)):
        with pytest.raises(GenotypeError, match=r"it may read 0 \(the input\)"):
            GraphArchitecture(wiring, architecture.operations)
        return
    renumbered = GraphArchitecture(wiring, [architecture.operations[old - 1] for old in order])
    assert renumbered.key == architecture.key


@BRIEF
@given(
    st.sampled_from([(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2)]),
    st.tuples(*3 * [st.sampled_from(GRAPH_OPERATIONS[:-1])]),
)
def test_a_skip_on_the_way_can_stand_anywhere(wiring, operations):
    """Put before any node, or behind a leaf: the same network of the three other nodes."""
    keys = set()
    for node in range(4):  # the skip is number node + 1, and what it pushes back moves up by one
        up = [read + (read > node) for read in wiring]
        for place in range(node, 3):  # put between a later node and what it reads
            if up[place] == node:
                moved = [*up[:node], node, *up[node:]]
                moved[place + 1] = node + 1
                keys.add(
                    GraphArchitecture(moved, (*operations[:node], "skip", *operations[node:])).key
                )
    for leaf in {1, 2, 3} - set(wiring):
        keys.add(GraphArchitecture((*wiring, leaf), (*operations, "skip")).key)
    keys.add(GraphArchitecture((*wiring, 0), (*operations, "skip")).key)  # the raw input
    assert len(keys) == 1
    assert keys.pop().count("skip") == 0


def test_a_skip_beside_another_reader_counts():
    assert RESIDUAL.key == "input(gcn(fc,skip))"
    assert RESIDUAL.idle == (2,) and RESIDUAL.joined == (3, 4) and RESIDUAL.leaves == (2, 3, 4)
    keys = {
        GraphArchitecture((0, 1, 2, 2), ("skip", "gcn", *last)).key
        for last in (("fc", "skip"), ("fc", "fc"), ("skip", "skip"), ("fc", "gat"))
    }
    assert len(keys) == 4 and "input(gcn(skip,skip))" in keys
    nothing = GraphArchitecture((0, 0, 0, 0), 4 * ("skip",))
    assert (nothing.key, nothing.idle, nothing.joined) == ("input", (1, 2, 3, 4), (1, 2, 3, 4))


# --- tokens -------------------------------------------------------------------------------------


def test_decisions():
    decisions = GraphSpace(("skip", "gcn")).decisions
    assert [d.choices for d in decisions] == [9, 2, 2, 2, 2]
    assert [d.kind for d in decisions] == ["wiring", *4 * ["operation"]]
    assert [d.block for d in decisions] == [0, 0, 1, 2, 3]
    assert {d.cell for d in decisions} == {"network"}
    assert decisions[0].options[3] == "0012" and decisions[4].name == "node 4 operation"
    assert decisions[1].options == ("skip", "gcn")


@pytest.mark.parametrize("operations", SPACES)
def test_strings_return(operations):
    space = SPACES[operations]
    for tokens in itertools.islice(space.token_sequences(), 0, None, 7):
        assert space.encode(space.decode(tokens)) == tokens
    tokens = (4, 0, 1, 2, 3)
    decoded = space.decode(tokens)
    assert decoded.wiring == (0, 0, 1, 3)
    assert decoded.operations == space.operations[:4]
    again = GraphSpace(**json.loads(json.dumps(space.settings())))
    assert again.decisions == space.decisions and type(space).__name__ in repr(space)


@BRIEF
@given(ARCHITECTURES)
def test_any_wiring_has_a_string(architecture):
    space = SPACES[9]
    found = space.decode(space.encode(architecture))
    assert found.wiring in WIRINGS and found.key == architecture.key
    assert sorted(found.operations) == sorted(architecture.operations)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((0, 0, 0, 0), r"one token per decision, 5; got 4"),
        ((9, 0, 0, 0, 0), r"wiring: token 9 .* 0 to 8 \(0000, 0001"),
        ((0, 0, 0, 0, 5), r"node 4 operation: token 5 .* 0 to 4 \(gcn, sage"),
        ((0, -1, 0, 0, 0), r"node 1 operation: token -1"),
        ((0, "gcn", 0, 0, 0), r"node 1 operation: token 'gcn'"),
    ],
)
def test_tokens_of_no_string(tokens, message):
    with pytest.raises(SpaceError, match=message):
        SPACES[5].decode(tokens)


def test_tokens_in_words():
    assert SPACES[9].in_words((3,)) == (
        "node 1 = ?(input), node 2 = ?(input), node 3 = ?(node 1), node 4 = ?(node 2)"
    )
    assert SPACES[5].in_words((8, 0, 4, 1)) == (
        "node 1 = gcn(input), node 2 = skip(node 1), node 3 = sage(node 2), node 4 = ?(node 3)"
    )


def test_what_is_not_in_the_space():
    with pytest.raises(SpaceError, match=r"node 2 operation: 'gat' is not .* gcn, sage"):
        SPACES[5].encode(GraphArchitecture((0, 0, 0, 0), ("gcn", "gat", "fc", "fc")))
    with pytest.raises(SpaceError, match="holds graph architectures, got Genotype"):
        SPACES[9].encode(CellSpace(1).sample(0))
    for wrong in ((), ("gcn", "gcn"), ("conv",), "gcn,fc"):
        with pytest.raises(SpaceError, match=r"operations must be .* gat, gcn"):
            GraphSpace(wrong)


# --- the architecture -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wiring", "operations", "message"),
    [
        (
            (0, 0, 0),
            4 * ("gcn",),
            r"wiring must be a list of 4, an entry for each node, got \(0, 0, 0\)",
        ),
        ((0, 0, 0, 0), 5 * ("gcn",), r"operations must be a list of 4, an entry for each node"),
        ((0, 0, 0, 0), "gcn", r"operations must be a list of 4.*, got 'gcn'"),
        (None, 4 * ("gcn",), r"wiring must be a list of 4.*, got None"),
        ((1, 0, 0, 0), 4 * ("gcn",), r"node 1: reads 1; it may read 0 \(the input\) to 0$"),
        ((0, 0, 3, 0), 4 * ("gcn",), r"node 3: reads 3; .* 0 \(the input\) to 2"),
        ((0, 0, -1, 0), 4 * ("gcn",), r"node 3: reads -1"),
        ((0, True, 0, 0), 4 * ("gcn",), r"node 2: reads True"),
        ((0, 0, 0, "0"), 4 * ("gcn",), r"node 4: reads '0'"),
        ((0, 0, 0, 0), ("gcn", "gcn", "conv_3x3", "fc"), r"node 3: unknown .* 'conv_3x3'; .* gat"),
        ((0, 0, 0, 0), ("gcn", ["fc"], "fc", "fc"), r"node 2: unknown operation"),
    ],
)
def test_architectures_that_cannot_exist(wiring, operations, message):
    with pytest.raises(GenotypeError, match=message):
        GraphArchitecture(wiring, operations)


@BRIEF
@given(ARCHITECTURES)
def test_json_and_pickle_return(architecture):
    assert from_text(architecture.to_json()) == architecture
    assert architecture.key == pickle.loads(pickle.dumps(architecture)).key
    assert "\n" not in architecture.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        (None, "not JSON"),
        ("[]", r"JSON object .* 'format' must be .*nasworkbench.graph/1, got \[\]"),
        (
            '{"format": "nasworkbench.graph/1", "wiring": [0, 0, 0, 0]}',
            "has the fields format, operations and wiring; missing: operations; unknown: none",
        ),
        ('{"format": "x", "wiring": [], "operations": []}', r"'format' must be .* got .*'x'"),
        (
            '{"format": "nasworkbench.graph/1", "wiring": 7, "operations": []}',
            "wiring must be a list of 4, .* got 7",
        ),
    ],
)
def test_text_of_no_architecture(text, message):
    with pytest.raises(GenotypeError, match=message):
        from_text(text)


def test_a_genotype_is_not_a_graph():
    assert from_text(CellSpace(1).sample(0).to_json()) == CellSpace(1).sample(0)
    with pytest.raises(GenotypeError, match="this is a GraphArchitecture, not a genotype"):
        Genotype.from_json(RESIDUAL.to_json())


def test_in_words():
    assert str(RESIDUAL).splitlines() == [
        "Graph architecture",
        "  node 1 = gcn(input)",
        "  node 2 = skip(input)",
        "  node 3 = fc(node 1)",
        "  node 4 = skip(node 1)",
        "  output = node 3, node 4",
    ]


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", THEMES)
def test_a_picture_shows_nodes_and_arrows_and_greys_what_is_idle(theme):
    lines = [line.strip() for line in draw(RESIDUAL, theme).source.splitlines()]
    arrows = {line.partition(" [")[0]: line for line in lines if "->" in line}
    assert set(arrows) == {
        "input -> node_1", "input -> node_2", "node_1 -> node_3", "node_1 -> node_4",
        "node_2 -> output", "node_3 -> output", "node_4 -> output",
    }  # fmt: skip
    dashed = {name for name, line in arrows.items() if "dashed" in line}
    assert dashed == {"input -> node_2", "node_2 -> output"}
    nodes = {
        line.partition(" [")[0]: line for line in lines if "label=" in line and "->" not in line
    }
    assert {name for name, line in nodes.items() if "dashed" in line} == {"node_2"}
    assert r'label="fc\nnode 3"' in nodes["node_3"]
    assert THEMES[theme].background in draw(RESIDUAL, theme).source


def test_it_shows_itself():
    bundle, about = RESIDUAL._repr_mimebundle_()
    assert bundle["text/plain"] == str(RESIDUAL)
    assert bundle["image/svg+xml"].startswith("<svg") and bundle["image/png"][:4] == b"\x89PNG"
    assert bundle["image/svg+xml"].count("node 4") == 3  # in the picture, and twice in words
    assert "node 4" in about["image/png"]["alt"]


def test_a_skip_on_the_way_is_grey_but_its_arrows_lead_on():
    source = draw(GraphArchitecture((0, 1, 2, 3), ("skip", "gcn", "skip", "fc"))).source
    assert source.count("dashed") == 2 and "dashed" not in source.partition("->")[2]


# --- controllers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "controller",
    [
        RandomSearch(SPACES[9], 0),
        RegularizedEvolution(SPACES[9], 0, population=10, sample=5),
        PPO(SPACES[9], 0, learning_rate=0.01, batch_size=10),
    ],
    ids=lambda controller: type(controller).__name__,
)
def test_controllers_search_it(controller):
    """The more fully connected nodes, the better: who learns, finds more of them."""
    rewards = []
    for _ in range(40):
        outcomes = []
        for proposal in controller.ask(10):
            assert SPACES[9].decode(proposal.tokens) == proposal.genotype
            outcomes.append(Outcome(proposal, proposal.genotype.operations.count("fc") / 4))
        controller.tell(outcomes)
        rewards += [outcome.reward for outcome in outcomes]
    learned = sum(rewards[-100:]) / 100
    if isinstance(controller, RandomSearch):
        assert abs(learned - 1 / 9) < 0.07
    else:
        assert learned > 0.4
