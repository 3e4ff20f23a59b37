"""The environment that every test starts from: nothing in it points at anything real."""

import os

DEFAULTS = {
    "DJANGO_SETTINGS_MODULE": "core.api.settings",
    "SECRET_KEY": "only-for-tests-" + "0" * 40,
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
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
