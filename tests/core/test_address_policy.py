"""PainChain connects to public addresses, to private ones if a setting allows it, and to some addresses never."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.connectors.contract import ErrorKind, PollContext, PollError
from painchain.connectors.http_client import HttpClient
from painchain.connectors.kubernetes.watch import watch
from painchain.core import address_policy, config
from painchain.core.address_policy import AddressRefused
from painchain.core.http_transport import GuardedAsyncTransport
from painchain.ingestion import polling
from painchain.notifications import delivery
from painchain.startup import create_app
from tests.conftest import close
from tests.counterparts import as_json, run_fake_server
from tests.support.fake_cluster import TOKEN, FakeCluster
from tests.support.html import fill, form_of, soup, texts

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)

NEVER = (
    *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "febf::1"),  # link-local
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),  # metadata
    *("0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "ff02::1", "255.255.255.255", "240.0.0.1"),
    *("::ffff:169.254.169.254", "::a9fe:a9fe", "::ffff:0:169.254.169.254", "::ffff:0.0.0.0"),
    *("64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254", "2002:a9fe:a9fe::1", "64:ff9b::255.255.255.255"),
    *("2001:0:a9fe:a9fe::1", "2001::5601:5601", "2606:4700::5efe:169.254.169.254", "64:ff9b::100.100.100.200"),
)
PRIVATE = (
    *("127.0.0.1", "127.8.8.8", "::1", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("fc00::1", "fdff::1", "fec0::1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "64:ff9b:1::8.8.8.8"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.5", "64:ff9b::10.0.0.5", "2002:a00:5::1", "::7f00:1", "::ffff:0:10.0.0.5"),
)
PUBLIC = ("140.82.121.3", "8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "172.32.0.1", "100.128.0.1")


def refusals(*addresses: str) -> list[str]:
    """Return the message of each refused address, and "" for each allowed one."""

    def refusal_of(address: str) -> str:
        try:
            address_policy.check_address(address)
        except AddressRefused as problem:
            return str(problem)
        return ""

    return [refusal_of(address) for address in addresses]


def test_some_addresses_are_always_blocked() -> None:
    for allowed in ((), address_policy.EVERYWHERE):
        address_policy.allow_networks(allowed)
        messages = dict(zip(NEVER, refusals(*NEVER), strict=True))
        assert [address for address, words in messages.items() if "never connects" not in words] == []


def test_private_addresses_are_used_only_if_a_setting_allows_them() -> None:
    address_policy.allow_networks(())
    messages = dict(zip(PRIVATE, refusals(*PRIVATE), strict=True))
    assert [address for address, words in messages.items() if address_policy.SETTING not in words] == []
    assert refusals(*PUBLIC) == [""] * len(PUBLIC)
    address_policy.allow_networks(address_policy.parse_networks("yes"))
    assert refusals(*PRIVATE, *PUBLIC) == [""] * (len(PRIVATE) + len(PUBLIC))
    address_policy.allow_networks(address_policy.parse_networks("10.0.0.0/8"))
    assert [not words for words in refusals("10.0.0.5", "::ffff:10.0.0.5", "64:ff9b::10.0.0.5")] == [True] * 3
    assert all(refusals("127.0.0.1", "192.168.1.1", "::1", "fd00::1"))


def test_a_refusal_names_the_address_and_the_setting_that_allows_it() -> None:
    address_policy.allow_networks(())
    with pytest.raises(AddressRefused) as private:
        address_policy.check_address("10.0.0.5", "gitlab.lan")
    assert str(private.value) == (
        "gitlab.lan is at 10.0.0.5, an address of a private network. To allow connections to it, set "
        "PAINCHAIN_ALLOW_PRIVATE_ADDRESSES=10.0.0.5 on the server (or a network such as 10.0.0.0/8, or yes) and "
        "restart PainChain."
    )
    with pytest.raises(AddressRefused) as never:
        address_policy.check_address("169.254.169.254", "metadata.example")
    assert str(never.value) == (
        "metadata.example is at 169.254.169.254, a link-local address, where metadata services of clouds return "
        "credentials. PainChain never connects to such addresses."
    )
    assert refusals("::1")[0].startswith("::1 is an address of this machine itself.")


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[list[str]]]]:
    """A fake name server: each name has a list of answers, one per lookup; the last answer is repeated."""
    resolutions: dict[str, list[list[str]]] = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *about: Any, **more: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in resolutions:
            return look_up(host, port, *about, **more)
        resolved = resolutions[name].pop(0) if len(resolutions[name]) > 1 else resolutions[name][0]
        return [result for address in resolved for result in look_up(address, port, *about, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return resolutions


def poll_error(url: str) -> PollError | None:
    try:
        with HttpClient(url, {}, NOW) as client:
            client.get("things")
    except PollError as problem:
        return problem
    return None


def test_the_connection_uses_the_checked_address(lookups: dict[str, list[list[str]]]) -> None:
    """The first lookup of the name returns this machine, later ones an address where nothing listens."""
    lookups["far.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    with run_fake_server(as_json([])) as fake_server:
        assert poll_error(f"http://far.example:{fake_server.port}") is None
        assert fake_server.requests[0].headers["host"] == f"far.example:{fake_server.port}"
    assert lookups["far.example"] == [["127.0.0.2"]]


def test_one_blocked_address_blocks_the_host_name(lookups: dict[str, list[list[str]]]) -> None:
    with run_fake_server(as_json([])) as fake_server:
        for last in ("169.254.169.254", "10.0.0.5", "fd00:ec2::254"):
            lookups["far.example"] = [["127.0.0.1", last]]
            problem = poll_error(f"http://far.example:{fake_server.port}")
            assert problem is not None
            assert str(problem).startswith(f"far.example is at {last}, a")
            assert problem.kind is ErrorKind.SETTINGS
        assert fake_server.requests == []


def test_if_an_address_does_not_answer_the_next_is_tried(lookups: dict[str, list[list[str]]]) -> None:
    lookups["far.example"] = [["127.0.0.99", "127.0.0.1"]]
    with run_fake_server(as_json([])) as fake_server:
        assert poll_error(f"http://far.example:{fake_server.port}") is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_no_notation_of_an_address_bypasses_the_default(host: str) -> None:
    address_policy.allow_networks(())
    with run_fake_server(as_json([])) as fake_server:
        problem = poll_error(f"http://{host}:{fake_server.port}")
        assert problem is not None
        assert "PAINCHAIN_ALLOW_PRIVATE_ADDRESSES=" in str(problem)
        assert fake_server.requests == []


def run_async(work: Awaitable[Any]) -> None:
    """Run a coroutine in a new thread, because an event loop of the browser tests may run in this one."""

    async def do() -> None:
        await work

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, do()).result()


def test_a_watch_does_not_connect_to_blocked_addresses(lookups: dict[str, list[list[str]]]) -> None:
    async def get(url: str) -> None:
        async with httpx2.AsyncClient(transport=GuardedAsyncTransport(ssl.create_default_context())) as client:
            await client.get(url)

    lookups["far.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    with run_fake_server(as_json([])) as fake_server:
        run_async(get(f"http://far.example:{fake_server.port}/"))
        assert len(fake_server.requests) == 1
        address_policy.allow_networks(())
        with pytest.raises(Exception, match="PAINCHAIN_ALLOW_PRIVATE_ADDRESSES"):
            run_async(get(fake_server.url))
        context = PollContext(
            {"api_server": fake_server.url, "token": TOKEN}, {"server": fake_server.url, "streams": {}}, NOW
        )
        with pytest.raises(PollError, match=r"127\.0\.0\.1 is an address of this machine itself"):
            run_async(anext(watch(context)))
        assert len(fake_server.requests) == 1


LOOPBACK_REFUSAL = "127.0.0.1 is an address of this machine itself. To allow connections to it"
NEW = "/settings/integrations/new"


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_blocked_address_is_reported_by_connection_test_and_poll(app: Flask, client: FlaskClient) -> None:
    address_policy.allow_networks(())
    with run_fake_server(FakeCluster()) as fake_server:
        for type_key, key in (("github", "base_url"), ("gitlab", "base_url"), ("kubernetes", "api_server")):
            values = {"name": type_key, "token": TOKEN, "enabled": True, key: fake_server.url}
            form = fill(form_of(client.get(f"{NEW}/{type_key}"), "#new"), **values)
            assert LOOPBACK_REFUSAL in texts(soup(client.post(f"{NEW}/{type_key}/test", data=form)), "#test_result")[0]
            page = client.post(f"{NEW}/{type_key}", data=form).location
            with app.app_context():
                lease = polling.acquire(datetime.now(UTC))
                assert lease is not None
                polling.poll(lease, lambda: datetime.now(UTC))
            assert LOOPBACK_REFUSAL in texts(soup(client.get(page)), "main")[0]
        assert fake_server.requests == []


def test_messages_are_not_sent_to_blocked_addresses() -> None:
    with run_fake_server(as_json({})) as fake_server:
        delivery.send(f"json://127.0.0.1:{fake_server.port}/", "title", "text")
        assert len(fake_server.requests) == 1
        address_policy.allow_networks(())
        for url in (
            f"json://localhost:{fake_server.port}/",
            f"mailto://me:pw@example.com?smtp=127.0.0.1&port={fake_server.port}",
        ):
            with pytest.raises(delivery.NotSent, match=f"this machine itself.*{address_policy.SETTING}"):
                delivery.send(url, "title", "text")
        assert len(fake_server.requests) == 1
        with socket.create_connection(("127.0.0.1", fake_server.port)):
            pass  # connections by other code are not checked


def test_private_addresses_are_blocked_by_default(tmp_path: Path) -> None:
    close(create_app(config.load({"PAINCHAIN_INSTANCE": str(tmp_path)})))
    assert address_policy.SETTING in refusals("127.0.0.1")[0]
