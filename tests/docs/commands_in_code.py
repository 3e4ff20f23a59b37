"""Finds the verbs and options of the `uptimemonitor` command in its parser."""

import argparse
from collections.abc import Iterator

from core.cli import _parser


def verbs() -> dict[str, set[str]]:
    """Every verb ("up", "edge sync") with its long options."""
    return dict(_verbs(_parser(), ()))


def _verbs(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    children = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in children:
        for name, child in action.choices.items():
            yield from _verbs(child, (*path, name))
    if not children:
        options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
        yield " ".join(path), options - {"--help"}
