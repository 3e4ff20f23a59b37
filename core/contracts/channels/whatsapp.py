"""WhatsApp, through the Cloud API of Meta with a business number of one's own.

A business may only begin a conversation with a template that Meta has approved:
https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates.
"""

import re
from typing import Final, Literal

from msgspec import structs

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.phones import checked_number, hidden_number
from core.contracts.channels.urls import check_base_url, check_service_url

WHATSAPP_API: Final = "https://graph.facebook.com"
API_HOSTS: Final = ("graph.facebook.com",)
MOST_PARAMETERS: Final = 10

Parameter = Literal[
    "subject",
    "headline",
    "details",
    "type",
    "monitor",
    "what",
    "why",
    "since",
    "until",
    "duration",
    "note",
    "link",
    "acknowledge",
]

_ID: Final = re.compile(r"\d{5,20}")
_TOKEN: Final = re.compile(r"[\x21-\x7e]{20,1000}")
_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_VERSION: Final = re.compile(r"v\d{1,2}\.\d")


class WhatsAppConfig(ChannelConfig, frozen=True, kw_only=True):
    """A business number (`phone_number_id`, `token`), who is written to (`to`), and the approved template.

    `parameters` are what goes into the template's body, in the order of its `{{1}}`, `{{2}}`, … . `version` is that of the Graph API.
    """

    phone_number_id: str
    token: str
    to: str
    template: str = "uptime_alert"
    language: str = "en"
    parameters: tuple[Parameter, ...] = ("subject", "details")
    version: str = "v23.0"
    api: str = ""

    def checked(self, *, private_targets: bool) -> "WhatsAppConfig":
        """With the number in E.164."""
        for field, form, wanted in (
            ("phone_number_id", _ID, "must be the id of a business number: digits, and not the number itself"),
            ("token", _TOKEN, "must be an access token of at least 20 characters"),
            ("template", _TEMPLATE, "must be the name of a template: small letters, digits and _"),
            ("language", _LANGUAGE, "must be the template's language, such as en or en_US"),
            ("version", _VERSION, "must be a version of the Graph API, such as v23.0"),
        ):
            if not form.fullmatch(getattr(self, field)):
                raise BadConfig(field, "invalid", wanted)
        if len(self.parameters) > MOST_PARAMETERS:
            raise BadConfig("parameters", "too_many", f"must be at most {MOST_PARAMETERS}")
        if self.api:
            check_service_url(self.api, API_HOSTS, service="Meta's Graph API", private_targets=private_targets, field="api")
            check_base_url(self.api, field="api")
        return structs.replace(self, to=checked_number(self.to, "to"))

    def person(self) -> str:
        """Whose it is."""
        return self.to

    def summary(self) -> str:
        """Most of the number is hidden: it is a person's."""
        return f"WhatsApp {hidden_number(self.to)}"

    def url(self) -> str:
        """Where messages are sent."""
        return f"{(self.api or WHATSAPP_API).rstrip('/')}/{self.version}/{self.phone_number_id}/messages"
