"""For each exercise of each lesson, in order: a wrong answer and a right one.

Each is the line (or lines) that takes the place of ``name = None``. A wrong number is near the
right one, or has the same digits: a check that looks at digits or sizes alone would take it.
"""

ANSWERS: dict[str, list[tuple[str, str]]] = {
    "00_start_here": [
        ("your_parameters = 5_289_987", "your_parameters = nw.profile(network, 224).parameters"),
        (
            'your_span = search.trials()["reward"].max()',
            'your_span = search.trials()["reward"].max() - search.trials()["reward"].min()',
        ),
    ],
    "03_controller": [
        ("parameters = 120_000", "parameters = 100 * (1 + 204) + 4 * 100 * 202 + 30 * 13 * 101"),
        (
            "masked_log_softmax = lambda z, real: z.log_softmax(0)",
            "masked_log_softmax = lambda z, real: "
            "z.masked_fill(torch.arange(13) >= real, -torch.inf).log_softmax(0)",
        ),
        ("temperature = 0.1", "temperature = 0.0264"),
    ],
    "01_search_space": [
        ("cell_sequences = 5_652_000_000", "cell_sequences = 5_625_000_000"),
        (
            'lonely = nw.Cell((nw.Block(0, "identity", 1, "identity"),) * 3)',
            'lonely = nw.Cell(tuple(nw.Block(s, "identity", s, "identity") for s in (0, 2, 3)))',
        ),
        ("expected = 2.5", "expected = 29 / 16"),
    ],
    "02_genotypes": [
        ("joined = [4, 5]", "joined = [0, 4, 5]"),
        (
            "repaired = replace(broken, concat=None)",
            'repaired = replace(with_block(broken, 2, left_op="sep_conv_3x3"), concat=None)',
        ),
        ("saved = 87_004", "saved = 87_040"),
    ],
    "04_reinforce": [
        (
            "sequences_needed = 20",
            "sequences_needed = round("
            "20 * variance(policy, 0) / variance(policy, best_constant(policy)))",
        ),
        ("factor = 0.95", "factor = 1 - (1 - 0.95**20) / 20"),
        (
            "class NoBaseline(nw.Reinforce):\n    pass",
            "class NoBaseline(nw.Reinforce):\n"
            "    def advantages(self, rewards):\n        return rewards",
        ),
    ],
    "05_ppo": [
        ("answer = -1.2", "answer = -1.4"),
        ("answer = 0.8", "answer = 0.833"),
        (
            "ratio_of = lambda new, old: (new - old).exp()",
            "ratio_of = lambda new, old: (new - old).sum(1, keepdim=True).exp()",
        ),
    ],
    "07_cell_search": [
        ("tau = 0.8", "tau = (8 - 2) / 10"),
        ("images = 3_601", "images = 3_600"),
        (
            "light = lambda genotype: lookup(genotype).reward",
            "light = lambda genotype: lookup(genotype).reward "
            "* (lookup(genotype).parameters / 10_000) ** -0.07",
        ),
    ],
    "10_training_the_winner": [
        (
            "lost_paths = 34.2",
            "lost_paths = round("
            "sum((n + 1) / 20 * 0.4 * (9 if n in (6, 13) else 8) for n in range(20)), 2)",
        ),
        ("lost_part = 0.25", "lost_part = (14 / 32) ** 2"),
        ("runs_needed = 30.8", "runs_needed = 31"),
    ],
}
