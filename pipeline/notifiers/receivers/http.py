"""HTTP to receivers: one POST with a limit for the whole exchange, no redirects, no proxy; the guard against SSRF.

A URL that somebody else gave could lead into our own network. With the guard the name is resolved first, every address
is checked, and the connection goes to the address that was checked, whatever the name resolves to afterwards.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import httpx

from pipeline.notifiers.receivers.port import Delivered, Failed, Refused, Result

_SECONDS = 10.0  # for the whole exchange: a server that drips bytes reaches no limit of a single read
_LONGEST_WAIT = timedelta(hours=1)  # of those that a receiver may ask for
_GONE = 410
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TRY_AGAIN = frozenset({408, 425, 429})
_CONNECTIONS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """The address is not one that may be connected to."""


class Poster:
    """Posts to one receiver. `guarded`: only to public addresses."""

    def __init__(self, *, guarded: bool, auth: tuple[str, str] | None = None) -> None:
        self._guarded = guarded
        self._client = httpx.AsyncClient(
            auth=auth,
            trust_env=False,  # no proxy: it would resolve the name again
            follow_redirects=False,
            timeout=_SECONDS,
            limits=_CONNECTIONS,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Result:
        """Make one attempt. 2xx: delivered. 410, or a wrong request: refused. The rest: failed."""
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._post(url, body, headers)
        except Forbidden as why:
            return Refused(str(why))
        except TimeoutError:
            return Failed(f"no response within {_SECONDS:.0f} seconds")
        except OSError as error:
            return Failed(f"no connection ({type(error).__name__})")
        except httpx.HTTPError as error:
            return Failed(f"no valid response ({type(error).__name__})")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Result:
        parts = urlsplit(url)
        host, extensions = parts.hostname or "", {}
        if self._guarded:
            address = await public_address(host, parts.port or (443 if parts.scheme == "https" else 80))
            url, extensions = _pinned(parts, address), {"sni_hostname": host}
        request = self._client.build_request(
            "POST",
            url,
            content=body,
            headers={**headers, "Host": parts.netloc.rpartition("@")[2]},
            extensions=extensions,
        )
        response = await self._client.send(request, stream=True)
        try:
            return _result(response)
        finally:
            await _finish(response)


async def public_address(host: str, port: int) -> str:
    """An address of the host. Raises Forbidden if any of its addresses is not public, OSError if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    for address in addresses:
        if not is_public(address):
            raise Forbidden("the address is not a public one: set allow_private_addresses if that is intended")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether an address is on the public internet, also by the IPv4 address that an IPv6 address contains."""
    address: _Address = ipaddress.ip_address(text)
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(str(embedded))
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _pinned(parts: SplitResult, address: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}").geturl()


def _result(response: httpx.Response) -> Result:
    status = response.status_code
    if 200 <= status < 300:
        return Delivered()
    why = f"status {status}"
    if status == _GONE:
        return Refused(f"{why}: it wants no more")
    if 400 <= status < 500 and status not in _TRY_AGAIN and status not in (401, 403, 404):
        return Refused(why)
    return Failed(why, _retry_after(response))


def _retry_after(response: httpx.Response) -> timedelta | None:
    value = response.headers.get("Retry-After", "")
    if value.isdecimal() and len(value) < 9:
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    try:
        parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    return _LONGEST_WAIT


async def _finish(response: httpx.Response) -> None:
    """Read a short rest, so that the connection can be used again; close it if there is more."""
    try:
        async for _ in _limited(response):
            pass
    except httpx.HTTPError:
        pass
    await response.aclose()


async def _limited(response: httpx.Response):  # type: ignore[no-untyped-def]
    total = 0
    async for chunk in response.aiter_raw():
        total += len(chunk)
        yield chunk
        if total > 64 << 10:
            return


def check_url(url: str) -> str | None:
    """What is wrong with the URL of a receiver; None: nothing."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be a URL that begins with https:// or http://"
    if parts.username or parts.password:
        return "must not contain a user or password"
    return None


def shown(url: str) -> str:
    """The URL without path and query, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
