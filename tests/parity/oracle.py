"""httpx as the judge: the same question, in the same time, answered by somebody else."""

import asyncio
import ssl

import httpx


async def is_up(
    url: str,
    *,
    method: str = "GET",
    timeout_s: float = 1.0,
    redirects: int = 10,
    sni: str | None = None,
    tls: ssl.SSLContext | bool = True,
) -> bool:
    """Whether httpx gets a whole answer of success within `timeout_s`, redirects and all. `sni` is the name that TLS is about."""
    extensions = {"sni_hostname": sni} if sni else {}
    async with httpx.AsyncClient(
        follow_redirects=True, max_redirects=redirects, verify=tls, timeout=timeout_s, trust_env=False
    ) as client:
        try:
            async with asyncio.timeout(timeout_s):
                answered = await client.request(method, url, extensions=extensions)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
            return False
    return answered.is_success
