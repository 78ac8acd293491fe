"""Read literal data (lists, numbers, text) out of someone else's text without running any of it.

The dialects are written as Python or JSON, and a copied text may come from anywhere. Nothing here
evaluates: ``ast`` parses, and only literals are taken from the tree.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from ..errors import DialectError

#: Longest text that is looked at, in characters (this project's choice; a real cell takes 2,000).
LONGEST = 100_000

#: Deepest nesting of brackets that is looked at (this project's choice; the dialects need 3).
DEEPEST = 20


def check_size(text: object, dialect: str) -> str:
    """The text itself, if it is text of a sane size and depth.

    Raises:
        DialectError: not text, empty, too long, or nested too deep for any genotype.
    """
    if not isinstance(text, str):
        raise DialectError(f"dialect '{dialect}': expected text, got {type(text).__name__}")
    if not text.strip():
        raise DialectError(f"dialect '{dialect}': the text is empty")
    if len(text) > LONGEST:
        raise DialectError(
            f"dialect '{dialect}': the text has {len(text):,} characters; no genotype takes more "
            f"than {LONGEST:,}"
        )
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST:
            raise DialectError(
                f"dialect '{dialect}': brackets nested deeper than {DEEPEST} at character {place}"
            )
    return text


def parse_expression(text: object, dialect: str) -> ast.expr:
    """The syntax tree of one Python expression (an assignment ``NAME = ...`` counts too).

    Raises:
        DialectError: the text is no such thing; the message gives line and column.
    """
    source = check_size(text, dialect).strip()
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise DialectError(
            f"dialect '{dialect}': cannot read line {error.lineno}, column {error.offset}: "
            f"{error.msg}"
        ) from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise DialectError(f"dialect '{dialect}': cannot read the text ({error})") from None
    statement = body[0] if len(body) == 1 else None
    if isinstance(statement, ast.Assign):
        return statement.value
    if isinstance(statement, ast.Expr):
        return statement.value
    raise DialectError(
        f"dialect '{dialect}': expected one genotype and nothing else, got {len(body)} statements "
        f"that begin with {source[:40]!r}"
    )


def literal(node: ast.expr, dialect: str, where: str) -> Any:
    """The value of a node that is made of literals only.

    Raises:
        DialectError: a name, a call, an attribute or anything else that would have to be run.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError, SyntaxError):
        culprit = next((part for part in ast.walk(node) if not isinstance(part, _LITERALS)), node)
        line = getattr(culprit, "lineno", node.lineno)
        column = getattr(culprit, "col_offset", node.col_offset) + 1
        raise DialectError(
            f"dialect '{dialect}', {where}: only literal lists, numbers and texts are read and "
            f"nothing is run; there is a {type(culprit).__name__} at line {line}, column {column}"
        ) from None


_LITERALS = (ast.List, ast.Tuple, ast.Dict, ast.Constant, ast.expr_context)


def shown(value: object) -> str:
    """A value for a message, cut to a readable length."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def whole_number(value: object, dialect: str, where: str) -> int:
    """The value, if it is a whole number from 0 (no cell has a thousand states).

    Raises:
        DialectError: anything else (``True`` is no number here).
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1000:
        raise DialectError(
            f"dialect '{dialect}', {where}: expected a whole number from 0 to 999, "
            f"got {shown(value)}"
        )
    return value


def sequence(value: object, dialect: str, where: str) -> list[Any]:
    """The value as a list, if it is a list or a tuple.

    Raises:
        DialectError: anything else.
    """
    if not isinstance(value, (list, tuple)):
        raise DialectError(f"dialect '{dialect}', {where}: expected a list, got {shown(value)}")
    return list(value)


def has_fields(record: object, fields: Iterable[str], dialect: str, where: str) -> dict[str, Any]:
    """The record as a dict, if it has exactly these fields.

    Raises:
        DialectError: no dict, or missing or unknown fields, which are named.
    """
    if not isinstance(record, dict):
        raise DialectError(f"dialect '{dialect}', {where}: expected a dict, got {shown(record)}")
    missing = [name for name in fields if name not in record]
    unknown = [name for name in record if name not in tuple(fields)]
    if missing or unknown:
        raise DialectError(
            f"dialect '{dialect}', {where}: expected exactly the fields {list(fields)}; "
            f"missing {missing}, unknown {shown(unknown)}"
        )
    return record
