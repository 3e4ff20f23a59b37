"""What an answer must be like beyond its status. Everything here is bounded: users choose both the assertion and the answer."""

import re
from codecs import lookup
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from core.domain.json_paths import VALUES_LIMIT, BadPath, TooManyValues, parse_path, read_json, values_at
from core.domain.outcomes import Reason

PATTERN_SIZE: Final = 1000
"""Instructions that a compiled pattern may have."""
REGEX_WORK: Final = 16 * 1024 * 1024
"""Instructions times bytes that the patterns of one check may cost at worst: about 0.15 s, a third of the lag that is tolerated."""
_PATTERN_MEMORY: Final = 256 * 1024
_SHOWN: Final = 100
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.ASCII | re.IGNORECASE)
_CHARSETS: Final = re.compile(
    r"utf-(8(-sig)?|16(-[bl]e)?)|ascii|iso8859-\d+|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|big5|euc_(jp|kr)|shift_jis|cp932"
)
"""Names of Python's codecs for texts of the web; others, such as punycode, take time that the sender chooses."""


class BadAssertion(ValueError):
    """An assertion cannot be made. `field` is the member to blame, the message is for people."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class _Assertion(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """One thing that must hold."""


class Keyword(_Assertion, frozen=True, kw_only=True, tag="keyword"):
    """A text that the body must contain, or with `absent` must not."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    absent: bool = False
    ignore_case: bool = False


class Regex(_Assertion, frozen=True, kw_only=True, tag="regex"):
    """A pattern (RE2 syntax) that the body must match somewhere, or with `absent` must not. `.` matches no line break."""

    pattern: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    absent: bool = False
    ignore_case: bool = False


class JsonValue(_Assertion, frozen=True, kw_only=True, tag="json"):
    """A value in a JSON body. Where the path has wildcards, there must be such values and all must compare."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=300, description="JSONPath of .name, ['name'], [0] and [*].")]
    comparison: Literal["exists", "equals", "not_equals", "less_than", "greater_than", "contains"] = "exists"
    value: (
        Annotated[str, msgspec.Meta(max_length=500)] | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | float | bool | None
    ) = None


class HeaderValue(_Assertion, frozen=True, kw_only=True, tag="header"):
    """A header of the last answer."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    comparison: Literal["exists", "absent", "equals", "contains"] = "exists"
    value: Annotated[str, msgspec.Meta(max_length=500)] = ""


class FinalUrl(_Assertion, frozen=True, kw_only=True, tag="final_url"):
    """The URL at the end of all redirects."""

    comparison: Literal["equals", "contains", "starts_with"] = "equals"
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class CertificateDays(_Assertion, frozen=True, kw_only=True, tag="certificate_days"):
    """Days that the certificate of the last answer must still be valid."""

    at_least: Annotated[int, msgspec.Meta(ge=1, le=365)]


type Assertion = Keyword | Regex | JsonValue | HeaderValue | FinalUrl | CertificateDays


@dataclass(frozen=True)
class Evidence:
    """The last answer. `body` is decoded; `is_cut` says that there was, or may have been, more of it. Header names are in lower case."""

    body: bytes
    is_cut: bool
    headers: Sequence[tuple[str, str]]
    final_url: str
    certificate_not_after: datetime | None
    at: datetime

    @cached_property
    def text(self) -> str:
        """The body as text, in the character set that the answer names."""
        content_type = next((value for name, value in self.headers if name == "content-type"), "")
        return self.body.decode(_codec(content_type), errors="replace")

    @cached_property
    def document(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return read_json(self.body)

    @cached_property
    def utf8(self) -> bytes:
        """The text in UTF-8."""
        return self.text.encode(errors="replace")


type Broken = tuple[Reason, str]
"""Why an answer is not well, and a sentence about it."""


def needs_body(assertions: Sequence[Assertion]) -> bool:
    """Whether any of the assertions is about the body."""
    return any(isinstance(assertion, Keyword | Regex | JsonValue) for assertion in assertions)


def needs_certificate(assertions: Sequence[Assertion]) -> bool:
    """Whether any of the assertions is about the certificate."""
    return any(isinstance(assertion, CertificateDays) for assertion in assertions)


def check_assertions(assertions: Sequence[Assertion]) -> None:
    """Refuse what can never be evaluated.

    Raises:
        BadAssertion: with `<index>.<member>` as field.
    """
    for index, assertion in enumerate(assertions):
        try:
            if isinstance(assertion, Regex):
                _pattern(assertion.pattern, ignore_case=assertion.ignore_case)
            elif isinstance(assertion, JsonValue):
                _check_json(assertion)
        except BadAssertion as bad:
            raise BadAssertion(f"{index}.{bad.field}", str(bad)) from bad


def first_broken(assertions: Sequence[Assertion], evidence: Evidence) -> Broken | None:
    """The first assertion that does not hold, in the order given."""
    regexes = [_pattern(one.pattern, ignore_case=one.ignore_case) for one in assertions if isinstance(one, Regex)]
    room = REGEX_WORK // max(sum(pattern.programsize for pattern in regexes), 1)
    for assertion in assertions:
        broken = (
            _regex(assertion, evidence, room) if isinstance(assertion, Regex) else _JUDGES[type(assertion)](assertion, evidence)
        )
        if broken:
            return broken
    return None


def _keyword(assertion: Keyword, evidence: Evidence) -> Broken | None:
    text, wanted = evidence.text, assertion.text
    found = wanted.lower() in text.lower() if assertion.ignore_case else wanted in text
    return _presence(Reason.ASSERTION_KEYWORD, repr(wanted), found=found, absent=assertion.absent, is_cut=evidence.is_cut)


def _regex(assertion: Regex, evidence: Evidence, room: int) -> Broken | None:
    searched = evidence.utf8[:room]
    is_cut = evidence.is_cut or len(searched) < len(evidence.utf8)
    found = _pattern(assertion.pattern, ignore_case=assertion.ignore_case).search(searched) is not None
    what = f"a match of {assertion.pattern!r}"
    return _presence(Reason.ASSERTION_REGEX, what, found=found, absent=assertion.absent, is_cut=is_cut)


def _presence(reason: Reason, what: str, *, found: bool, absent: bool, is_cut: bool) -> Broken | None:
    if found:
        return (reason, f"the body contains {what}") if absent else None
    if is_cut:
        return Reason.BODY_LIMIT, f"the part of the body that is read does not contain {what}"
    return None if absent else (reason, f"the body does not contain {what}")


def _json(assertion: JsonValue, evidence: Evidence) -> Broken | None:
    if evidence.is_cut:
        return Reason.BODY_LIMIT, "the body is too long to be read as JSON"
    try:
        values = values_at(evidence.document, parse_path(assertion.path))
    except ValueError as error:
        return Reason.ASSERTION_JSON, f"the body is not JSON: {error}"
    except TooManyValues:
        return Reason.BODY_LIMIT, f"there are more than {VALUES_LIMIT} values at {assertion.path}"
    if not values:
        return Reason.ASSERTION_JSON, f"there is nothing at {assertion.path}"
    compare = _COMPARISONS[assertion.comparison]
    wrong = next((value for value in values if not compare(value, assertion.value)), None) if compare else None
    if compare is None or all(compare(value, assertion.value) for value in values):
        return None
    words = assertion.comparison.replace("_", " ")
    return Reason.ASSERTION_JSON, f"{assertion.path} is {_shown(wrong)}, expected: {words} {_shown(assertion.value)}"


def _header(assertion: HeaderValue, evidence: Evidence) -> Broken | None:
    values = [value for name, value in evidence.headers if name == assertion.name.lower()]
    wanted = assertion.value
    tests: dict[str, bool] = {
        "exists": bool(values),
        "absent": not values,
        "equals": wanted in values,
        "contains": any(wanted in value for value in values),
    }
    if tests[assertion.comparison]:
        return None
    expected = f"{assertion.comparison} {assertion.value!r}" if assertion.value else assertion.comparison
    shown = ", ".join(map(_shown, values[:3])) or "not there"
    return Reason.ASSERTION_HEADER, f"the header {assertion.name} is {shown}, expected: {expected}"


def _final_url(assertion: FinalUrl, evidence: Evidence) -> Broken | None:
    url, value = evidence.final_url, assertion.value
    tests = {"equals": url == value, "contains": value in url, "starts_with": url.startswith(value)}
    if tests[assertion.comparison]:
        return None
    return Reason.ASSERTION_FINAL_URL, f"the last URL is {url}, expected: {assertion.comparison.replace('_', ' ')} {value!r}"


def _certificate(assertion: CertificateDays, evidence: Evidence) -> Broken | None:
    if evidence.certificate_not_after is None:
        return Reason.ASSERTION_CERTIFICATE, "the last answer came without a certificate"
    left = (evidence.certificate_not_after - evidence.at).days
    if left >= assertion.at_least:
        return None
    return Reason.ASSERTION_CERTIFICATE, f"the certificate is valid for {left} more days, expected: at least {assertion.at_least}"


_JUDGES: Final[dict[type, Callable[[Any, Evidence], Broken | None]]] = {
    Keyword: _keyword,
    JsonValue: _json,
    HeaderValue: _header,
    FinalUrl: _final_url,
    CertificateDays: _certificate,
}


def _equal(found: Any, wanted: Any) -> bool:
    """As in JSON: `true` is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _in_order(low: Any, high: Any) -> bool:
    """Numbers by size, texts by character, nothing else."""
    if isinstance(low, bool) or isinstance(high, bool):
        return False
    both_numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return bool(low < high) if both_numbers or (isinstance(low, str) and isinstance(high, str)) else False


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list) and any(_equal(one, wanted) for one in found)


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool] | None]] = {
    "exists": None,
    "equals": _equal,
    "not_equals": lambda found, wanted: not _equal(found, wanted),
    "less_than": _in_order,
    "greater_than": lambda found, wanted: _in_order(wanted, found),
    "contains": _contains,
}


def _check_json(assertion: JsonValue) -> None:
    try:
        parse_path(assertion.path)
    except BadPath as bad:
        raise BadAssertion("path", str(bad)) from bad


@lru_cache(maxsize=256)
def _pattern(pattern: str, *, ignore_case: bool) -> Any:
    import re2  # noqa: PLC0415  (2.5 MB: only for who has patterns)

    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.never_capture = True
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else ""
        raise BadAssertion("pattern", text.decode(errors="replace") if isinstance(text, bytes) else str(text)) from error
    if compiled.programsize > PATTERN_SIZE:
        raise BadAssertion("pattern", f"compiles to {compiled.programsize} instructions; {PATTERN_SIZE} are allowed")
    return compiled


def _codec(content_type: str) -> str:
    named = _CHARSET.search(content_type)
    if named is None:
        return "utf-8"
    try:
        name = lookup(named[1]).name
    except LookupError:
        return "utf-8"
    return name if _CHARSETS.fullmatch(name) else "utf-8"


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
