"""The pages behind the links in messages to channels."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.api import edge
from core.api.channels import services
from core.api.channels.models import Channel
from core.api.pages import not_ours, page
from core.contracts.channel_links import opened

OLDER = "This link is from an older mail, and the channel was changed since. If it still writes to you, use the link of its latest mail."


@csrf_exempt  # the link itself is the proof, and mail programs post it without a page of ours (RFC 8058, section 3.1)
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether mail to a channel should stop, or stop it."""
    link = opened(edge.vault_cipher(), "unsubscribe", token)
    channel = Channel.objects.filter(pk=link[0]).first() if link else None
    if link is None or channel is None:
        return not_ours()
    if channel.config_version != link[1]:
        return page(OLDER)
    if request.method == "POST":
        ended = services.channel_unsubscribe(channel_id=link[0], config_version=link[1], now=timezone.now())
        told = " Whoever looks after it has been told." if ended else ""
        return page(f"No more mail is sent to you by this channel.{told}")
    return page(f"Stop the mail of the channel “{channel.name}”?", "Stop these mails")


@csrf_exempt  # as above
@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether alerts may come, or let them."""
    link = opened(edge.vault_cipher(), "verify", token)
    channel = Channel.objects.filter(pk=link[0], config_version=link[1]).first() if link else None
    if link is None or channel is None:
        return not_ours()
    if request.method == "POST":
        services.channel_verified(channel_id=link[0], config_version=link[1])
        return page("Thank you. Alerts will come here from now on.")
    return page(f"Let the alerts of the channel “{channel.name}” come to you?", "Yes, send them")
