"""The long tail of services, through the library Apprise: https://github.com/caronc/apprise/wiki.

A service is a URL of Apprise, such as `pover://user@token`. Only schemes of this list are taken: services that are spoken to over HTTP
alone. None that runs programs, reads files or writes to the machine itself, and none that has a kind of its own here.
"""

import re
from typing import Final

from core.contracts.channels.config import BadConfig, ChannelConfig

URL_LIMIT: Final = 2048

SERVICES: Final = {
    **{name: name for name in ("bark", "dingtalk", "exotel", "feishu", "flock", "goalert", "gotify", "groupme")},
    **{
        name: name
        for name in ("httpsms", "ifttt", "ilert", "incidentio", "infobip", "jira", "join", "kavenegar", "lametric", "lark")
    },
    **{
        name: name
        for name in ("line", "mailersend", "mailgun", "mastodon", "misskey", "msg91", "notica", "notifiarr", "octopush")
    },
    **{name: name for name in ("onebot", "pagertree", "plivo", "postmark", "prowl", "pushdeer", "pushed", "pushme", "pushplus")},
    **{name: name for name in ("pushy", "resend", "revolt", "ryver", "sendgrid", "sendpulse", "seven", "sfr", "signl4", "sinch")},
    **{
        name: name
        for name in ("smseagle", "smtp2go", "sparkpost", "spike", "spugpush", "squadcast", "synology", "telnyx", "threema")
    },
    **{name: name for name in ("twilio", "twist", "voipms", "vonage", "wecombot", "whapi", "wxpusher", "xmatters", "zulip")},
    "clicksend": "clicksend",
    "elks": "fortysixelks",
    "gchat": "google_chat",
    "gotifys": "gotify",
    "hassio": "home_assistant",
    "hassios": "home_assistant",
    "lametrics": "lametric",
    "matrix": "matrix.base",
    "matrixs": "matrix.base",
    "mmost": "mattermost",
    "mmosts": "mattermost",
    "msgbird": "messagebird",
    "ncloud": "nextcloud",
    "nclouds": "nextcloud",
    "nctalk": "nextcloudtalk",
    "nctalks": "nextcloudtalk",
    "onesignal": "one_signal",
    "pbul": "pushbullet",
    "pover": "pushover",
    "psafer": "pushsafer",
    "psafers": "pushsafer",
    "ringc": "ringcentral",
    "rocket": "rocketchat",
    "rockets": "rocketchat",
    "signal": "signal_api",
    "signals": "signal_api",
    "splunk": "splunk",
    "spush": "simplepush",
    "victorops": "splunk",
    "webex": "webexteams",
}
"""The module of Apprise for each scheme: only that one is loaded, which is ten times faster than all of them."""

_SCHEME: Final = re.compile(r"([a-z0-9]{2,20})://")


class AppriseConfig(ChannelConfig, frozen=True, kw_only=True):
    """One service by its URL of Apprise."""

    url: str

    def checked(self, *, private_targets: bool) -> "AppriseConfig":  # noqa: ARG002  (addresses are judged at each connection)
        """As it is. Whether Apprise can read all of it shows in the test message: the library is not loaded here."""
        if len(self.url) > URL_LIMIT:
            raise BadConfig("url", "too_long", f"must have at most {URL_LIMIT} characters")
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise BadConfig("url", "invalid", "must be plain ASCII without blanks; write other characters percent-encoded")
        found = _SCHEME.match(self.url)
        if not found or found[1] not in SERVICES:
            raise BadConfig(
                "url", "unknown_service", f"must begin with one of {', '.join(f'{name}://' for name in sorted(SERVICES))}"
            )
        return self

    def scheme(self) -> str:
        """Which service."""
        return self.url.partition("://")[0]

    def summary(self) -> str:
        """The service alone: everything else in the URL may be a secret."""
        return f"{self.scheme()}://…"
