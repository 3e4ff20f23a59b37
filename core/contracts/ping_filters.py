"""Content filters of a heartbeat: what its plain pings say by words in their bodies. Pure; the ping Lambda reads only this.

They are stored as JSON, all members optional: `{"fail": ["ERROR"], "success": ["done"], "start": [], "otherwise": "ignore"}`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

IGNORED: Final = "log"
"""What a ping becomes that no keyword matches: it is kept, and changes nothing."""

ORDER: Final = ("fail", "success", "start")
"""The first of these with a matching keyword decides: bad news first."""

OTHERWISE: Final = {"ignore": IGNORED, "fail": "fail"}


@dataclass(frozen=True, slots=True)
class Filters:
    """Keywords by what they mean, as bytes: a body has no encoding that one could rely on. Case matters."""

    keywords: tuple[tuple[str, tuple[bytes, ...]], ...]
    otherwise: str

    @classmethod
    def load(cls, text: str) -> Self:
        """Filters as they are stored."""
        stored: Mapping[str, Any] = json.loads(text)
        keywords = tuple((kind, tuple(word.encode() for word in stored.get(kind, ()))) for kind in ORDER)
        return cls(keywords, OTHERWISE[stored.get("otherwise", "ignore")])

    def kind(self, texts: Iterable[bytes]) -> str:
        """The kind of a plain ping with these texts (a body; of an e-mail its subject too)."""
        found = list(texts)
        for kind, words in self.keywords:
            if any(word in text for word in words for text in found):
                return kind
        return self.otherwise
