"""The few pages that are for people and need no login: what the links in messages lead to.

A GET only asks, because link scanners follow links; a POST does it.
"""

from http import HTTPStatus
from typing import Final

from django.http import HttpResponse
from django.utils.html import escape

PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Uptime Monitor</title>
<meta name="robots" content="noindex"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="font-family:sans-serif;max-width:40em;margin:3em auto;padding:0 1em;color:#222;overflow-wrap:anywhere">
<p>{text}</p>{form}</body></html>"""

FORM: Final = '<form method="post"><button type="submit" style="font-size:1.2em;padding:.5em 1em">{words}</button></form>'


def page(text: str, button: str = "", status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    """A page with a sentence and, if there is something to do, a button that posts to the same address. Both are escaped."""
    form = FORM.format(words=escape(button)) if button else ""
    answer = HttpResponse(PAGE.format(text=escape(text), form=form), status=status)
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    return answer


def not_ours() -> HttpResponse:
    """For a link that we did not make, or that leads to nothing any more."""
    why = "This link is not one of ours, or its time is over, or what it was about has changed."
    return page(f"{why} If a part of it is missing, copy all of it.", status=HTTPStatus.NOT_FOUND)
