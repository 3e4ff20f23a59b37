"""The order in which the outbox is relayed, as an index: without it each hundred sorts all that waits, with everything it says."""

from typing import ClassVar

from django.db import migrations

RELAY = [
    "DROP INDEX CONCURRENTLY IF EXISTS outbox_relay",  # a build that was interrupted leaves one that is of no use and in the way
    "CREATE INDEX CONCURRENTLY outbox_relay ON outbox ((detail_type <> 'AlertRequested'), id)",
]


class Migration(migrations.Migration):
    """Nothing is locked; what runs before does not see it."""

    atomic = False
    dependencies: ClassVar = [("uptime", "0017_slow")]
    operations: ClassVar = [migrations.RunSQL(RELAY, "DROP INDEX CONCURRENTLY outbox_relay")]
