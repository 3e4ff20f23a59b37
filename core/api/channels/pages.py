"""The pages behind the links in messages. A GET only asks, because link scanners follow links; a POST does it."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import escape
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.api import edge, problem_types
from core.api.channels import services
from core.api.channels.models import Channel
from core.api.problems import plain_response
from core.contracts.channel_links import opened

PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Uptime Monitor</title>
<meta name="robots" content="noindex"></head>
<body style="font-family:sans-serif;max-width:40em;margin:3em auto;color:#222"><p>{text}</p>{form}</body></html>"""

FORM: Final = '<form method="post"><button type="submit">{words}</button></form>'


@csrf_exempt  # the link itself is the proof, and mail programs post it without a page of ours (RFC 8058, section 3.1)
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether mail to a channel should stop, or stop it."""
    link = opened(edge.vault_cipher(), "unsubscribe", token)
    channel = Channel.objects.filter(pk=link[0]).first() if link else None
    if link is None or channel is None:
        return _not_ours()
    if request.method == "POST":
        services.channel_unsubscribe(channel_id=link[0], config_version=link[1], now=timezone.now())
        return _page("No more mail is sent to you by this channel. Whoever looks after it has been told.")
    return _page(f"Stop the mail of the channel “{channel.name}”?", FORM.format(words="Stop these mails"))


@csrf_exempt  # as above
@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether alerts may come, or let them."""
    link = opened(edge.vault_cipher(), "verify", token)
    channel = Channel.objects.filter(pk=link[0], config_version=link[1]).first() if link else None
    if link is None or channel is None:
        return _not_ours()
    if request.method == "POST":
        services.channel_verified(channel_id=link[0], config_version=link[1])
        return _page("Thank you. Alerts will come here from now on.")
    return _page(f"Let the alerts of the channel “{channel.name}” come to you?", FORM.format(words="Yes, send them"))


def _not_ours() -> HttpResponse:
    return plain_response(problem_types.NOT_FOUND, "This link is not one of ours, or what it was about has changed.")


def _page(text: str, form: str = "") -> HttpResponse:
    answer = HttpResponse(PAGE.format(text=escape(text), form=form))
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    return answer
