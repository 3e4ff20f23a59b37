"""The ruff rule of `core/domain` (TID251), proved by broken examples: no clock, randomness, environment or logs there."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OFFENCES = {
    "datetime.datetime.now": "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)\n",
    "datetime.datetime.utcnow": "import datetime\n\nNOW = datetime.datetime.utcnow()\n",
    "datetime.datetime.today": "from datetime import datetime as moment\n\nNOW = moment.today()\n",
    "datetime.date.today": "from datetime import date\n\nTODAY = date.today()\n",
    "time": "from time import monotonic\n\nNOW = monotonic()\n",
    "random": "import random\n\nCHANCE = random.random()\n",
    "secrets": "import secrets\n\nTOKEN = secrets.token_hex()\n",
    "uuid.uuid1": "from uuid import uuid1\n\nID = uuid1()\n",
    "uuid.uuid4": "import uuid\n\nID = uuid.uuid4()\n",
    "uuid_utils": "from uuid_utils.compat import uuid7\n\nID = uuid7()\n",
    "os": "import os\n\nHOME = os.environ['HOME']\n",
    "logging": "import logging\n\nLOG = logging.getLogger()\n",
    "structlog": "from structlog import get_logger\n\nLOG = get_logger()\n",
}


def banned_calls(source: str, module: str) -> list[str]:
    """The messages of TID251 for `source`, judged as if it were the file `module`."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--select",
        "TID251",
        "--output-format",
        "json",
        "--stdin-filename",
        module,
        "-",
    ]
    done = subprocess.run(command, check=False, cwd=ROOT, input=source, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stderr
    return [finding["message"] for finding in json.loads(done.stdout)]


@pytest.mark.parametrize("name", OFFENCES)
def test_the_domain_may_not_use(name: str) -> None:
    findings = banned_calls(OFFENCES[name], "core/domain/example.py")

    assert any(message.startswith(f"`{name}` is banned") for message in findings), findings


def test_every_ban_has_a_broken_example() -> None:
    bans = tomllib.loads((ROOT / "core/domain/ruff.toml").read_text())["lint"]["flake8-tidy-imports"]["banned-api"]

    assert bans.keys() == OFFENCES.keys()


def test_values_are_welcome_in_the_domain() -> None:
    assert banned_calls("from datetime import timedelta\nfrom uuid import UUID\n", "core/domain/example.py") == []


def test_the_ban_ends_at_the_border_of_the_domain() -> None:
    assert banned_calls(OFFENCES["datetime.datetime.now"], "core/flows/example.py") == []
