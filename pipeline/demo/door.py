"""The live demo's way in: the public listener, over HTTP, as anybody's systems and customers reach it."""

import http.client
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

_SECONDS = 60  # more than a listener ever waits before it says that it cannot
_LATER = frozenset({429, 502, 503, 504})


class Refused(Exception):
    """The door will never take this: ours is the mistake."""


class Door:
    """A public listener, and a key to it."""

    def __init__(self, address: str, key: str) -> None:
        found = urlsplit(address)
        self._host, self._port = found.hostname or "", found.port
        self._key = key

    def bring(self, events: Sequence[bytes]) -> bool:
        """Send events in one request. True: they are durable; False: send the same again later. Raises Refused."""
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/cloudevents-batch+json",
        }
        return self._post("/v1/events", b"[" + b",".join(events) + b"]", headers, {202})

    def fill_in(self, token: str, fields: Sequence[tuple[str, str]]) -> bool:
        """Send a form. True: recorded, or its link is closed; False: send the same again later. Raises Refused."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self._post(f"/f/{quote(token)}", urlencode(fields).encode(), headers, {200, 404})

    def _post(self, path: str, body: bytes, headers: dict[str, str], done: set[int]) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if status not in done | _LATER:
            raise Refused(f"{path.split('/')[1]} answered {status}")
        return status in done
