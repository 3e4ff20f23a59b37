"""The secrets of one box, made once and kept in one file that only its owner can read.

They belong to the data: without the vault's keys the channels of a database cannot be read, so a backup carries this file.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cryptography.fernet import Fernet

from core.contracts.channels.webhook import new_webhook_secret

FILE = "secrets.json"
DEMO_EMAIL = "demo@example.com"


class SecretsLost(Exception):
    """The box has data but not the secrets that belong to it."""


@dataclass(frozen=True, slots=True, repr=False)
class BoxSecrets:
    """`box_id` marks the processes of this box in their environment; it is unguessable so that no foreign process carries it."""

    box_id: str
    secret_key: str
    postgres_password: str
    channel_vault_keys: str
    demo_password: str
    demo_webhook_secret: str

    def __repr__(self) -> str:
        return "BoxSecrets(***)"


def load(home: Path) -> BoxSecrets | None:
    """The secrets of the box in `home`, or None when it has none yet."""
    try:
        text = (home / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    stored = json.loads(text)
    return BoxSecrets(**{field.name: str(stored[field.name]) for field in fields(BoxSecrets)})


def create(home: Path) -> BoxSecrets:
    """Make the secrets of a new box and store them, durably, before anything is encrypted with them."""
    made = BoxSecrets(
        box_id=secrets.token_hex(16),
        secret_key=secrets.token_urlsafe(48),
        postgres_password=secrets.token_hex(16),
        channel_vault_keys=Fernet.generate_key().decode(),
        demo_password=secrets.token_urlsafe(12),
        demo_webhook_secret=new_webhook_secret(),
    )
    store(home, made)
    return made


def store(home: Path, box_secrets: BoxSecrets) -> None:
    """Write the file so that it is either there whole or not at all."""
    partial = home / f"{FILE}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(box_secrets), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(home / FILE)
