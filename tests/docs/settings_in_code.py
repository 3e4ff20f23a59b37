"""Finds the settings that the code reads, and their literal defaults, in its syntax trees."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READERS = {"text", "optional_text", "secret", "integer", "number", "boolean", "words", "url"}
SETTING = re.compile(r"[A-Z][A-Z0-9_]+")
MADE_HERE = {"PATH", "HOME"}
"""Variables of the operating system that are no settings of this project."""


def settings_read(*folders: str) -> dict[str, set[str]]:
    """Every setting below `folders` with the literal defaults that it has in the code, as they are written in an environment."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for source in sorted((ROOT / folder).rglob("*.py")):
            for name, default in _reads(ast.parse(source.read_text())):
                found.setdefault(name, set()).update(default)
    return found


def _reads(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and isinstance(node.values[0], ast.Call):
            yield from ((name, _literal(node.values[1:])) for name, _ in _call(node.values[0]))
        elif isinstance(node, ast.Subscript) and _is_environ(node.value) and (name := _setting(node.slice)):
            yield name, set()


def _call(call: ast.Call) -> Iterator[tuple[str, set[str]]]:
    """`env.text("NAME", "default")`, `os.environ.get("NAME")`, `os.getenv("NAME")`, or a helper that is given `env` and a name."""
    if isinstance(call.func, ast.Attribute) and call.args and (name := _setting(call.args[0])):
        reads_env = call.func.attr in READERS or call.func.attr == "getenv"
        if reads_env or (call.func.attr == "get" and _is_environ(call.func.value)):
            yield name, _literal([*call.args[1:2], *(k.value for k in call.keywords if k.arg == "default")])
    elif isinstance(call.func, ast.Name):
        yield from ((name, set()) for argument in call.args if (name := _setting(argument)) and _is_given_env(call))


def _setting(node: ast.expr) -> str | None:
    is_name = isinstance(node, ast.Constant) and isinstance(node.value, str) and SETTING.fullmatch(node.value)
    return str(node.value) if is_name and isinstance(node, ast.Constant) and node.value not in MADE_HERE else None


def _is_given_env(call: ast.Call) -> bool:
    return any(_is_environ(node) or (isinstance(node, ast.Name) and node.id in {"env", "_env"}) for node in call.args)


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (isinstance(node, ast.Name) and node.id == "environ")


def _literal(nodes: list[ast.expr]) -> set[str]:
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {str(value).lower() if isinstance(value, bool) else str(value) for value in values if value not in {None, ""}}
