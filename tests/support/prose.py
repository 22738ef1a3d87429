"""The prose of code: its docstrings and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize

DIRECTIVE = re.compile(r"^#\s*(noqa|type:|pragma|fmt:|!)[^#]*")
NAME_OF_A_FIELD = re.compile(r"^\s*[\w, .*|]+:$", re.MULTILINE)
UNDERLINE = re.compile(r"^.*\n\s*-{3,}$", re.MULTILINE)


def code_prose(source: str) -> str:
    """Return the docstrings and comments of Python code, a paragraph each, without quoted code and headings."""
    paragraphs = [*_docstrings(source), *_comments(source)]
    text = "\n\n".join(UNDERLINE.sub("\n", NAME_OF_A_FIELD.sub("\n", each)) for each in paragraphs)
    return re.sub(r"``[^`]*``|`[^`]*`", "X", text)


def _docstrings(source: str) -> list[str]:
    """Return every string in the place of a statement: docstrings, and those of constants and fields."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    values = [node.value.value for node in nodes if isinstance(node.value, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


def _comments(source: str) -> list[str]:
    """Return the comments; those on lines of their own, one after the other, are one comment."""
    comments: list[str] = []
    last_line = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, text = token.start[0], DIRECTIVE.sub("", token.string).lstrip("# ")
            is_alone = token.line.lstrip().startswith("#")
            if is_alone and line == last_line + 1:
                comments[-1] += f" {text}"
            else:
                comments.append(text)
            last_line = line if is_alone else 0
    return comments
