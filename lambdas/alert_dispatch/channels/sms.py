"""SMS by Amazon SNS: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from core.contracts.channels.sms import SmsConfig
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient, unanswered
from lambdas.alert_dispatch.message_brief import sms

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

THROTTLES: Final = frozenset({"Throttling", "ThrottlingException", "Throttled", "ThrottledException", "TooManyRequestsException"})
BAD_REQUESTS: Final = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException"})
OPTED_OUT: Final = frozenset({"OptedOut", "OptedOutException"})


class SnsSender:
    """Hands a text to SNS."""

    def __init__(self, client: Callable[[], "SNSClient"]) -> None:
        self._client = client

    def __call__(self, outgoing: Outgoing, config: SmsConfig) -> None:
        """Send; see `Sender`. What SNS refuses for our account's sake (the right to send, its monthly limit) is worth another try."""
        attributes: dict[str, Any] = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
        if config.sender_id:
            attributes["AWS.SNS.SMS.SenderID"] = {"DataType": "String", "StringValue": config.sender_id}
        try:
            self._client().publish(PhoneNumber=config.to, Message=sms(outgoing.message), MessageAttributes=attributes)
        except ClientError as error:
            raise sns_error(error.response["Error"].get("Code", ""), str(error)) from error
        except BotoCoreError as error:
            raise unanswered("SNS", error) from error


def sns_error(code: str, text: str) -> Transient | Permanent:
    """What an error of SNS means. Whoever answered STOP, and a number that SNS refuses, get nothing any more."""
    if code in THROTTLES:
        return RateLimited(text)
    if code in OPTED_OUT or (code in BAD_REQUESTS and "opted out" in text.lower()):
        return Permanent(text, disable_channel=True)
    if code in BAD_REQUESTS:
        return Permanent(text, disable_channel="PhoneNumber" in text)
    return Transient(text)
