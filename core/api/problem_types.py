"""Every kind of error that the API answers with; `docs/reference/problems.md` has a section for each.

A type's URI is `/problems/<code>`, relative to the API's host, and stable: clients may compare it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of error. `meaning` says what happened and what to do about it."""

    code: str
    status: int
    title: str
    meaning: str

    @property
    def uri(self) -> str:
        """The `type` member of RFC 9457."""
        return f"/problems/{self.code}"


VALIDATION: Final = ProblemType(
    "validation", 400, "The request is not valid", "`errors` names each field, what is wrong with it, and a code for machines."
)
MALFORMED: Final = ProblemType("malformed", 400, "The request cannot be read", "The body is not JSON, or the request is broken.")
UNAUTHENTICATED: Final = ProblemType(
    "unauthenticated", 401, "Credentials are missing or not valid", "Log in again, or send a valid API key."
)
FORBIDDEN: Final = ProblemType("forbidden", 403, "Not allowed", "Your role or your API key may not do this.")
NOT_FOUND: Final = ProblemType("not-found", 404, "Not found", "There is no such thing, or it belongs to another workspace.")
METHOD_NOT_ALLOWED: Final = ProblemType(
    "method-not-allowed", 405, "Method not allowed", "The header `Allow` lists the methods of this address."
)
CONFLICT: Final = ProblemType("conflict", 409, "Not possible in the present state", "`detail` says what has to change first.")
LENGTH_REQUIRED: Final = ProblemType(
    "length-required", 411, "The length of the body is missing", "Send `Content-Length`; bodies in chunks are not read."
)
TOO_LARGE: Final = ProblemType("too-large", 413, "The body is too large", "Bodies end at 256 KiB.")
UNSUPPORTED_MEDIA_TYPE: Final = ProblemType(
    "unsupported-media-type", 415, "Unsupported media type", "Send JSON, with `Content-Type: application/json`."
)
THROTTLED: Final = ProblemType(
    "throttled", 429, "Too many requests", "Wait for as many seconds as the header `Retry-After` says."
)
INTERNAL: Final = ProblemType(
    "internal", 500, "Something went wrong here", "Our fault. The header `X-Request-Id` finds it in the logs."
)
EDGE_UNREACHABLE: Final = ProblemType(
    "edge-unreachable", 503, "The edge cannot be reached", "Nothing was changed. Try again in a moment."
)
UNAVAILABLE: Final = ProblemType(
    "unavailable", 503, "Temporarily unavailable", "The database does not answer. Try again in a moment."
)

PROBLEM_TYPES: Final = {
    kind.code: kind
    for kind in (
        VALIDATION,
        MALFORMED,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        LENGTH_REQUIRED,
        TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        THROTTLED,
        INTERNAL,
        EDGE_UNREACHABLE,
        UNAVAILABLE,
    )
}
