"""Small readers of Python syntax, for rules over specs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef
Found = tuple[ast.expr | ast.stmt, str]  # a place, and what is wrong with it


@lru_cache(maxsize=4096)  # of one file, some rules ask after each of its functions again
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All that is in a piece of a tree, itself first; walked once, for every rule asks for it."""
    return tuple(ast.walk(tree))


def functions(tree: ast.AST) -> Iterator[Function]:
    yield from (node for node in nodes(tree) if isinstance(node, Function))


def tests(tree: ast.AST) -> Iterator[Function]:
    yield from (function for function in functions(tree) if function.name.startswith("test_"))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    yield from (node for node in nodes(tree) if isinstance(node, ast.Call))


def asserts(tree: ast.AST) -> Iterator[ast.Assert]:
    yield from (node for node in nodes(tree) if isinstance(node, ast.Assert))


def callee(call: ast.Call) -> str:
    """What is called, as written: `pytest.raises`."""
    return written(call.func)


def written(node: ast.expr) -> str:
    """An expression as it is written; of names joined by dots, which most are, it is known soon."""
    words: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        words.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        return ast.unparse(node)
    return ".".join([inner.id, *reversed(words)])


def verb(call: ast.Call) -> str:
    """The last word of what is called: `raises` of `pytest.raises(...)`."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)


def parameters(function: Function) -> set[str]:
    return {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def terms(test: ast.expr) -> Iterator[ast.expr]:
    """An assertion's parts that are joined by `and`, each without its `not`."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                yield from terms(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from terms(operand)
        case _:
            yield test
