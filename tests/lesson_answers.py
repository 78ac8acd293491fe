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
}
