"""What people read: subject, text and HTML of a message, from the event that requested it. Pure.

Everything that a user or a monitored target chose (names, URLs, error details) is untrusted: control characters never reach a
header, and HTML is escaped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from core.contracts.events import AlertRequested, ExpiryFacts, GroupFacts, GroupLine, IncidentFacts, MonitorFacts
from core.contracts.lines import one_line
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.places import Newer

SUBJECT_LIMIT: Final = 200
ROOM_OF_A_MAIL: Final = 20_000

REASONS: Final = {
    "dns_nxdomain": "The host name does not exist.",
    "dns_failure": "The host name could not be resolved.",
    "dns_no_data": "The host name has no address.",
    "blocked_address": "It leads to an address that must not be connected to.",
    "connect_refused": "The connection was refused.",
    "connect_timeout": "The connection could not be made in time.",
    "connect_failed": "The connection could not be made.",
    "connection_reset": "The connection was cut.",
    "tls_expired": "The certificate has expired.",
    "tls_not_yet_valid": "The certificate is not valid yet.",
    "tls_chain_expired": "A certificate of the chain has expired.",
    "tls_hostname": "The certificate is for another host name.",
    "tls_untrusted": "The certificate is not trusted.",
    "tls_client_cert_required": "The server asks for a client certificate.",
    "tls_other": "The secure connection failed.",
    "timeout": "There was no complete answer in time.",
    "http_status": "The answer had an unexpected status code.",
    "body_limit": "The answer was too large.",
    "redirect_limit": "There were too many redirects.",
    "protocol_error": "The answer did not follow the protocol.",
    "insecure_redirect": "A redirect led from https to http.",
    "empty_reply": "The connection was closed without an answer.",
    "service_refused": "The server greeted with a refusal.",
    "login_refused": "The server did not accept user and password.",
    "tls_not_offered": "The server does not offer encryption.",
    "assertion_keyword": "A text was missing in the answer, or should not have been there.",
    "assertion_regex": "The answer did not match a pattern, or should not have.",
    "assertion_json": "A value in the answer was not as expected.",
    "assertion_header": "A header of the answer was not as expected.",
    "assertion_final_url": "The redirects led to an unexpected address.",
    "assertion_certificate": "The certificate expires too soon.",
    "assertion_dns": "The records of the name were not as expected.",
    "degraded": "The answer was slow.",
    "heartbeat_missed": "The expected ping did not come.",
    "heartbeat_failed": "The job reported a failure.",
}
"""By the reason's label; an unknown (newer) one is shown as it is."""


STILL: Final = {"down": "", "escalated": "", "reminder": "STILL "}
"""What is told of an outage that lasts, and how its subject begins. Whom it is `escalated` to, hears of it for the first time."""

HOW_IT_BEHAVES: Final = {
    "flapping": ("FLAPPING", "keeps going down and up"),
    "degraded": ("SLOW", "is slow"),
    "fast_again": ("FAST AGAIN", "is fast enough again"),
}
"""How the subject begins, and the rest of the headline, of what is told of a monitor and is no outage."""

ABOUT_CHANNELS: Final = {
    "channel_disabled": ("CHANNEL DISABLED: one of your channels gets no more alerts", "A channel was disabled."),
    "verification": ("Confirm this address for Uptime Monitor", "Somebody wants alerts of Uptime Monitor to be sent to you."),
}
"""Subject and headline of what is told about channels; its text says the rest."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: ready as text, and in pieces for HTML and for services with a form of their own.

    `subject`, `headline`, `closing` and the values of `facts` (label, value) are single lines of printable characters that may
    hold anything else, so each form escapes them. So are `lines`, of a message that tells of many things, of which it leaves out
    `others`. `link` leads to the incident, `acknowledge` to the page where the reader takes it on, `confirm` to the one where the reader
    agrees to alerts; they are ours, and may be empty.
    `output` is what a job said when it failed: lines of printable text. `sender` is the URL of the installation that speaks.
    """

    subject: str
    text: str
    sender: str = ""
    headline: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    closing: str = ""
    link: str = ""
    acknowledge: str = ""
    confirm: str = ""
    output: str = ""
    lines: tuple[str, ...] = ()
    others: int = 0

    @property
    def html(self) -> str:
        """The message as HTML; few channels want it, so it is made for them."""
        rows = "".join(
            f'<tr><td style="color:#666;padding:2px 12px 2px 0;vertical-align:top">{escape(label)}</td><td>{escape(value)}</td></tr>'
            for label, value in self.facts
        )
        closing = f"<p>{escape(self.closing)}</p>" if self.closing else ""
        button = "".join(
            f'<p><a href="{escape(link)}">{words}</a></p>' for words, link in _buttons(self.acknowledge, self.confirm)
        )
        style = "background:#f4f4f4;padding:8px;white-space:pre-wrap;overflow-wrap:anywhere"
        said = f'<p>It said at last:</p><pre style="{style}">{escape(self.output)}</pre>' if self.output else ""
        listed = f"<p>{'<br>'.join(map(escape, listing(self.lines, self.others, ROOM_OF_A_MAIL)))}</p>" if self.lines else ""
        table = f'<table style="border-collapse:collapse">{rows}</table>' if rows else ""
        return (
            '<!doctype html><html><body style="font-family:sans-serif;font-size:15px;color:#222">'
            f'<p style="font-size:18px"><strong>{escape(self.headline)}</strong></p>{table}{listed}{closing}{said}{button}'
            f'<p style="color:#888;font-size:12px">Uptime Monitor {escape(self.sender)}</p></body></html>'
        )


@dataclass(frozen=True, slots=True)
class _Story:
    """Headline, facts as (label, value), closing sentence; lines, and how many there are besides."""

    subject: str
    headline: str
    facts: tuple[tuple[str, str], ...] = ()
    closing: str = ""
    lines: tuple[str, ...] = ()
    others: int = 0


def may_be_acknowledged(request: AlertRequested) -> bool:
    """Whether the message is about an outage that nobody has taken on yet."""
    incident = request.incident
    is_about_it = request.alert_type != "flapping"
    return bool(incident and is_about_it and incident.resolved_at is None and incident.acknowledged_at is None)


def compose(
    request: AlertRequested,
    public_url: str = "",
    acknowledge: str = "",
    output: str = "",
    newer: Newer | None = None,
    *,
    confirm: str = "",
) -> Message:
    """The message of a request; about an outage that is over, if there is a `newer` one.

    `public_url` says which installation speaks, `acknowledge` and `confirm` are pages of it, `output` is the end of what the job said; each
    may be empty.
    """
    earlier = _earlier(request.monitor, request.incident, request.text, newer) if newer else None
    story = _printable(earlier or _story(request))
    return Message(
        subject=story.subject[:SUBJECT_LIMIT],
        text=_text(story, public_url, _buttons(acknowledge, confirm), output),
        sender=public_url,
        headline=story.headline,
        facts=story.facts,
        closing=story.closing,
        link=f"{public_url}/api/v1/incidents/{request.incident.id}/" if public_url and request.incident else "",
        acknowledge=acknowledge,
        confirm=confirm,
        output=output,
        lines=story.lines,
        others=story.others,
    )


def _story(request: AlertRequested) -> _Story:
    monitor, incident = request.monitor, request.incident
    if request.alert_type in STILL and monitor and incident:
        return _down(monitor, incident, request.text, STILL[request.alert_type])
    if request.alert_type == "recovered" and monitor and incident:
        return _recovered(monitor, incident, request.text)
    if request.alert_type in {"acknowledged", "unacknowledged"} and monitor and incident:
        return _taken_on(monitor, incident, request.text)
    if request.group:
        return _group(request.group)
    if request.expiry:
        return _ending(request, request.expiry, monitor)
    return _notice(request, monitor)


def _down(monitor: MonitorFacts, incident: IncidentFacts, text: str, still: str) -> _Story:
    if still:
        headline = f"{monitor.name} is still down."
    elif monitor.kind == "heartbeat":
        failed = incident.reason == "heartbeat_failed"
        headline = f"{monitor.name} has failed." if failed else f"{monitor.name} has not pinged in time."
    else:
        headline = f"{monitor.name} is down."
    facts = (*_what_and_why(monitor, incident), ("Since", moment(incident.began_at)), *_confirmed(incident))
    return _Story(f"{still}DOWN: {monitor.name} - {reason_in_words(incident.reason).rstrip('.')}", headline, facts, text)


def _recovered(monitor: MonitorFacts, incident: IncidentFacts, text: str) -> _Story:
    until = incident.resolved_at or incident.opened_at
    length = duration(until - incident.began_at)
    again = "pings again" if monitor.kind == "heartbeat" else "is up again"
    facts = (
        *_what_and_why(monitor, incident),
        ("Since", moment(incident.began_at)),
        ("Until", moment(until)),
        ("For", length),
        *_handled(incident),
    )
    return _Story(f"UP: {monitor.name} - was down {length}", f"{monitor.name} {again}. It was down for {length}.", facts, text)


def _earlier(monitor: MonitorFacts | None, incident: IncidentFacts | None, text: str, newer: Newer) -> _Story | None:
    """An outage of which people hear after a later one: told as what it was, and what came of the monitor since."""
    if monitor is None or incident is None:
        return None
    until, why = incident.resolved_at, reason_in_words(incident.reason).rstrip(".")
    what, told = f"EARLIER OUTAGE: {monitor.name}", f"{monitor.name} was down"
    facts = (*_what_and_why(monitor, incident), ("Since", moment(incident.began_at)))
    since = f"It went down again at {moment(newer.began_at)}"
    closing = f"{since} and came back at {moment(newer.ended_at)}." if newer.ended_at else f"{since}."
    closing = f"This comes late. {closing} {text}".rstrip()
    if until is None:
        return _Story(f"{what} - {why}", f"{told} before.", (*facts, *_handled(incident)), closing)
    length = duration(until - incident.began_at)
    facts = (*facts, ("Until", moment(until)), ("For", length), *_handled(incident))
    return _Story(f"{what} - was down {length}", f"{told} for {length}, until {moment(until)}.", facts, closing)


def _taken_on(monitor: MonitorFacts, incident: IncidentFacts, text: str) -> _Story:
    """Somebody looks after an outage, or does not any more."""
    facts = (*_what_and_why(monitor, incident), ("Since", moment(incident.began_at)), *_handled(incident))
    if incident.acknowledged_at is None:
        return _Story(f"NOT ACKNOWLEDGED ANY MORE: {monitor.name}", f"Nobody looks after {monitor.name} any more.", facts, text)
    by = incident.acknowledged_by
    return _Story(f"ACKNOWLEDGED: {monitor.name} - by {by}", f"{monitor.name} is down, and {by} looks after it.", facts, text)


def _handled(incident: IncidentFacts) -> tuple[tuple[str, str], ...]:
    if incident.acknowledged_at is None:
        return ()
    return (("Handled", f"by {incident.acknowledged_by}, since {moment(incident.acknowledged_at)}"),)


def _notice(request: AlertRequested, monitor: MonitorFacts | None) -> _Story:
    name, is_being = (monitor.name, "is being") if monitor else ("Your websites", "are being")
    is_not = is_being.replace(" ", " not ")
    facts = (("What", monitor.target),) if monitor else ()
    if request.alert_type in HOW_IT_BEHAVES:
        word, behaves = HOW_IT_BEHAVES[request.alert_type]
        return _Story(f"{word}: {name}", f"{name} {behaves}.", facts, request.text)
    if request.alert_type == "not_monitored":
        closing = request.text or "We could not check it for a while, for reasons of our own. Its state is unknown, not down."
        return _Story(f"NOT MONITORED: {name}", f"{name} {is_not} monitored right now.", facts, closing)
    if request.alert_type == "monitored_again":
        return _Story(f"MONITORED AGAIN: {name}", f"{name} {is_being} monitored again.", facts, request.text)
    if request.alert_type in ABOUT_CHANNELS:
        return _Story(*ABOUT_CHANNELS[request.alert_type], (), request.text)
    if request.alert_type == "test":
        closing = request.text or "Somebody asked for it. If you can read it, this channel works."
        return _Story("Test message from Uptime Monitor", "This is a test message.", facts, closing)
    return _Story(f"{request.alert_type.upper()}: {name}", f"{name}: {request.alert_type}.", facts, request.text)


def _ending(request: AlertRequested, expiry: ExpiryFacts, monitor: MonitorFacts | None) -> _Story:
    what = "domain" if request.alert_type == "domain_expiring" else "certificate"
    when = {0: "in less than a day", 1: "in 1 day"}.get(expiry.days_left, f"in {expiry.days_left} days")
    concerned = monitor.name if monitor else f"{expiry.websites} websites"
    facts = (
        ("Domain" if what == "domain" else "Host", expiry.name),
        *((("What", monitor.target),) if monitor else ()),
        ("Ends", moment(expiry.ends_at)),
    )
    subject = f"{what.upper()} ENDS {when.upper()}: {concerned} - {expiry.name}"
    return _Story(subject, f"The {what} of {concerned} ends {when}.", facts, request.text)


def _group(group: GroupFacts) -> _Story:
    down, up = _monitors(group.down), _monitors(group.up)
    if group.down and group.up:
        subject, headline = f"DOWN: {down}, and {group.up} up again", f"{down} down, {group.up} up again."
    elif group.down:
        subject, headline = f"DOWN: {down}", f"{down} went down."
    elif group.up == 1:
        subject, headline = f"UP: {up} again", f"{up} is up again."
    else:
        subject, headline = f"UP: all {up} again", f"All {up} are up again."
    facts = (("Since", moment(group.opened_at)), ("As of" if group.down else "Until", moment(group.as_of)))
    closing = (
        "Changes from now on are told one by one." if group.final else "Told together, because they are many. News will follow."
    )
    return _Story(subject, headline, facts, closing, tuple(_group_line(line, group.as_of) for line in group.lines), group.more)


def _group_line(line: GroupLine, as_of: datetime) -> str:
    if line.state == "flapping":
        return f"FLAPPING {line.name}"
    if line.state == "up":
        return f"UP {line.name}" + (f" - was down {duration(line.until - line.since)}" if line.since and line.until else "")
    why = f" - {reason_in_words(line.reason).rstrip('.')}" if line.reason else ""
    return f"DOWN {line.name}{why}" + (f", since {_moment_seen_from(line.since, as_of)}" if line.since else "")


def _monitors(count: int) -> str:
    return "1 monitor" if count == 1 else f"{count} monitors"


def _what_and_why(monitor: MonitorFacts, incident: IncidentFacts) -> tuple[tuple[str, str], ...]:
    why = reason_in_words(incident.reason)
    detail = one_line(incident.detail)
    says_more = detail.rstrip(".").lower() not in {"", why.rstrip(".").lower()}
    return ("What", monitor.target), ("Why", f"{why} ({detail})" if says_more else why)


def _confirmed(incident: IncidentFacts) -> tuple[tuple[str, str], ...]:
    """When it was sure, where that was later: one failure may be enough, and a job that says it failed is believed."""
    after = incident.opened_at - incident.began_at
    return (("Confirmed", f"{moment(incident.opened_at)}, after {duration(after)}"),) if after >= timedelta(seconds=1) else ()


def verification_text(code: str, *, has_link: bool) -> str:
    """How to agree to alerts; a telephone gets no link, which would not fit."""
    how = "follow the link below, or give the code" if has_link else "give the code"
    return f"If you agree, {how} {code} to whoever asked you. If not, do nothing: no alerts will come."


def _buttons(acknowledge: str, confirm: str) -> list[tuple[str, str]]:
    """The words and the address of what a reader may do."""
    return [(words, link) for words, link in (("Acknowledge", acknowledge), ("Confirm this address", confirm)) if link]


def reason_in_words(label: str) -> str:
    """A sentence for the label of a reason."""
    return REASONS.get(label, f"Reason: {label}.")


def moment(at: datetime) -> str:
    """A time as people read it, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _moment_seen_from(at: datetime, now: datetime) -> str:
    """The same without its date, where that is today's: what was held for the night began yesterday."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else moment(at)


def duration(span: timedelta) -> str:
    """A length in its two largest units, e.g. `12 min 3 s`; never negative."""
    seconds = max(int(span.total_seconds()), 0)
    units = (("d", seconds // 86_400), ("h", seconds // 3_600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next((index for index, (_, count) in enumerate(units) if count), len(units) - 1)
    shown = [f"{count} {unit}" for unit, count in units[first : first + 2] if count]
    return " ".join(shown) or "0 s"


def _printable(story: _Story) -> _Story:
    """A story whose every part is one printable line."""
    return _Story(
        one_line(story.subject),
        one_line(story.headline),
        tuple((label, one_line(value)) for label, value in story.facts),
        one_line(story.closing),
        tuple(one_line(line) for line in story.lines),
        story.others,
    )


def _text(story: _Story, public_url: str, buttons: Iterable[tuple[str, str]], output: str) -> str:
    lines = [story.headline]
    lines += ["", *(f"{label + ':':<11}{value}" for label, value in story.facts)] if story.facts else []
    lines += ["", *listing(story.lines, story.others, ROOM_OF_A_MAIL)] if story.lines else []
    lines += ["", story.closing] if story.closing else []
    lines += ["", "It said at last:", *(f"    {line}" for line in output.split("\n"))] if output else []
    lines += [part for words, link in buttons for part in ("", f"{words}: {link}")]
    lines += ["", f"-- \nUptime Monitor {public_url}".rstrip()]
    return "\n".join(lines) + "\n"
