"""What an installation does in a month, from its number of monitors: the usage that is paid for.

What we measured stands in `docs/explanation/performance.md`, and a test holds these constants to it. What nobody can measure without users
is assumed, and can be given: every field of `Load` is an option of the command.
"""

from dataclasses import dataclass
from typing import Final

HOURS: Final = 730
"""Of a month, as AWS counts."""
SECONDS: Final = HOURS * 3600
MILLION: Final = 1e6
GB: Final = 1e9

CHECK_CPU_MS: Final = 1.8
"""Measured, `https_check_cpu_ms`: an HTTPS check with a full handshake, everything counted."""
RESULT_BYTES: Final = 91
"""Measured, `bytes_per_result`, with its indexes."""
PING_CORE_CPU_MS: Final = 0.84
"""Measured, `ping_core_cpu_ms` and `ping_core_sdk_cpu_ms`: a ping in the inbox."""
CALLS_OF_A_DELIVERY: Final = 6
"""Counted, `delivery_handler_cpu_ms`: calls to AWS of one message."""

RETENTION_MONTHS: Final = 90 * 24 / HOURS
"""RETENTION_DAYS: results and pings are kept for 90 days."""
PING_ROW_BYTES: Final = 300
ITEM_BYTES: Final = 1000
EVENT_BYTES: Final = 1500
WRITES_OF_A_PING: Final = 8
"""The sequence (1), three items in a transaction (2 each), and taking the mark away (1)."""
READS_OF_A_PING: Final = 2
PING_S: Final = 0.04
"""The ping Lambda waits for four calls to AWS."""
DELIVERY_S: Final = 0.5
"""Alert dispatch waits for the service that takes the message."""
FLOW_RECORDS_OF_A_CHECK: Final = 6
"""Both directions at the worker's interface, and at both sides of the NAT."""
FLOW_RECORD_BYTES: Final = 120
CONTAINER_LOG_GB: Final = 0.25
"""What a container says in a month when nothing happens."""
BUSY: Final = 0.7
"""Services are scaled so that their tasks use this share of their CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Monitors and what they and their people do; all of it for each monitor alike."""

    monitors: int
    heartbeat_share: float = 0.2
    interval_s: int = 60
    check_in_bytes: int = 16_000
    check_out_bytes: int = 2_000
    pings_a_day: float = 96
    incidents_a_month: float = 2
    messages_of_an_incident: float = 4
    mail_share: float = 0.5
    web_requests_a_month: float = 300
    web_response_bytes: int = 10_000
    ping_mail_share: float = 0.0

    @property
    def websites(self) -> float:
        """Monitors that are checked."""
        return self.monitors * (1 - self.heartbeat_share)

    @property
    def checks(self) -> float:
        """Checks in a month."""
        return self.websites * SECONDS / self.interval_s

    @property
    def pings(self) -> float:
        """Pings in a month."""
        return self.monitors * self.heartbeat_share * self.pings_a_day * HOURS / 24

    @property
    def messages(self) -> float:
        """Messages to people in a month."""
        return self.monitors * self.incidents_a_month * self.messages_of_an_incident

    @property
    def mails(self) -> float:
        """Messages that are mails."""
        return self.messages * self.mail_share

    @property
    def web_requests(self) -> float:
        """Requests to the web and its API."""
        return self.monitors * self.web_requests_a_month

    @property
    def events(self) -> float:
        """Events on the bus: one of a ping; a request and a report of each message; two of an incident."""
        return self.pings + 2 * self.messages + 2 * self.monitors * self.incidents_a_month

    @property
    def checked_gb(self) -> float:
        """What goes through the NAT for checks, both ways."""
        return self.checks * (self.check_in_bytes + self.check_out_bytes) / GB

    @property
    def sent_gb(self) -> float:
        """What checks send out of AWS."""
        return self.checks * self.check_out_bytes / GB

    @property
    def web_gb(self) -> float:
        """What the web answers."""
        return self.web_requests * self.web_response_bytes / GB

    @property
    def database_gb(self) -> float:
        """Results and pings that PostgreSQL keeps."""
        return RETENTION_MONTHS * (self.checks * RESULT_BYTES + self.pings * PING_ROW_BYTES) / GB

    @property
    def written_gb(self) -> float:
        """What changes in PostgreSQL in a month, which backups and copies take: rows, and as much again around them."""
        return 2 * self.database_gb / RETENTION_MONTHS

    @property
    def worker_cpus(self) -> float:
        """VCPUs that checks keep busy, all the time."""
        return self.checks * CHECK_CPU_MS / 1000 / SECONDS

    @property
    def control_cpus(self) -> float:
        """VCPUs that pings keep busy behind the edge."""
        return self.pings * PING_CORE_CPU_MS / 1000 / SECONDS
