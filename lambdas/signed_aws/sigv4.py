"""AWS Signature Version 4 for a request whose body is in memory: the headers to add. Pure; a test compares it with botocore's signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs; `token` is absent for keys that do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs for one service in one region. The day's signing key is derived once; the newest one wins where threads meet."""

    def __init__(self, service: str, region: str, credentials: Credentials) -> None:
        self._scope = f"{region}/{service}/aws4_request"
        self._service, self._region = service, region
        self._credentials = credentials
        self._key = ("", b"")

    def sign(self, method: str, path: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, str]:
        """All headers to send: the given ones (`Host` among them, values without outer blanks) and those of the signature.

        `path` is quoted already and has no query. `now` is UTC.
        """
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        signed = {**headers, "X-Amz-Date": moment}
        if self._service == "s3":
            signed["X-Amz-Content-SHA256"] = digest
        if self._credentials.token:
            signed["X-Amz-Security-Token"] = self._credentials.token
        lines = sorted((name.lower(), value) for name, value in signed.items())
        names = ";".join(name for name, _ in lines)
        canonical = "\n".join([method, path, "", *(f"{name}:{value}" for name, value in lines), "", names, digest])
        scope = f"{moment[:8]}/{self._scope}"
        text = "\n".join([ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.digest(self._signing_key(moment[:8]), text.encode(), "sha256").hex()
        signed["Authorization"] = (
            f"{ALGORITHM} Credential={self._credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _signing_key(self, day: str) -> bytes:
        known, key = self._key
        if known != day:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, key)
        return key
