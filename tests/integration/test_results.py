"""Results of tasks: in PostgreSQL when it is there, and never the end of a worker when it is not."""

import os
import subprocess
import sys

STORE = """
from core.checker.app import app
app.backend.store_result("an-id", {"checked": 1}, "SUCCESS")
"""
READ = """
print(app.AsyncResult("an-id").result)
"""


def run(program: str, database_url: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    return subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)


def test_a_result_is_kept(database_url: str) -> None:
    done = run(STORE + READ, database_url)
    assert done.stdout.strip() == "{'checked': 1}", done.stderr


def test_a_result_that_cannot_be_stored_is_a_warning() -> None:
    done = run(STORE, "postgresql://nobody@127.0.0.1:1/none")
    assert "results.lost" in done.stdout
    assert done.returncode == 0, done.stderr
