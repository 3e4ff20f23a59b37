"""Writes that meet the fleet, the router and the inbox in the middle of something, on connections of their own."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection as django_connection

from core.adapters.store import alerts as alert_store
from core.api.accounts.models import ApiKey
from core.api.bootstrap import run_migrations
from core.api.channels.models import Channel
from core.api.channels.services import channel_delete
from core.api.heartbeats.services import heartbeat_create
from core.api.monitors.models import HeartbeatState, Monitor, WebsiteState
from core.api.monitors.services import monitor_delete
from core.api.problems import FieldError
from core.api.websites.services import website_create, website_update
from core.contracts import events
from core.flows.heartbeats import apply_pings
from tests.heartbeats import pinged
from tests.integration.api.conftest import Edge, make_caller
from tests.waiting import blocked_backends

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def in_a_thread[T](work: Any) -> Any:
    """Run in another thread, with a connection that is closed at its end."""

    def run() -> Any:
        try:
            return work()
        finally:
            django_connection.close()

    return run


@pytest.fixture
def site(committed_database: str, outside: Edge) -> Monitor:
    caller = make_caller("alice@example.com")
    values = {"name": "Shop", "tags": [], "url": "http://192.0.2.1/", "interval_s": 60}
    return website_create(workspace=caller.workspace, values=values, now=NOW)


def insert_incident(connection: psycopg.Connection, monitor: Monitor) -> UUID:
    incident = uuid4()
    connection.execute(
        "INSERT INTO incident (id, monitor_id, workspace_id, reason, began_at, opened_at) VALUES (%s, %s, %s, 21, %s, %s)",
        (incident, monitor.id, monitor.workspace_id, NOW, NOW),
    )
    return incident


def test_deleting_waits_for_a_flush_and_takes_its_incident_along(site: Monitor, committed_database: str) -> None:
    with ThreadPoolExecutor() as threads, psycopg.connect(committed_database) as flush:
        flush.execute("SELECT 1 FROM website_state WHERE monitor_id = %s FOR UPDATE", (site.id,))
        insert_incident(flush, site)
        deleting = threads.submit(in_a_thread(lambda: monitor_delete(monitor=site, now=NOW)))
        blocked_backends(committed_database)
        flush.commit()
        deleting.result(10)
        assert flush.execute("SELECT count(*) FROM incident").fetchone() == (0,)
        assert flush.execute("SELECT count(*) FROM monitor").fetchone() == (0,)


def test_a_flush_that_comes_while_deleting_finds_nothing(site: Monitor, committed_database: str) -> None:
    with ThreadPoolExecutor() as threads, psycopg.connect(committed_database) as holder:
        incident = insert_incident(holder, site)
        holder.commit()
        # The deletion holds the state and waits here, for the incident.
        holder.execute("SELECT 1 FROM incident WHERE id = %s FOR UPDATE", (incident,))
        deleting = threads.submit(in_a_thread(lambda: monitor_delete(monitor=site, now=NOW)))
        blocked_backends(committed_database)

        def flush() -> Any:
            with psycopg.connect(committed_database) as connection:
                query = "SELECT count(*) FROM (SELECT 1 FROM website_state WHERE monitor_id = %s FOR UPDATE) AS locked"
                return connection.execute(query, (site.id,)).fetchone()

        flushing = threads.submit(flush)
        blocked_backends(committed_database, 2)
        holder.commit()
        deleting.result(10)
        assert flushing.result(10) == (0,)


def test_deleting_a_channel_waits_for_a_router_that_adds_a_delivery(site: Monitor, committed_database: str) -> None:
    workspace = site.workspace
    channel = Channel.objects.create(workspace=workspace, name="Ops", kind="email", config_ciphertext="x", summary="ops")
    with ThreadPoolExecutor() as threads, psycopg.connect(committed_database) as router:
        alert = uuid4()
        router.execute("SELECT 1 FROM channel WHERE id = %s FOR KEY SHARE", (channel.id,))
        router.execute(
            "INSERT INTO alert (id, workspace_id, alert_type, order_key, sequence, facts, created_at)"
            " VALUES (%s, %s, 'down', %s, 1, '{}', %s)",
            (alert, workspace.id, alert, NOW),
        )
        router.execute(
            "INSERT INTO delivery (id, workspace_id, alert_id, channel_id, config_version, state, requested_at)"
            " VALUES (%s, %s, %s, %s, 1, 'requested', %s)",
            (uuid4(), workspace.id, alert, channel.id, NOW),
        )
        deleting = threads.submit(in_a_thread(lambda: channel_delete(channel_id=channel.id)))
        blocked_backends(committed_database)
        router.commit()
        deleting.result(10)
        assert router.execute("SELECT count(*) FROM delivery").fetchone() == (0,)


def test_an_edit_waits_for_a_flush_and_then_starts_the_check_anew(site: Monitor, committed_database: str) -> None:
    with ThreadPoolExecutor() as threads, psycopg.connect(committed_database) as flush:
        flush.execute("SELECT 1 FROM website_state WHERE monitor_id = %s FOR UPDATE", (site.id,))
        change = {"url": "http://192.0.2.2/"}
        editing = threads.submit(in_a_thread(lambda: website_update(monitor=site, changes=change, now=NOW)))
        blocked_backends(committed_database)
        flush.execute("UPDATE website_state SET failures = 1, next_check_at = %s + interval '1 minute'", (NOW,))
        flush.commit()
        editing.result(10)
    state = WebsiteState.objects.get(monitor=site)
    assert (state.failures, state.next_check_at) == (0, NOW)


def test_two_edits_keep_both_changes(site: Monitor, committed_database: str) -> None:
    first = Monitor.objects.get(pk=site.pk)
    second = Monitor.objects.get(pk=site.pk)
    website_update(monitor=first, changes={"name": "Store"}, now=NOW)
    website_update(monitor=second, changes={"tags": ["eu"]}, now=NOW)
    stored = Monitor.objects.get(pk=site.pk)
    assert (stored.name, stored.tags) == ("Store", ["eu"])


def test_migrations_wait_for_each_other(committed_database: str) -> None:
    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(in_a_thread(run_migrations)) for _ in range(2)]
        assert [one.result(60) for one in done] == [None, None]
    assert not ApiKey.objects.exists()


def test_a_ping_that_waited_for_an_edit_counts_by_the_new_schedule(committed_database: str, outside: Edge) -> None:
    caller = make_caller("alice@example.com")
    values = {"name": "Backup", "tags": [], "period_s": 60, "grace_s": 10}
    beat = heartbeat_create(workspace=caller.workspace, values=values, now=NOW)
    pinged = events.HeartbeatPinged(
        ping_id=uuid4(), heartbeat_id=beat.uid, sequence=1, kind="success", pinged_at=NOW, method="GET"
    )
    metadata = events.Metadata(event_id=uuid4(), occurred_at=NOW, workspace_id=caller.workspace.id, correlation_id=beat.uid)

    def ping() -> None:
        with psycopg.connect(committed_database) as inbox:
            apply_pings(inbox, [events.Detail(metadata=metadata, data=pinged)], NOW)

    with ThreadPoolExecutor() as threads, psycopg.connect(committed_database) as edit:
        edit.execute("SELECT 1 FROM heartbeat_state WHERE monitor_id = %s FOR UPDATE", (beat.id,))
        edit.execute("UPDATE heartbeat SET period_s = 3600")
        pinging = threads.submit(ping)
        blocked_backends(committed_database)
        edit.commit()
        pinging.result(10)
    assert HeartbeatState.objects.get(monitor=beat).deadline_at == NOW + timedelta(seconds=3610)


def test_two_edits_at_once_make_no_cycle(committed_database: str, site: Monitor) -> None:
    values = {"name": "Blog", "tags": [], "url": "http://192.0.2.1/", "interval_s": 60}
    other = website_create(workspace=site.workspace, values=values, now=NOW)

    def edit(child: Monitor, parent: Monitor) -> bool:
        try:
            website_update(monitor=child, changes={"depends_on": parent.uid}, now=NOW)
        except FieldError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(in_a_thread(lambda: edit(site, other))), threads.submit(in_a_thread(lambda: edit(other, site)))]
        assert sorted(future.result() for future in done) == [False, True]
    with psycopg.connect(committed_database) as look:
        assert look.execute("SELECT count(*) FROM monitor WHERE depends_on_id IS NOT NULL").fetchone() == (1,)


def test_a_parent_that_is_being_deleted_cannot_be_depended_on(committed_database: str, site: Monitor) -> None:
    values = {"name": "Blog", "tags": [], "url": "http://192.0.2.1/", "interval_s": 60}
    child = website_create(workspace=site.workspace, values=values, now=NOW)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(committed_database) as deleter:
        deleter.execute("DELETE FROM website_state WHERE monitor_id = %s", (site.pk,))
        deleter.execute("DELETE FROM website WHERE monitor_id = %s", (site.pk,))
        deleter.execute("DELETE FROM monitor WHERE id = %s", (site.pk,))
        editing = threads.submit(in_a_thread(lambda: website_update(monitor=child, changes={"depends_on": site.uid}, now=NOW)))
        blocked_backends(committed_database)
        deleter.commit()
        with pytest.raises(FieldError):
            editing.result()


def test_deleting_a_parent_and_explaining_its_childs_outage_do_not_wait_for_each_other(
    committed_database: str, site: Monitor
) -> None:
    values = {"name": "Blog", "tags": [], "url": "http://192.0.2.1/", "interval_s": 60, "depends_on": site.uid}
    child = website_create(workspace=site.workspace, values=values, now=NOW)
    with ThreadPoolExecutor(1) as threads, psycopg.connect(committed_database) as router:
        cause, incident = insert_incident(router, site), insert_incident(router, child)
        alert_id = uuid4()
        router.execute(
            "INSERT INTO alert (id, workspace_id, monitor_id, incident_id, alert_type, order_key, sequence, facts, created_at)"
            " VALUES (%s, %s, %s, %s, 'down', %s, 1, '{}', %s)",
            (alert_id, child.workspace_id, child.pk, incident, incident, NOW),
        )
        router.commit()
        assert alert_store.lock_monitor(router, alert_id) == child.pk
        assert len(alert_store.lock_undecided(router, [child.pk])[child.pk]) == 1
        deleting = threads.submit(in_a_thread(lambda: monitor_delete(monitor=site, now=NOW)))
        blocked_backends(committed_database)
        alert_store.note_cause(router, incident, cause)
        router.commit()
        deleting.result()
        assert router.execute("SELECT id, depends_on_id FROM monitor").fetchall() == [(child.pk, None)]


def test_a_ping_by_name_between_provision_and_commit_waits_and_is_not_lost(
    committed_database: str, outside: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slug leads to the heartbeat before its row commits: a job that has been asking for it is answered OK from then on."""
    caller = make_caller("alice@example.com")
    pings: list[events.Detail[events.HeartbeatPinged]] = []

    def in_the_middle(_key: object) -> None:
        [(_, uid)] = outside.names.slugs.items()
        pings.append(pinged(uid, 1, NOW))
        with psycopg.connect(committed_database) as inbox:
            applied = apply_pings(inbox, pings, NOW)
            assert applied.pings == []
            assert applied.waiting == {pings[0].data.ping_id}

    monkeypatch.setattr(outside.names, "show", in_the_middle)
    monitor = heartbeat_create(workspace=caller.workspace, values={"name": "Backup", "tags": []}, now=NOW)
    with psycopg.connect(committed_database) as inbox:
        applied = apply_pings(inbox, pings, NOW)
    assert [counted.ping.ping_id for counted in applied.pings] == [pings[0].data.ping_id]
    assert (applied.waiting, HeartbeatState.objects.get(monitor=monitor).state) == (frozenset(), "up")
