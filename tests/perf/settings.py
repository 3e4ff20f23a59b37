"""The settings that benchmarks start processes with: complete, and pointing at nothing real."""

from cryptography.fernet import Fernet

import tests.environment

SETTINGS = {
    **tests.environment.FORCED,
    "UPTIME_ENV": "bench",
    "SECRET_KEY": tests.environment.DEFAULTS["SECRET_KEY"],
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "PING_URL": "http://127.0.0.1:8001",
    "EMAIL_TRANSPORT": "ses",
    "EMAIL_FROM": "uptimemonitor@example.org",
    "CHANNEL_VAULT_KEYS": Fernet.generate_key().decode(),
}
