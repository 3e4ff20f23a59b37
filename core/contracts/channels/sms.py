"""SMS, sent by Amazon SNS on the operator's account: https://docs.aws.amazon.com/sns/latest/dg/sms_sending-overview.html."""

import re
from typing import Final

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.phones import checked_number, hidden_number

_SENDER: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}")


class SmsConfig(ChannelConfig, frozen=True, kw_only=True):
    """One telephone. `sender_id` is shown as the sender in countries that allow it."""

    to: str
    sender_id: str = ""

    def checked(self, *, private_targets: bool) -> "SmsConfig":  # noqa: ARG002  (SNS is the operator's)
        """With the number in E.164."""
        if self.sender_id and not _SENDER.fullmatch(self.sender_id):
            raise BadConfig("sender_id", "invalid", "must have 1 to 11 letters and digits, one of them a letter")
        return SmsConfig(to=checked_number(self.to, "to"), sender_id=self.sender_id)

    def person(self) -> str:
        """Whose it is."""
        return self.to

    def summary(self) -> str:
        """Most of the number is hidden: it is a person's."""
        return f"SMS {hidden_number(self.to)}"
