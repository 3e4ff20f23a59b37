"""E-mail to one mailbox."""

from typing import Final

from core.contracts.channels.config import BadConfig, ChannelConfig

ADDRESS_LIMIT: Final = 254


class EmailConfig(ChannelConfig, frozen=True, kw_only=True):
    """One mailbox."""

    address: str

    def checked(self, *, private_targets: bool) -> "EmailConfig":  # noqa: ARG002  (the mail server is the operator's)
        """The address without blanks around it."""
        address = self.address.strip()
        local, at, domain = address.rpartition("@")
        plain = address.isascii() and address.isprintable() and not set(address) & set(' ,;:<>()[]"\\')
        reachable = domain == "localhost" or "." in domain.strip(".")
        if not (plain and at and local and reachable and "@" not in local):
            raise BadConfig("address", "invalid", "must be one e-mail address such as ops@example.com")
        if len(address) > ADDRESS_LIMIT:
            raise BadConfig("address", "too_long", f"must have at most {ADDRESS_LIMIT} characters")
        return EmailConfig(address=address)

    def person(self) -> str:
        """Whose it is."""
        return self.address

    def summary(self) -> str:
        """The address."""
        return self.address[:200]
