"""What the lessons need besides the library: a self-check for exercises."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def check(answer: Any, expected: Any, hint: str) -> None:
    """Say whether the answer to an exercise is right: prints ``right``, or ``not yet`` and a hint.

    Args:
        answer: the learner's; None: there is none yet.
        expected: a number (met within a thousandth of it), any other value, or a function of the
            answer that is true for a right one.
        hint: what to look at again; never the answer.
    """
    if answer is None:
        print("no answer yet: put yours in the place of None")
        return
    try:
        right = bool(_meets(answer, expected))
    except Exception as error:  # of the learner's function, or of what it returned
        print(f"not yet: {type(error).__name__}: {error}. {hint}")
        return
    print("right" if right else f"not yet: {hint}")


def _meets(answer: Any, expected: Any) -> bool | Callable[..., Any]:
    if callable(expected):
        return expected(answer)
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        return math.isclose(float(answer), expected, rel_tol=1e-3, abs_tol=1e-9)
    return answer == expected
