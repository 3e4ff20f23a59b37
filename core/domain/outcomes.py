"""What a check can say, and why: closed enums, stable in the API, in metrics, in alerts and on disk.

The numbers are stored in `check_result` (two bytes each); never reuse one. The names are the API values.
"""

from enum import IntEnum, StrEnum


class Outcome(IntEnum):
    """`UNKNOWN` is our own trouble: it neither counts as a failure nor resets the count of failures."""

    UP = 1
    DOWN = 2
    UNKNOWN = 3

    @property
    def label(self) -> str:
        """Name in the API and in metrics."""
        return self.name.lower()


class MonitorState(StrEnum):
    """The state of a monitor. `NEW` has never been judged; nobody is told when it becomes `UP`."""

    NEW = "new"
    UP = "up"
    DOWN = "down"


class Reason(IntEnum):
    """Why a check had its outcome; the first phase that failed gives the reason."""

    OK = 0
    # names
    DNS_NXDOMAIN = 10
    DNS_FAILURE = 11
    DNS_NO_DATA = 12
    # connection
    BLOCKED_ADDRESS = 20
    CONNECT_REFUSED = 21
    CONNECT_TIMEOUT = 22
    CONNECT_FAILED = 23
    CONNECTION_RESET = 24
    # TLS
    TLS_EXPIRED = 30
    TLS_NOT_YET_VALID = 31
    TLS_CHAIN_EXPIRED = 32
    TLS_HOSTNAME = 33
    TLS_UNTRUSTED = 34
    TLS_CLIENT_CERT_REQUIRED = 35
    TLS_OTHER = 36
    # HTTP
    TIMEOUT = 40
    HTTP_STATUS = 41
    BODY_LIMIT = 42
    REDIRECT_LIMIT = 43
    PROTOCOL_ERROR = 44
    EMPTY_REPLY = 45
    INSECURE_REDIRECT = 46
    # mail and file servers
    SERVICE_REFUSED = 47
    LOGIN_REFUSED = 48
    TLS_NOT_OFFERED = 49
    # what the answer is like
    ASSERTION_KEYWORD = 50
    ASSERTION_REGEX = 51
    ASSERTION_JSON = 52
    ASSERTION_HEADER = 53
    ASSERTION_FINAL_URL = 54
    ASSERTION_CERTIFICATE = 55
    DEGRADED = 56  # slower than wanted, but well: always with Outcome.UP
    ASSERTION_DNS = 57
    # heartbeats
    HEARTBEAT_MISSED = 60
    HEARTBEAT_FAILED = 61
    # our own trouble, always with Outcome.UNKNOWN
    RESOLVER_FAILURE = 80
    LOCAL_NETWORK = 81
    OVERLOADED = 82
    SHUTTING_DOWN = 83
    MISSED_WINDOW = 84
    INTERNAL = 85

    @property
    def label(self) -> str:
        """Name in the API, in metrics and in alerts, e.g. `connect_refused`."""
        return self.name.lower()
