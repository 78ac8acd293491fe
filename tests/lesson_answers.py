"""For each exercise of each lesson, in order: a wrong answer and a right one.

Each is the line (or lines) that takes the place of ``name = None``.
"""

ANSWERS: dict[str, list[tuple[str, str]]] = {
    "00_start_here": [
        ("your_parameters = 5_326_716", "your_parameters = nw.profile(network, 224).parameters"),
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
}
