"""What each chat service refuses, as its own documents say; the local services of the tests judge by it.

Each function gives what is wrong with a message, or an empty text.
"""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from lambdas.alert_dispatch.fitting import utf16_units


def slack(content: dict[str, Any]) -> str:
    """https://docs.slack.dev/reference/block-kit/blocks and .../messaging/formatting-message-text."""
    known = {
        "text",
        "blocks",
        "attachments",
        "channel",
        "mrkdwn",
        "parse",
        "link_names",
        "unfurl_links",
        "unfurl_media",
    }
    if content.keys() - known:
        return "invalid_arguments"
    if not content.get("text") or len(content["text"]) > 40_000:
        return "no_text"
    for attachment in content.get("attachments", []):
        if not re.fullmatch(r"#[0-9A-F]{6}", attachment["color"]):
            return "invalid_attachments"
    blocks = [*content.get("blocks", []), *(b for a in content.get("attachments", []) for b in a["blocks"])]
    if len(blocks) > 50 or not all(map(_slack_block, blocks)):
        return "invalid_blocks"
    return ""


def _slack_block(block: dict[str, Any]) -> bool:
    if block["type"] == "header":
        return block["text"]["type"] == "plain_text" and _slack_text(block["text"], 150)
    if block["type"] == "section":
        fields = block.get("fields", [])
        text = _slack_text(block["text"], 3000) if "text" in block else bool(fields)
        return text and len(fields) <= 10 and all(_slack_text(field, 2000) for field in fields)
    return (
        block["type"] == "context" and 0 < len(block["elements"]) <= 10 and all(_slack_text(e, 3000) for e in block["elements"])
    )


def _slack_text(text: dict[str, Any], limit: int) -> bool:
    options = {"emoji"} if text["type"] == "plain_text" else {"verbatim"}
    return 0 < len(text["text"]) <= limit and text.keys() <= {"type", "text"} | options


def discord(content: dict[str, Any]) -> str:
    """https://docs.discord.com/developers/resources/message#embed-object-embed-limits."""
    if content.keys() - {"content", "embeds", "allowed_mentions"}:
        return "unknown field"
    if utf16_units(content.get("content", "")) > 2000 or len(content["embeds"]) > 10:
        return "too long"
    total = 0
    for embed in content["embeds"]:
        texts = [(embed.get("title", ""), 256, 0), (embed.get("description", " "), 4096, 1), (embed["footer"]["text"], 2048, 1)]
        if len(embed["fields"]) > 25 or not 0 <= embed["color"] <= 0xFFFFFF:
            return "fields or color"
        texts += [(field["name"], 256, 1) for field in embed["fields"]]
        texts += [(field["value"], 1024, 1) for field in embed["fields"]]
        if any(not least <= utf16_units(text) <= limit for text, limit, least in texts):
            return "a text is too long or empty"
        total += sum(utf16_units(text) for text, _, _ in texts)
        if "url" in embed and urlsplit(embed["url"]).scheme not in {"http", "https"}:
            return "url"
    return "more than 6000" if total > 6000 else ""


class TelegramHtml(HTMLParser):
    """Reads the HTML of a message: `plain` after parsing, `loose` what stands outside of `code` and `pre`, `links` where they lead."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong = ""
        self.plain = self.loose = ""
        self.links: list[str] = []
        self.feed(text)
        self.close()
        if self.open:
            self.wrong = "a tag is not closed"

    @property
    def verbatim(self) -> bool:
        """Whether nothing is read as an entity here, and none may begin."""
        return bool({"code", "pre"} & set(self.open))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"a", "b", "code", "pre"} or self.verbatim:
            self.wrong = f"unsupported start tag {tag}"
        self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong = f"unexpected end tag {tag}"

    def handle_data(self, data: str) -> None:
        self.plain += data
        if not self.verbatim:
            self.loose += data

    def handle_comment(self, data: str) -> None:
        self.wrong = "a comment"


def telegram(content: dict[str, Any]) -> str:
    """https://core.telegram.org/bots/api#sendmessage and #html-style."""
    if content.keys() - {"chat_id", "text", "parse_mode", "link_preview_options", "message_thread_id"}:
        return "unknown field"
    read = TelegramHtml(content["text"])
    if read.wrong:
        return f"can't parse entities: {read.wrong}"
    if not read.plain.strip():
        return "message text is empty"
    return "message is too long" if utf16_units(read.plain) > 4096 else ""


def teams(content: dict[str, Any], size: int) -> str:
    """https://learn.microsoft.com/adaptive-cards/schema-explorer/adaptive-card and the 28 KB of a message."""
    if size > 28 * 1024:
        return "RequestEntityTooLarge"
    attachment = content["attachments"][0]
    card = attachment["content"]
    if content["type"] != "message" or attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
        return "InvalidBotAdaptiveCard"
    if card["type"] != "AdaptiveCard" or card["version"] > "1.5" or not all(map(_teams_element, card["body"])):
        return "InvalidBotAdaptiveCard"
    return "" if all(urlsplit(action["url"]).scheme for action in card.get("actions", [])) else "InvalidBotAdaptiveCard"


def _teams_element(element: dict[str, Any]) -> bool:
    if element["type"] == "Container":
        styles = {"default", "emphasis", "good", "attention", "warning", "accent"}
        return element["style"] in styles and all(map(_teams_element, element["items"]))
    runs = element.get("inlines", [])
    return element["type"] == "RichTextBlock" and bool(runs) and all(r["type"] == "TextRun" and r["text"] for r in runs)


def ntfy(content: dict[str, Any], size: int) -> str:
    """https://docs.ntfy.sh/publish/#publish-as-json and #limitations."""
    if content.keys() - {"topic", "title", "message", "priority", "tags", "click", "actions"}:
        return "unknown field"
    actions = content.get("actions", [])
    if len(actions) > 3 or any(one["action"] != "view" or not one["label"] or not urlsplit(one["url"]).scheme for one in actions):
        return "invalid request: actions invalid"
    if size > 8192 or len(content["message"].encode()) > 4096:
        return "invalid request: body too large"
    if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", content["topic"]) or not 1 <= content["priority"] <= 5:
        return "invalid request"
    return "" if "\n" not in content["title"] else "title"
