"""The guard against requests into our own network, and what each response means."""

import asyncio
import socket
import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from pipeline.notifiers.receivers import http
from pipeline.notifiers.receivers.port import Delivered, Failed, Refused, Result
from tests.support.receiving.hooks import HookServer


def post(url: str, *, guarded: bool = False) -> Result:
    async def _once() -> Result:
        poster = http.Poster(guarded=guarded)
        try:
            return await poster.post(url, b"{}", {"content-type": "application/json"})
        finally:
            await poster.close()

    return asyncio.run(_once())


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",  # noqa: S104
            "224.0.0.1",
        ),
        *("255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
        *("2002:a00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe", "192.0.2.1", "240.0.0.1"),
    ],
)
def test_an_address_that_is_not_public_is_recognized(address: str) -> None:
    assert not http.is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14"])
def test_a_public_address_is_recognized(address: str) -> None:
    assert http.is_public(address)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://2130706433:{port}/", "http://[::1]:{port}/"]
)
def test_the_guard_refuses_our_own_network_before_it_connects(url: str) -> None:
    with HookServer() as server:
        assert isinstance(post(url.format(port=server.port), guarded=True), Refused)
        assert not server.calls


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to another address the second time (DNS rebinding) is resolved only once."""
    with HookServer() as server:
        answers = [["93.184.215.14"], ["127.0.0.1"]]
        connected: list[str] = []

        async def _resolve(_loop: object, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            try:
                address = socket.gethostbyname(host) if host[0].isdigit() else answers.pop(0)[0]
            finally:
                connected.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", _resolve)
        monkeypatch.setattr(http, "_SECONDS", 0.2)
        assert isinstance(post(f"http://rebinding.example:{server.port}/", guarded=True), Failed)
        assert connected.count("rebinding.example") == 1
        assert not server.calls


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    async def _resolve(_loop: object, _host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, port)) for address in ("93.184.215.14", "10.0.0.1")]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", _resolve)
    assert isinstance(post("http://both.example/", guarded=True), Refused)


def test_redirects_are_not_followed() -> None:
    with HookServer() as target, HookServer(lambda _: 307) as server:
        server.response_headers = {"Location": target.url}
        assert isinstance(post(server.url), Failed)
        assert not target.calls


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Delivered()),
        (204, Delivered()),
        (400, Refused("status 400")),
        (404, Failed("status 404")),  # a deployment in progress
        (410, Refused("status 410: it wants no more")),
        (422, Refused("status 422")),
        (429, Failed("status 429")),
        (500, Failed("status 500")),
    ],
)
def test_what_a_status_means(status: int, expected: Result) -> None:
    with HookServer(lambda _: status) as server:
        assert post(server.url) == expected


def test_the_wait_that_a_server_asks_for_is_kept_up_to_an_hour() -> None:
    with HookServer(lambda _: 503) as server:
        server.response_headers = {"Retry-After": "120"}
        assert post(server.url) == Failed("status 503", timedelta(seconds=120))
        server.response_headers = {"Retry-After": "99999999"}
        assert post(server.url) == Failed("status 503", timedelta(hours=1))


def test_a_server_that_drips_is_given_up_after_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_SECONDS", 0.3)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def _drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not ended.wait(0.05):
                    connection.sendall(b"x: y\r\n")

        thread = threading.Thread(target=_drip)
        thread.start()
        assert isinstance(post(f"http://127.0.0.1:{listening.getsockname()[1]}"), Failed)
        ended.set()
        thread.join()


def test_nobody_listening_is_a_failure_to_be_retried() -> None:
    with HookServer() as server:
        port = server.port
    assert isinstance(post(f"http://127.0.0.1:{port}"), Failed)


def test_a_target_is_shown_without_path_query_and_password() -> None:
    assert http.shown("https://u:p@hooks.example.com/T0/s3cret?k=v") == "https://hooks.example.com"
