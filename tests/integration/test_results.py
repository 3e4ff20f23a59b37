"""Results of tasks: in PostgreSQL when it is there, and never the end of a worker when it is not."""

import os
import subprocess
import sys

START = """
import sys
from core.checker.__main__ import app
app.finalize()
app.loader.import_default_modules()
assert "://" in app.backend.as_uri() and not app.backend.supports_autoexpire
print(*{"sqlalchemy", "prompt_toolkit"} & set(sys.modules))
"""
STORE = """
from core.checker.app import app
app.backend.store_result("an-id", {"checked": 1}, "SUCCESS")
"""
READ = """
result = app.AsyncResult("an-id")
print(result.result, result.state)
result.forget()
print(app.AsyncResult("an-id").state)
app.backend.cleanup()
"""


def run(program: str, database_url: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    return subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)


def test_a_process_starts_without_what_only_results_need(database_url: str) -> None:
    done = run(START, database_url)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_a_result_is_kept(database_url: str) -> None:
    done = run(STORE + READ, database_url)
    assert done.stdout.strip() == "{'checked': 1} SUCCESS\nPENDING", done.stderr


def test_a_result_that_cannot_be_stored_is_a_warning() -> None:
    done = run(STORE, "postgresql://nobody@127.0.0.1:1/none")
    assert "results.lost" in done.stdout
    assert done.returncode == 0, done.stderr
