"""Every SQL statement of a module, prepared against the migrated schema."""

import re
from types import ModuleType

import psycopg


def explain_all(connection: psycopg.Connection, module: ModuleType) -> int:
    """Explain each statement, a constant in capitals; returns how many there were."""
    statements = [text for name, text in vars(module).items() if name.isupper() and isinstance(text, str) and "COPY" not in text]
    for text in statements:
        names = set(re.findall(r"%\((\w+)\)s", text))
        connection.execute(f"EXPLAIN {text}", dict.fromkeys(names) if names else [None] * text.count("%s"))
    return len(statements)
