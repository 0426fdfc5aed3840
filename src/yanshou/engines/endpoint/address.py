"""The address of a server, and what of it is secret.

    http://user:password@10.0.0.5:8000/v1/     --endpoint
    http://10.0.0.5:8000/v1                    Address.base_url: what is requested, shown and recorded
    Authorization: Basic dXNlcjpwYXNzd29yZA==  Address.authorization

Key and password appear in no message: what a server or a library says goes through `Address.hide` first.
"""

import base64
import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from yanshou.errors import UsageError
from yanshou.text import printable, truncate

KEY = "YANSHOU_ENDPOINT_KEY"
EXAMPLE = "http://127.0.0.1:8000/v1"
SHORTEST = 4  # characters of a secret that is looked for in texts: shorter ones would hide half of each text
HIDDEN = "…"
PLAIN = (
    "{url} is not encrypted: photos{key} cross the network readable for others. Use https, or a tunnel that ends on "
    "this host."
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and how requests prove that they may use it."""

    base_url: str  # without user, password and slash at the end
    authorization: str | None = field(repr=False)  # value of the header
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, endpoint: str, key: str | None = None) -> Self:
        """The address that --endpoint gives, with the key of the environment. Raises UsageError."""
        shown = without_userinfo(endpoint)
        parts = _split(endpoint, shown)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        key = _checked(os.environ.get(KEY, "") if key is None else key)
        if key and (user or password):
            raise UsageError(
                f"--endpoint has a user, and {KEY} is set: a request can carry one of the two. Leave one out."
            )
        base_url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        if not user and not password:
            return cls(base_url, f"Bearer {key}" if key else None, (key,))
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        userinfo = parts.netloc.rpartition("@")[0]
        secret = password or user  # some servers take a token as the user
        return cls(base_url, f"Basic {basic}", (basic, userinfo, f"{user}:{password}", secret, parts.password or ""))

    def hide(self, text: object) -> str:
        """The text without key and password."""
        hidden = str(text)
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) >= SHORTEST:
                hidden = hidden.replace(secret, HIDDEN)
        return hidden

    def words(self, text: object, longest: int = 200) -> str:
        """What somebody else wrote, for a message: one line, shortened, without secrets."""
        return truncate(" ".join(self.hide(text).split()), longest)

    @property
    def warning(self) -> str | None:
        """What is wrong with sending photos there."""
        parts = urlsplit(self.base_url)
        if parts.scheme == "https" or self.is_loopback:
            return None
        return PLAIN.format(url=self.base_url, key=" and the key" if self.authorization else "")

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this host."""
        return _is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def beside(self) -> str:
        """The URL that /v1 hangs on, where servers tell their version."""
        return self.base_url.rpartition("/")[0]


def without_userinfo(text: str) -> str:
    """The text of a URL, for a message, without anything that could be a user, a password or a query."""
    before, at, after = text.partition("?")[0].rpartition("@")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", before)
    return printable((scheme[0] if scheme else "") + after if at else text.partition("?")[0])


def _split(endpoint: str, shown: str) -> SplitResult:
    """The parts of a URL that can be a server's. Raises UsageError."""
    if not endpoint or re.search(r"[\s\x00-\x1f\x7f]", endpoint):
        raise UsageError(f"--endpoint '{shown}' is empty or holds a space. Give a URL such as {EXAMPLE}.")
    try:
        parts = urlsplit(endpoint)
        _ = parts.port
    except ValueError as error:
        raise UsageError(
            f"--endpoint {shown} is not a URL. Give one such as {EXAMPLE}, and write special characters of a password "
            "as %XX."
        ) from error.__cause__
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--endpoint {shown} does not begin with http:// or https:// and a host. Give {EXAMPLE}.")
    if parts.query or parts.fragment or endpoint.endswith(("?", "#")):
        raise UsageError(f"--endpoint {shown} has a query or a fragment behind it. Leave out what follows ? or #.")
    if parts.path in ("", "/"):
        raise UsageError(f"--endpoint {shown} has no path. Most servers want {shown.rstrip('/')}/v1.")
    if parts.path.rstrip("/").endswith("/completions"):
        base = re.sub(r"(/chat)?/completions/*$", "", shown)
        raise UsageError(f"--endpoint {shown} is one of a server's pages. Give its base, {base}.")
    return parts


def _checked(key: str) -> str:
    """The key without white space around it. Raises UsageError, which does not show it."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UsageError(f"{KEY} holds a space or a character that no key has. Copy the key again.")
    return key


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
