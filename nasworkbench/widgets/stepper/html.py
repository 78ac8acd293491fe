"""What a stepper shows, as HTML: a decision's bars, its numbers, and pictures with their words."""

from __future__ import annotations

import base64
from typing import Any

from ...plots.decisions import axis_top
from ...plots.style import BLUE, SKY
from ..common import escaped
from .state import StepperState

#: Bars in two blues of the figures; all text in the notebook's own colours.
STYLE = f"""
.nwb-bars th, .nwb-numbers th {{ font-weight: normal; white-space: nowrap; }}
.nwb-bars td.nwb-lane {{ width: 200px; padding: 1px 10px 1px 0; }}
.nwb-lane > div {{
  position: relative; height: 17px; background: var(--jp-layout-color2, rgba(128, 128, 128, 0.15));
}}
.nwb-bar {{ height: 100%; background: {SKY}; }}
.nwb-drawn .nwb-bar {{ background: {BLUE}; }}
.nwb-drawn th, .nwb-drawn td {{ font-weight: 700; }}
.nwb-even {{ position: absolute; top: -3px; bottom: -3px; border-left: 2px dotted; }}
.nwb-number {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.nwb-cells {{ display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-end; }}
.nwb-cells figure {{ margin: 0; max-width: 100%; }}
.nwb-cells img {{ display: block; max-width: 100%; height: auto; }}
"""


def bars(rows: Any) -> str:
    """A row per option: its name, its bar with a dotted mark at the even share, its number."""
    top, even = axis_top(rows["probability"].tolist()), float(rows["even"].iloc[0])
    lines = []
    for row in rows.itertuples(index=False):
        drawn = ' class="nwb-drawn"' if row.chosen else ""
        lines.append(
            f'<tr{drawn}><th scope="row">{escaped(row.choice)}</th><td class="nwb-lane"><div>'
            f'<div class="nwb-bar" style="width: {100 * row.probability / top:.2f}%"></div>'
            f'<div class="nwb-even" style="left: {100 * even / top:.2f}%"></div></div></td>'
            f'<td class="nwb-number">{row.probability:.3f}{" ● drawn" if row.chosen else ""}</td>'
            "</tr>"
        )
    foot = f"dotted: even, 1/{len(rows)} = {even:.3f}; the bars end at {top:g}"
    table = f'<table class="nwb-bars" aria-label="probabilities">{"".join(lines)}</table>'
    return f'{table}<div class="nwb-faint">{foot}</div>'


def numbers(state: StepperState) -> str:
    """log P and entropy, of this decision and so far, beside those of an even controller."""
    n = state.numbers
    told = [
        ("log P of the token", n.log_prob, n.even_log_prob),
        (f"log P of all {n.decided}", n.log_prob_sum, n.even_log_prob_sum),
        ("entropy of the decision", n.entropy, n.even_entropy),
        (f"entropy, mean of all {n.decided}", n.mean_entropy, n.even_mean_entropy),
    ]
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td class="nwb-number">{value:.3f}</td>'
        f'<td class="nwb-number">{even:.3f}</td></tr>'
        for name, value, even in told
    )
    head = "<tr><th>in nats</th><th>controller</th><th>even</th></tr>"
    notes = f"Read after {state.updates} updates of the controller."
    if state.learned_since:
        notes += f" <b>It has learned since ({state.learned_since} more): press Refresh.</b>"
    if state.temperature != 1:
        notes += f" All at temperature {state.temperature:.3g}."
    return f'<table class="nwb-numbers">{head}{lines}</table><div class="nwb-faint">{notes}</div>'


def image(kind: str, content: bytes, words: str, style: str = "") -> str:
    """A picture inside the page; ``words`` say the same to a screen reader."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{escaped(words)}" src="data:image/{kind};base64,{data}" {style}>'
