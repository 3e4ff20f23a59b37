"""The few pages that are for people and need no login: what the links in messages lead to.

A GET only asks, because link scanners follow links; a POST does it.
"""

from typing import Final

from django.http import HttpResponse
from django.utils.html import escape

from core.api import problem_types
from core.api.problems import plain_response

PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Uptime Monitor</title>
<meta name="robots" content="noindex"></head>
<body style="font-family:sans-serif;max-width:40em;margin:3em auto;color:#222"><p>{text}</p>{form}</body></html>"""

FORM: Final = '<form method="post"><button type="submit">{words}</button></form>'


def page(text: str, button: str = "") -> HttpResponse:
    """A page with a sentence and, if there is something to do, a button that posts to the same address. Both are escaped."""
    form = FORM.format(words=escape(button)) if button else ""
    answer = HttpResponse(PAGE.format(text=escape(text), form=form))
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "no-referrer"
    answer["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    )
    return answer


def not_ours() -> HttpResponse:
    """For a link that we did not make, or that leads to nothing any more."""
    return plain_response(problem_types.NOT_FOUND, "This link is not one of ours, or what it was about has changed.")
