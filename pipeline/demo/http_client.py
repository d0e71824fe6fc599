"""HTTP client of the live demo: it sends events and forms to the public listener as any other system would."""

import http.client
from collections.abc import Sequence
from urllib.parse import quote, urlencode, urlsplit

_TIMEOUT_SECONDS = 60  # longer than a listener waits before it answers 503
_RETRIABLE = frozenset({429, 502, 503, 504})


class Refused(Exception):
    """The listener rejected a request that no retry would make acceptable."""


class HttpClient:
    """A client of one public listener, with an API key.

    Each method returns True when the request is done, False when the same request should be sent again later (the
    listener is busy or cannot be reached), and raises Refused on any other status.
    """

    def __init__(self, address: str, key: str) -> None:
        url = urlsplit(address)
        self._host, self._port = url.hostname or "", url.port
        self._key = key

    def send_events(self, events: Sequence[bytes]) -> bool:
        """Send events in one request. True: they are durable."""
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/cloudevents-batch+json",
        }
        return self._post("/v1/events", b"[" + b",".join(events) + b"]", headers, {202})

    def submit_form(self, token: str, fields: Sequence[tuple[str, str]]) -> bool:
        """Submit the form behind a link. True: the answer is recorded, or the link is closed."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self._post(f"/f/{quote(token)}", urlencode(fields).encode(), headers, {200, 404})

    def _post(self, path: str, body: bytes, headers: dict[str, str], done: set[int]) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if status not in done | _RETRIABLE:
            raise Refused(f"{path.split('/')[1]} answered {status}")
        return status in done
