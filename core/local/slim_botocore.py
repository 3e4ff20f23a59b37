"""Botocore's service models for a process that has little room: without their documentation, and read once for all sessions.

boto3, PynamoDB and moto each read them for themselves; a third of the memory of the AWS stand-in was copies of them.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader


def install() -> None:
    """Let every session of this process share slim models. Call before the first client is made."""
    loader: Any = JSONFileLoader
    loader.load_file = lambda _self, file_path: _load(file_path)


@cache
def _load(file_path: str) -> Any:
    """The model at `file_path`, which has no suffix; None if there is none."""
    plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
    if plain.is_file():
        return json.loads(plain.read_bytes(), object_hook=_without_documentation)
    return json.loads(gzip.decompress(packed.read_bytes()), object_hook=_without_documentation) if packed.is_file() else None


def _without_documentation(node: dict[str, Any]) -> dict[str, Any]:
    """Drop text for people; botocore reads some of it, so it is there and empty. A shape's member of this name is a mapping, and stays."""
    if isinstance(node.get("documentation"), str):
        node["documentation"] = ""
    return node
