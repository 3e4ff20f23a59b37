"""Which statements of a migration an older version of the code would not survive, or would wait for.

During a deployment the new schema serves the old code for some minutes: first a migration adds (expand), a later version uses it, and
only the version after that takes away what nobody reads any more (contract). A statement that takes away names the version that stopped
using it, in a comment of its migration: `# contract: since 1.4 nobody reads monitor.colour`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

CONTRACT = re.compile(r"^# contract: .{10,}$", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """A kind of statement, what is wrong with it, and whether a `# contract:` comment allows it."""

    pattern: re.Pattern[str]
    problem: str
    may_contract: bool = False


def _rule(pattern: str, problem: str, *, may_contract: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), problem, may_contract)


RULES = (
    _rule(r"\bDROP TABLE\b", "drops a table", may_contract=True),
    _rule(r"\bDROP COLUMN\b", "drops a column", may_contract=True),
    _rule(r"\bRENAME\b(?! CONSTRAINT)", "renames what the old code uses"),
    _rule(r"\bALTER COLUMN \S+ (?:SET DATA )?TYPE\b", "changes the type of a column, which rewrites the table"),
    _rule(r"\bALTER COLUMN \S+ SET NOT NULL\b", "forbids NULL where the old code may write it", may_contract=True),
    _rule(
        r"\bADD COLUMN (?:(?!\bDEFAULT\b|;).)*\bNOT NULL\b(?:(?!\bDEFAULT\b|;|,).)*(?:;|,|$)",
        "adds a column that old INSERTs leave out",
    ),
    _rule(
        r"\bADD CONSTRAINT \S+ (?:CHECK|FOREIGN KEY)(?:(?!\bNOT VALID\b|;).)*(?:;|$)",
        "checks a whole table under a lock: NOT VALID first",
    ),
    _rule(r"\bADD CONSTRAINT \S+ UNIQUE(?! USING INDEX)", "builds an index under a lock: CONCURRENTLY, then USING INDEX"),
)
INDEX = re.compile(
    r"\bCREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)(?:IF NOT EXISTS )?\S+ ON (?:ONLY )?\"?(?P<table>\w+)", re.IGNORECASE
)
NEW_TABLE = re.compile(r"\bCREATE TABLE (?:IF NOT EXISTS )?\"?(?P<table>\w+)", re.IGNORECASE)
ALTERED = re.compile(r"\bALTER TABLE (?:ONLY |IF EXISTS )*\"?(?P<table>\w+)", re.IGNORECASE)
DEFAULT_DROPPED = re.compile(r"\bALTER COLUMN \"?(?P<column>\w+)\"? DROP DEFAULT\b", re.IGNORECASE)


def problems(sql: str, source: str = "") -> list[str]:
    """What is wrong with the statements of one migration, whose file is `source`. Tables that it makes itself are its own affair."""
    new = {found["table"] for found in NEW_TABLE.finditer(sql)}
    return [
        f"{problem}: {' '.join(statement.split())}"
        for statement in _statements(sql)
        for problem in _judge(statement, source, new)
    ]


def _judge(statement: str, source: str, new: set[str]) -> Iterator[str]:
    altered = ALTERED.search(statement)
    if altered and altered["table"] in new:
        return
    for rule in RULES:
        if rule.pattern.search(statement) and not (rule.may_contract and CONTRACT.search(source)):
            yield rule.problem
    index = INDEX.search(statement)
    if index and index["table"] not in new:
        yield "builds an index under a lock: CONCURRENTLY"
    if DEFAULT_DROPPED.search(statement):
        yield "takes a default away that old INSERTs rely on: db_default keeps it"


def _statements(sql: str) -> Iterator[str]:
    """Statements without comments; what stands between dollar quotes is one."""
    text = re.sub(r"--[^\n]*", "", sql)
    bodies = re.split(r"(\$\w*\$)", text)
    flat = "".join(part if number % 4 == 0 else "" for number, part in enumerate(bodies))
    yield from (statement.strip() for statement in re.findall(r"[^;]+;?", flat) if statement.strip())
