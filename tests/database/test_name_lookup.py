"""The name of the database server is looked up with a limit, whatever the resolver of the system does."""

from __future__ import annotations

import socket
import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from painchain.database import deadlines, name_lookup, postgresql
from tests.conftest import WITH_POSTGRES
from tests.support.postgresql import postgres_url

RESOLVER = socket.getaddrinfo
NAME = "database.example"


class Resolver:
    """Answers for `NAME` only when it is released, as a resolver without network does."""

    def __init__(self) -> None:
        self.released, self.asked = threading.Event(), 0

    def __call__(self, host: str, *arguments: Any, **more: Any) -> Any:
        if host != NAME:
            return RESOLVER(host, *arguments, **more)
        self.asked += 1
        assert self.released.wait(60)
        return RESOLVER("127.0.0.1", *arguments, **more)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


@WITH_POSTGRES
def test_a_resolver_without_answer_holds_nobody(resolver: Resolver) -> None:
    url = make_url(postgres_url("postgres"))
    driver = postgresql.driver()
    parameters = {"host": NAME, "port": url.port, "dbname": url.database, "user": url.username}
    for _ in range(2):  # the second asks a server that counts as silent
        with deadlines.within(1.5), pytest.raises(psycopg.errors.ConnectionTimeout, match="was not resolved within"):
            driver.connect(**parameters)
    assert not resolver.released.is_set()
    assert resolver.asked == 1, "both wait for the same lookup"
    resolver.released.set()
    with driver.connect(**parameters) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.info.host == NAME, "by which TLS verifies the server"


def test_a_host_is_repeated_for_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"one.example": ["192.0.2.1", "2001:db8::1"], "two.example": ["192.0.2.2"]}

    def resolve(host: str, *arguments: Any, **more: Any) -> list[Any]:
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(None, None, None, "", (address, 0)) for address in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def lookup(**parameters: Any) -> Any:
        found = name_lookup.with_addresses(parameters, 5)
        return found["host"], found.get("port"), found.get("hostaddr")

    both = ("one.example,one.example,two.example", "1,1,2", "192.0.2.1,2001:db8::1,192.0.2.2")
    assert lookup(host="one.example,two.example", port="1,2") == both
    assert lookup(host="one.example,none.example", port=5) == ("one.example,one.example", "5,5", both[2][:21])
    assert lookup(host="one.example") == ("one.example,one.example", None, both[2][:21])
    assert lookup(host="192.0.2.9", port=5) == ("192.0.2.9", "5", "192.0.2.9")
    assert lookup(host="/run/postgresql", port=5) == ("/run/postgresql", "5", None)
    assert lookup(host="one.example", port=5, hostaddr="192.0.2.7") == ("one.example", 5, "192.0.2.7")
    for unchanged in ({"dbname": "x"}, {"host": "one.example,two.example", "port": "1,2,3"}):
        assert name_lookup.with_addresses(unchanged, 5) == unchanged
    with pytest.raises(socket.gaierror, match="Name or service"):
        lookup(host="none.example")
    with pytest.raises(psycopg.OperationalError, match=r"failed to resolve host 'none\.example'"):
        postgresql.driver().connect(host="none.example")
