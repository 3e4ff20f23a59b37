"""The SQL that the guide gives the administrator: two users take turns, and what one made the other can drop."""

import re

import psycopg
import pytest

from tests.infra.estates import ROOT

pytestmark = pytest.mark.outside  # a database

GUIDE = ROOT / "docs/how-to/deploy-on-aws.md"


def test_either_user_can_drop_what_the_other_made(database_url: str) -> None:
    found = re.search(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    with psycopg.connect(database_url, autocommit=True) as admin:
        name = admin.info.dbname
        sql = found[1].replace("\u2026", "secret").replace("DATABASE uptimemonitor", f'DATABASE "{name}"')
        sql = re.sub(r"\buptimemonitor", "service", sql)  # the administrator of tests has the name
        admin.execute(sql.encode())
        try:
            admin.execute(b"ALTER ROLE service_clone PASSWORD 'secret'")  # as the rotation does
            for maker, dropper in (("service", "service_clone"), ("service_clone", "service")):
                for user, statement in ((maker, b"CREATE TABLE part (id int)"), (dropper, b"DROP TABLE part")):
                    with psycopg.connect(database_url, user=user, password="secret", autocommit=True) as one:
                        one.execute(statement)
        finally:
            admin.execute(b"DROP OWNED BY service, service_clone")
            admin.execute(b"DROP ROLE service_clone, service")
