"""Read literal data (lists, numbers, text) out of someone else's text without running any of it.

The dialects are written as Python or JSON, and a copied text may come from anywhere. Nothing here
evaluates: ``ast`` parses, and only literals are taken from the tree.
"""

from __future__ import annotations

import ast
from typing import Any

from ..errors import DialectError

#: Longest text that is read, in characters (this project's choice; a real cell takes 2,000).
LONGEST = 100_000


def check_text(text: object) -> str:
    """The text itself, if it is text of a sane size.

    Raises:
        DialectError: not text, empty, or too long for any genotype.
    """
    if not isinstance(text, str):
        raise DialectError(f"expected text, got {type(text).__name__}")
    if not text.strip():
        raise DialectError("the text is empty")
    if len(text) > LONGEST:
        raise DialectError(
            f"the text has {len(text):,} characters; no genotype takes more than {LONGEST:,}"
        )
    return text


def parse_expression(text: str) -> ast.expr:
    """The syntax tree of one Python expression (or of the right side of ``NAME = ...``).

    Raises:
        DialectError: the text is something else; the message gives line and column.
    """
    source = text.strip()
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise DialectError(
            f"cannot read line {error.lineno or 1}, column {error.offset or 1}: {error.msg}"
        ) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise DialectError(
            f"cannot read the text ({str(error) or 'it is nested too deeply'})"
        ) from None
    if len(body) == 1 and isinstance(body[0], ast.Assign | ast.Expr):
        return body[0].value
    raise DialectError(
        f"expected one genotype and nothing else, got {len(body)} statements that begin with "
        f"{source[:40]!r}"
    )


def literal(node: ast.expr, where: str) -> Any:
    """The value of a node that is made of literals only.

    Raises:
        DialectError: a name, a call, an attribute or anything else that would have to be run; a
            dict that has a key twice, or a number of thousands of digits (``0xff...``).
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            keys = [key.value for key in part.keys if isinstance(key, ast.Constant)]
            if twice := [key for key in keys if keys.count(key) > 1]:
                raise DialectError(f"{where}: the key {twice[0]!r:.60} comes twice in one dict")
        if isinstance(part, ast.Constant) and isinstance(part.value, int) and part.value > 2**64:
            raise DialectError(f"{where}: a number in line {part.lineno} is too large")
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError, SyntaxError):
        culprit = next((part for part in ast.walk(node) if not isinstance(part, _LITERALS)), node)
        line = getattr(culprit, "lineno", node.lineno)
        column = getattr(culprit, "col_offset", node.col_offset) + 1
        raise DialectError(
            f"{where}: only literal lists, numbers and texts are read and nothing is run; there "
            f"is a {type(culprit).__name__} at line {line}, column {column}"
        ) from None


_LITERALS = (ast.List, ast.Tuple, ast.Dict, ast.Constant, ast.expr_context)


def sequence(value: object, where: str) -> list[Any]:
    """The value as a list, if it is a list or a tuple."""
    if not isinstance(value, list | tuple):
        raise DialectError(f"{where}: expected a list, got {value!r:.60}")
    return list(value)
