"""Groups of alerts: rule by rule, and their promises in any storm, told by a channel in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from uuid import UUID, uuid5

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.contracts.events import IncidentFacts, MonitorFacts
from core.domain import alert_groups as rules
from core.domain.alert_facts import AlertFacts
from core.domain.alert_groups import (
    EDIT_EVERY,
    GAPS,
    GATHER,
    LISTED,
    LONGEST,
    LOOK_EVERY,
    QUIET,
    Close,
    Earlier,
    Group,
    Limit,
    News,
    Tally,
    Tell,
    facts,
    look,
    place,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ID = UUID("018f0000-0000-7000-8000-000000000001")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
FIVE = Limit(5, MINUTE)


def uid(*parts: object) -> UUID:
    return uuid5(ID, repr(parts))


def downs(count: int, since: int = 0) -> list[News]:
    return [News(uid("alert", n), "down", uid("incident", n)) for n in range(since, since + count)]


class TestLimit:
    def test_so_many_at_once_and_then_one_for_each_while(self) -> None:
        free_at = None
        for _ in range(5):
            free_at = FIVE.take(free_at, NOW)
            assert free_at
        assert FIVE.take(free_at, NOW) is None
        assert FIVE.take(free_at, NOW + MINUTE - SECOND) is None
        after = FIVE.take(free_at, NOW + MINUTE)
        assert after
        assert FIVE.take(after, NOW + MINUTE) is None

    @given(st.lists(st.integers(0, 600), max_size=80).map(sorted), st.integers(1, 10))
    def test_no_stretch_of_time_has_more(self, seconds: list[int], alone: int) -> None:
        limit, free_at, taken = Limit(alone, MINUTE), None, list[int]()
        for second in seconds:
            after = limit.take(free_at, NOW + second * SECOND)
            free_at = after or free_at
            taken += [second] if after else []
        assert taken[:1] == seconds[:1], "the first is never too many"
        for number, first in enumerate(taken):
            for last in taken[number:]:
                assert sum(first <= second <= last for second in taken) <= alone + (last - first) // 60


class TestPlace:
    def test_the_first_go_by_themselves_the_rest_into_the_group(self) -> None:
        news = downs(300)
        placed = place(news, {}, FIVE, None, NOW)
        assert placed.alone == {one.id for one in news[:5]}
        assert placed.grouped == {one.id for one in news[5:]}

    def test_what_is_not_about_a_change_is_never_grouped_nor_counted(self) -> None:
        news = [News(uid(n), "certificate_expiring", uid(n)) for n in range(9)]
        assert place(news, {}, FIVE, None, NOW) == rules.Placed(frozenset(one.id for one in news), frozenset(), None)

    @pytest.mark.parametrize(("where", "grouped"), [(Earlier.GROUPED, True), (Earlier.ON_ITS_WAY, False)])
    def test_a_recovery_follows_its_outage(self, where: Earlier, grouped: bool) -> None:
        recovery = News(ID, "recovered", uid("incident"))
        full = NOW + 5 * MINUTE
        assert bool(place([recovery], {recovery.order_key: where}, FIVE, full, NOW).grouped) is grouped

    def test_the_same_within_one_decision(self) -> None:
        outages = downs(6)
        ends = [News(uid("end", n), "recovered", one.order_key) for n, one in enumerate(outages)]
        placed = place([*outages, *ends], {}, FIVE, None, NOW)
        assert placed.grouped == {outages[5].id, ends[5].id}

    def test_a_recovery_from_an_outage_that_was_told_long_ago_is_limited_too(self) -> None:
        ends = [News(uid("end", n), "recovered", uid("incident", n)) for n in range(300)]
        assert len(place(ends, {}, FIVE, None, NOW).alone) == 5


TOLD = Group("email", NOW, NOW, 1, NOW + GATHER, 1, NOW + GATHER)
NOTHING_NEW = Tally(3, 0, untold=False, unposted=False, worse=False, on_its_way=False)
WORSE = replace(NOTHING_NEW, untold=True, unposted=True, worse=True)
BETTER = replace(WORSE, up=2, down=1, worse=False)


class TestLook:
    def test_it_gathers_for_a_moment_and_is_told(self) -> None:
        group = Group("email", NOW, NOW)
        assert look(group, WORSE, NOW + GATHER - SECOND) is None
        assert look(group, WORSE, NOW + GATHER) == Tell()

    def test_follow_ups_come_at_growing_gaps(self) -> None:
        group, at = TOLD, NOW + GATHER
        for gap in (*GAPS, GAPS[-1]):
            group = replace(group, folded_at=at + gap)
            assert look(group, WORSE, at + gap - SECOND) is None
            telling = look(group, WORSE, at + gap)
            assert telling == Tell()
            assert isinstance(telling, Tell)
            at += gap
            group = rules.after(group, telling, at)

    def test_news_of_recoveries_may_replace_the_message_before(self) -> None:
        assert look(TOLD, BETTER, NOW + GATHER + GAPS[0]) == Tell(replaces=True)

    def test_what_can_be_edited_is_edited_soon_and_told_anew_when_it_gets_worse(self) -> None:
        chat = replace(TOLD, channel_kind="telegram")
        assert look(chat, BETTER, NOW + GATHER + EDIT_EVERY - SECOND) is None
        assert look(chat, BETTER, NOW + GATHER + EDIT_EVERY) == Tell(replaces=True)
        assert look(chat, WORSE, NOW + GATHER + EDIT_EVERY) == Tell(replaces=True)
        assert look(replace(chat, folded_at=NOW + MINUTE), WORSE, NOW + GATHER + GAPS[0]) == Tell()

    def test_nothing_new_is_not_told_again(self) -> None:
        assert look(TOLD, NOTHING_NEW, NOW + LONGEST - SECOND) is None

    def test_all_up_is_told_once_it_is_quiet_and_ends_it_when_it_has_arrived(self) -> None:
        all_up = replace(BETTER, down=0, up=3)
        assert look(TOLD, all_up, NOW + QUIET - SECOND) is None
        assert look(TOLD, all_up, NOW + QUIET) == Tell(final=True)
        ended = rules.after(TOLD, Tell(final=True), NOW + QUIET)
        told = replace(all_up, untold=False, unposted=False)
        assert look(ended, replace(told, on_its_way=True), NOW + 2 * QUIET) is None
        assert isinstance(look(ended, told, NOW + 2 * QUIET), Close)

    def test_after_long_it_ends_though_some_are_down(self) -> None:
        assert look(TOLD, BETTER, NOW + LONGEST) == Tell(final=True)
        assert isinstance(look(TOLD, NOTHING_NEW, NOW + LONGEST), Close)

    def test_one_whose_monitors_were_deleted_just_ends(self) -> None:
        assert isinstance(look(Group("email", NOW, NOW), replace(WORSE, down=0), NOW), Close)


def outage(number: int, name: str = "") -> AlertFacts:
    monitor = MonitorFacts(
        id=uid("monitor", number), kind="website", name=name or f"shop {number}", target="https://example.com/"
    )
    incident = IncidentFacts(id=uid(number), reason="connect_refused", detail="", began_at=NOW, opened_at=NOW)
    return AlertFacts(monitor=monitor, incident=incident)


def test_what_is_not_named_is_counted_and_it_fits_into_an_event() -> None:
    tally = replace(NOTHING_NEW, down=862)
    told = facts(TOLD, tally, [("down", outage(n, "\x01" * 100)) for n in range(862)], Tell(), NOW)
    assert len(told.lines) == LISTED
    assert told.more == 812
    assert len(msgspec.json.encode(told)) < 64 * 1024
    assert told.lines[0].since == NOW
    assert told.lines[0].reason == "connect_refused"


@dataclass
class Channel:
    """What one channel is told, the flow's work done in memory.

    Messages by themselves arrive late by one delay, those of groups by another. Of the messages with one order key none arrives
    after a later one. Readers tell the outages of a monitor apart by their times.
    """

    kind: str
    delay: timedelta
    group_delay: timedelta
    limit: Limit = FIVE
    free_at: datetime | None = None
    last: dict[int, tuple[int, str]] = field(default_factory=dict)
    """By monitor: the outage and the type that was decided last."""
    arrivals: list[tuple[datetime, int, UUID, Mapping[int, tuple[int, str]]]] = field(default_factory=list)
    """When, which of its key, the key, and what it says."""
    alone: list[UUID] = field(default_factory=list)
    in_groups: list[UUID] = field(default_factory=list)
    messages: list[datetime] = field(default_factory=list)
    edits: int = 0
    group: Group | None = None
    members: list[tuple[int, int, str, UUID]] = field(default_factory=list)
    """Of the open group: monitor, revision, type, order key."""
    posted_revision: int = 0
    arrives: datetime = NOW
    on_their_way: dict[UUID, datetime] = field(default_factory=dict)

    @property
    def heard(self) -> dict[int, tuple[int, str]]:
        """What was heard last of each monitor, in the end."""
        heard: dict[int, tuple[int, str]] = {}
        seen: dict[UUID, int] = {}
        for _, sequence, key, says in sorted(self.arrivals, key=itemgetter(0, 1)):
            if sequence < seen.get(key, 0):
                continue
            seen[key] = sequence
            heard |= {monitor: news for monitor, news in says.items() if news[0] >= heard.get(monitor, news)[0]}
        return heard

    def gets(self, alerts: Sequence[tuple[int, int, News]], now: datetime) -> None:
        earlier = {key: Earlier.ON_ITS_WAY for key, arrives in self.on_their_way.items() if arrives > now}
        earlier |= {key: Earlier.GROUPED for _, _, _, key in self.members}
        placed = place([one for _, _, one in alerts], earlier, self.limit, self.free_at, now)
        self.free_at = placed.free_at
        assert placed.alone | placed.grouped == {one.id for _, _, one in alerts}
        assert not placed.alone & placed.grouped
        for monitor, incident, one in alerts:
            self.last[monitor] = (incident, one.alert_type)
            if one.id in placed.alone:
                self.alone.append(one.id)
                self.messages.append(now)
                sequence = 2 if one.alert_type == "recovered" else 1
                self.arrivals.append((now + self.delay, sequence, one.order_key, {monitor: self.last[monitor]}))
                self.on_their_way[one.order_key] = now + self.delay
                continue
            group = self.group or Group(self.kind, now, now)
            self.group = replace(group, folded_at=now)
            self.members.append((monitor, group.revision + 1, one.alert_type, one.order_key))
            self.in_groups.append(one.id)

    def sweep(self, now: datetime) -> None:
        if self.group is None:
            return
        telling = look(self.group, self.tally(now), now)
        if isinstance(telling, Close):
            assert all(revision <= self.group.revision for _, revision, _, _ in self.members), "nothing is left untold"
            self.group, self.members, self.posted_revision = None, [], 0
        elif telling:
            self.group = rules.after(self.group, telling, now)
            self.posted_revision = self.posted_revision if telling.replaces else self.group.revision
            self.arrives = now + self.group_delay
            says = {monitor: self.last[monitor] for monitor, _, _, _ in self.members}
            self.arrivals.append((self.arrives, self.group.revision, uid("group", self.group.opened_at), says))
            edits = telling.replaces and self.kind in rules.EDITABLE
            self.edits += edits
            self.messages += [] if edits else [now]

    def tally(self, now: datetime) -> Tally:
        assert self.group
        states = [self.last[monitor][1] for monitor in {monitor for monitor, _, _, _ in self.members}]
        unposted = [kind for _, revision, kind, _ in self.members if revision > self.posted_revision]
        return Tally(
            down=sum(state != "recovered" for state in states),
            up=states.count("recovered"),
            untold=any(revision > self.group.revision for _, revision, _, _ in self.members),
            unposted=bool(unposted),
            worse=any(kind != "recovered" for kind in unposted),
            on_its_way=self.arrives > now,
        )


STEP = 5 * SECOND
DELAYS = (SECOND, 20 * MINUTE, 40 * MINUTE)
STORM = 360
AFTER = 2000
"""In steps: half an hour of storm, and time for everything to end."""

changes = st.lists(st.tuples(st.one_of(st.integers(0, 20), st.integers(0, STORM + 200)), st.integers(0, 59)), max_size=300)


def live(channel: Channel, storm: Sequence[tuple[int, int]]) -> int:
    """Monitors that change at these steps, or later; how many alerts there were."""
    down: dict[int, int] = {}
    count = 0
    for step in range(STORM + AFTER):
        now = NOW + step * STEP
        alerts = []
        for monitor in sorted(monitor for at, monitor in storm if at == step):
            count += 1
            incident = down.pop(monitor, None)
            if incident is None:
                down[monitor] = count
            kind = "down" if incident is None else "recovered"
            alerts.append((monitor, incident or count, News(uid("alert", count), kind, uid("incident", incident or count))))
        if alerts:
            channel.gets(alerts, now)
        if step % (LOOK_EVERY // STEP) == 1:
            channel.sweep(now)
    return count


@settings(max_examples=100)
@given(changes, st.sampled_from(["email", "telegram"]), st.sampled_from(DELAYS), st.sampled_from(DELAYS))
@example([(0, n) for n in range(60)] + [(30, n) for n in range(60)], "email", SECOND, 20 * MINUTE)
@example([(0, n) for n in range(60)] + [(100, n) for n in range(50)], "telegram", 20 * MINUTE, SECOND)
@example([(0, n) for n in range(60)] + [(30, n) for n in range(60)], "email", 20 * MINUTE, SECOND)
@example([(0, n) for n in range(60)] + [(13 if n < 30 else 30, n) for n in range(60)], "email", SECOND, SECOND)
@example([(0, n) for n in range(60)] + [(400, n) for n in range(10, 14)], "email", SECOND, 40 * MINUTE)
def test_every_alert_is_told_once_and_last_as_it_is(
    storm: list[tuple[int, int]], kind: str, delay: timedelta, group_delay: timedelta
) -> None:
    channel = Channel(kind, delay, group_delay)
    count = live(channel, storm)
    told = [*channel.alone, *channel.in_groups]
    assert len(told) == len(set(told)) == count
    assert channel.group is None, "every group ends"
    assert channel.heard == channel.last, "what was heard last is how it is"


@settings(max_examples=100)
@given(changes, st.sampled_from(["email", "telegram"]))
@example([(0, n) for n in range(60)] * 5, "email")
@example([(n, n % 60) for n in range(STORM)], "telegram")
def test_a_storm_costs_a_bounded_number_of_messages(storm: list[tuple[int, int]], kind: str) -> None:
    channel = Channel(kind, SECOND, SECOND)
    live(channel, storm)
    minutes = STORM * STEP // MINUTE
    alone = FIVE.alone + minutes + 1
    groups = minutes * MINUTE // QUIET + 2
    assert len(channel.alone) <= 2 * alone, "and recoveries that followed what was on its way"
    assert len(channel.messages) <= 2 * alone + 2 * groups + 4
    assert channel.edits <= STORM * STEP // EDIT_EVERY + 60
