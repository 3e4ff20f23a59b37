"""The environment that every test starts from: nothing in it points at anything real."""

import atexit
import os
import socket

aws_socket = socket.socket()
"""Where the AWS stand-in of this process will listen (`tests.aws_stand_in`). Bound at once, because clients that are made at import take
their address from the environment; until then, and for good in a run without the stand-in, they are refused."""
aws_socket.bind(("127.0.0.1", 0))
atexit.register(aws_socket.close)

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
    "UPTIME_ENV": "test",
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_socket.getsockname()[1]}",
    "PING_MAIL_DOMAIN": "ping.example.org",
    "CANARY_URLS": "none",
    "CANARY_NAMES": "none",
    "CANARY_PING_S": "0",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
os.environ.update(FORCED)
