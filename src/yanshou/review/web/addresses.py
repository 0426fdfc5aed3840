"""Where the page is served: the socket, the names under which it may be asked for, and the links that open it.

    --host 127.0.0.1      http://127.0.0.1:8765/start?key=…      localhost, 127.0.0.1, [::1]
    --host 192.168.1.20   http://192.168.1.20:8765/start?key=…   and 192.168.1.20
    --host 0.0.0.0        http://192.168.1.20:8765/start?key=…   and all addresses and names of this machine

A request that names another host is refused: some page of the Internet would have led the browser here by DNS.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

from yanshou.errors import RunError
from yanshou.settings.review import is_loopback
from yanshou.text import printable

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
TEST_ADDRESSES = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # RFC 5737, RFC 3849: of no machine
BACKLOG = 128

CURES = {
    errno.EADDRINUSE: "Another program uses the port, perhaps another `yanshou review`. End that, or choose another "
    "--port.",
    errno.EACCES: "Ports below 1024 are for the system's own programs. Choose a higher --port.",
    errno.EAFNOSUPPORT: "This system has no such addresses, perhaps no IPv6. Give another --host.",
    errno.EADDRNOTAVAIL: "This machine does not have the address. `ip address` lists its addresses; 0.0.0.0 means all.",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is served."""

    host: str  # as it was given
    port: int

    @property
    def reached_from_network(self) -> bool:
        """Whether other machines reach it."""
        return not is_loopback(self.host)

    def names(self) -> frozenset[str]:
        """The hosts that a request may name, in lower case, without port and brackets."""
        if not self.reached_from_network:
            return LOOPBACK | {self.host.lower()}
        own = set(_own_names()) if _is_unspecified(self.host) else {self.host}
        return LOOPBACK | {name.lower() for name in own}

    def link(self, path: str, key: str) -> str:
        """The URL that opens a page: for another machine, it names this one."""
        host = _reached_as() if _is_unspecified(self.host) else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}{path}?key={quote(key, safe='')}"


def listen(host: str, port: int) -> tuple[socket.socket, Address]:
    """The socket, and its address. Whoever connects waits until it is served. Raises RunError."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise RunError(
            f"--host {printable(host)}: no such address: {error}. Give an address of this machine."
        ) from error
    try:
        bound = _bound(socket.socket(family, kind, protocol), where)
    except OSError as error:
        raise RunError(
            f"port {port} of {printable(host)} cannot be used: {os.strerror(error.errno or 0)}. "
            f"{CURES.get(error.errno or 0, 'Choose another --host or --port.')}"
        ) from error
    return bound, Address(host, bound.getsockname()[1])


def _bound(made: socket.socket, where: Any) -> socket.socket:
    """The socket, listening; `where` is an address of its family. It is closed where that fails. Raises OSError."""
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else the port stays taken for a minute
        made.bind(where)
        made.listen(BACKLOG)  # from now on another start is refused
    except OSError:
        made.close()
        raise
    return made


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _own_names() -> Iterator[str]:
    """Names and addresses of this machine, as far as it knows them."""
    name = socket.gethostname()
    yield from (name, f"{name}.local", socket.getfqdn())
    with suppress(OSError):
        yield from (_plain(found[4][0]) for found in socket.getaddrinfo(name, None))
    yield from _outgoing()


def _outgoing() -> Iterator[str]:
    """The addresses that this machine uses towards others. Nothing is sent."""
    for family, other in TEST_ADDRESSES:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))
            yield _plain(probe.getsockname()[0])


def _reached_as() -> str:
    return next(_outgoing(), None) or socket.gethostname()


def _plain(address: str | int) -> str:
    """The address without a zone (`%eth0`)."""
    found = ip_address(str(address))
    return str(IPv6Address(int(found))) if isinstance(found, IPv6Address) else str(found)
