"""Migrations can be applied while the version before them still runs: expand, deploy, contract (docs/how-to/release-and-deploy.md)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.migration_rules import problems

MIGRATIONS = Path(__file__).parents[2] / "core/api/migrations"
FIRST_JUDGED = 17
"""Those before it are from before the first release: no older version ever ran beside them."""

JUDGED = [path for path in sorted(MIGRATIONS.glob("[0-9]*.py")) if int(path.name[:4]) >= FIRST_JUDGED]


def sql_of(name: str, database_url: str) -> str:
    command = [sys.executable, "-m", "django", "sqlmigrate", "uptime", name]
    return subprocess.run(
        command, env={**os.environ, "DATABASE_URL": database_url}, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ('ALTER TABLE "monitor" DROP COLUMN "colour" CASCADE;', "drops a column"),
        ("DROP TABLE old;", "drops a table"),
        ('ALTER TABLE "monitor" RENAME COLUMN "a" TO "b";', "renames"),
        ('ALTER TABLE "monitor" RENAME TO "watch";', "renames"),
        ('ALTER TABLE "monitor" ALTER COLUMN "name" TYPE text;', "changes the type"),
        ('ALTER TABLE "monitor" ALTER COLUMN "name" SET NOT NULL;', "forbids NULL"),
        ('ALTER TABLE "monitor" ADD COLUMN "size" integer NOT NULL;', "old INSERTs leave out"),
        ("ALTER TABLE monitor ADD COLUMN a integer DEFAULT 1 NOT NULL, ADD COLUMN b integer NOT NULL;", "old INSERTs leave out"),
        (
            'ALTER TABLE "monitor" ADD COLUMN "n" int DEFAULT 1 NOT NULL; ALTER TABLE "monitor" ALTER COLUMN "n" DROP DEFAULT;',
            "takes a default",
        ),
        ('ALTER TABLE "monitor" ADD CONSTRAINT "c" CHECK (a > 0);', "NOT VALID"),
        (
            'ALTER TABLE "m" ADD CONSTRAINT "c" FOREIGN KEY ("a") REFERENCES "b" ("id") DEFERRABLE INITIALLY DEFERRED;',
            "NOT VALID",
        ),
        ('ALTER TABLE "monitor" ADD CONSTRAINT "c" UNIQUE ("a");', "builds an index"),
        ('CREATE INDEX "i" ON "monitor" ("a");', "builds an index"),
        ("CREATE UNIQUE INDEX i ON monitor (a);", "builds an index"),
    ],
)
def test_what_the_old_code_would_not_survive_is_found(statement: str, problem: str) -> None:
    assert any(problem in found for found in problems(statement))


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "monitor" ADD COLUMN "colour" text NULL;',
        "ALTER TABLE monitor ADD COLUMN size integer DEFAULT 0 NOT NULL;",
        "ALTER TABLE monitor ADD COLUMN size integer NOT NULL DEFAULT 0;",
        "CREATE INDEX CONCURRENTLY i ON monitor (a);",
        "ALTER TABLE monitor ADD CONSTRAINT c CHECK (a > 0) NOT VALID;",
        "ALTER TABLE monitor VALIDATE CONSTRAINT c;",
        "ALTER TABLE monitor ADD CONSTRAINT c UNIQUE USING INDEX i;",
        "CREATE TABLE fresh (a integer NOT NULL); CREATE INDEX i ON fresh (a); ALTER TABLE fresh ADD CONSTRAINT c CHECK (a > 0);",
        "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DROP TABLE x; END $$ LANGUAGE plpgsql;",
        "-- DROP TABLE monitor;",
    ],
)
def test_what_it_does_survive_is_let_through(statement: str) -> None:
    assert problems(statement) == []


def test_what_nobody_reads_any_more_may_be_taken_away_with_a_reason() -> None:
    statement = 'ALTER TABLE "monitor" DROP COLUMN "colour";'
    assert problems(statement, "# contract: since 1.4 nobody reads monitor.colour") == []
    assert problems(statement, "# contract: ok") != []
    assert problems('ALTER TABLE "monitor" RENAME TO "watch";', "# contract: since 1.4 nobody reads monitor") != []


def test_the_rules_see_the_sql_of_our_migrations(database_url: str) -> None:
    """The fourth builds an index on a table that is there: had it come after the first release, it would have to be CONCURRENTLY."""
    assert any("builds an index" in problem for problem in problems(sql_of("0004", database_url)))


def test_a_migration_leaves_the_version_before_it_running(database_url: str) -> None:
    found = {path.stem: problems(sql_of(path.stem, database_url), path.read_text()) for path in JUDGED}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
