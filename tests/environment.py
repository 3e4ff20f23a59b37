"""The environment that every test starts from: nothing in it points at anything real."""

import os

DEFAULTS = {
    "DJANGO_SETTINGS_MODULE": "core.api.settings",
    "SECRET_KEY": "only-for-tests-" + "0" * 40,
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PUBLIC_URL": "http://monitor.test",
    "PING_URL": "http://ping.test",
    "CHANNEL_VAULT_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMtMDA=",
}
FORCED = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
os.environ.update(FORCED)
