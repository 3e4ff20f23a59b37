"""AWS clients of the ping Lambda, made once at import: a warm invocation only signs and sends."""

import gzip
import json
import os
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError as ClientError  # noqa: PLC0414  (the one name of botocore that others here need)
from botocore.loaders import JSONFileLoader, Loader

from core.contracts.names import Names

SERVICES: Final = ["dynamodb", "events"]
CONFIG: Final = Config(
    connect_timeout=1.0,
    read_timeout=2.0,
    max_pool_connections=32,
    parameter_validation=False,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent="uptimemonitor-ping",
)
"""A fixed user agent: botocore would compose one twice for each call, a sixteenth of its CPU."""

NAMES: Final = Names(os.environ.get("UPTIME_ENV", "local"))


class _PlainFiles(JSONFileLoader):
    """Reads botocore's models into plain dictionaries, which keep their order as well: ordered ones take twice the time."""

    def load_file(self, file_path: str) -> Any:
        """The model at `file_path`, which has no suffix; None if there is none."""
        plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
        if packed.is_file():
            return json.loads(gzip.decompress(packed.read_bytes()))
        return json.loads(plain.read_bytes()) if plain.is_file() else None


class _KnownServices(Loader):
    """Finds the models of our two services without a walk through the folders of all 440."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002  (botocore's signature)
        """The services that this Lambda calls."""
        return SERVICES


def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.register_component("data_loader", _KnownServices(file_loader=_PlainFiles()))
    return session


def _clients() -> tuple[Any, Any]:
    session = _session()
    return session.create_client("dynamodb", config=CONFIG), session.create_client("events", config=CONFIG)


dynamodb, events = _clients()
