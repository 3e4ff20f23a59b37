"""What Lambda hands a function beside its event."""

import time
from dataclasses import dataclass, field

ACCOUNT = "123456789012"
"""The account of the AWS stand-in."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The context of one invocation, with the attributes that the Python runtime of Lambda gives it."""

    function_name: str
    aws_request_id: str
    region: str
    timeout_s: float
    memory_limit_in_mb: int = 256
    function_version: str = "$LATEST"
    log_stream_name: str = "one-box"
    client_context: None = None
    identity: None = None
    _began: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """ARN of the function."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT}:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """Where its log would go."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation; 0 once it would have."""
        return max(0, round((self.timeout_s - (time.monotonic() - self._began)) * 1000))
