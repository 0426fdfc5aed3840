"""Where the page is served, and under which names."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from yanshou.errors import RunError
from yanshou.review.web import addresses
from yanshou.review.web.addresses import Address, listen

HERE = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_loopback_has_its_three_names() -> None:
    bound, address = listen("127.0.0.1", 0)
    with closing(bound):
        assert address == Address("127.0.0.1", bound.getsockname()[1])
    assert not address.reached_from_network
    assert address.names() == HERE
    assert address.link("/start", "a_b-c") == f"http://127.0.0.1:{address.port}/start?key=a_b-c"


def test_address_in_the_network_is_a_name_and_in_the_link() -> None:
    address = Address("192.0.2.7", 8765)
    assert address.reached_from_network
    assert address.names() == {*HERE, "192.0.2.7"}
    assert address.link("/lead", "k") == "http://192.0.2.7:8765/lead?key=k"
    assert Address("Pc-7.local", 80).names() == {*HERE, "pc-7.local"}
    assert Address("2001:db8::7", 8765).link("/", "k") == "http://[2001:db8::7]:8765/?key=k"


def test_on_all_addresses_the_link_names_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_outgoing", lambda: iter(["192.0.2.7"]))
    monkeypatch.setattr(socket, "gethostname", lambda: "Reader-PC")
    for host in ("0.0.0.0", "::"):
        address = Address(host, 8765)
        assert address.reached_from_network
        assert address.names() >= {*HERE, "192.0.2.7", "reader-pc", "reader-pc.local"}
        assert host not in address.names()
        assert address.link("/start", "k") == "http://192.0.2.7:8765/start?key=k"


def test_without_a_network_the_link_has_the_name_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_outgoing", lambda: iter(()))
    monkeypatch.setattr(socket, "gethostname", lambda: "reader-pc")
    assert Address("0.0.0.0", 80).link("/start", "k") == "http://reader-pc:80/start?key=k"


def test_port_that_is_taken(taken: int) -> None:
    with pytest.raises(RunError, match=f"^port {taken} of 127.0.0.1 cannot be used: Address already in use. Another"):
        listen("127.0.0.1", taken)


def test_port_of_a_start_that_still_imports() -> None:
    bound, address = listen("127.0.0.1", 0)
    with closing(bound), pytest.raises(RunError, match="Address already in use"):
        listen("127.0.0.1", address.port)


def test_address_of_a_family_that_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `ipv6.disable=1`, which a test cannot boot."""

    def without_ipv6(*arguments: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(addresses.socket, "socket", without_ipv6)
    with pytest.raises(RunError, match=r"port 1 of ::1 cannot be used: .*This system has no such addresses"):
        listen("::1", 1)


def test_address_of_another_machine() -> None:
    with pytest.raises(RunError, match=r"cannot be used: Cannot assign requested address. This machine does not have"):
        listen("192.0.2.7", 0)
    with pytest.raises(RunError, match=r"^--host not a name: no such address: "):
        listen("not a name", 0)
