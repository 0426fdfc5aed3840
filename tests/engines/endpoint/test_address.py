"""`yanshou.engines.endpoint.address`: which URLs are a server's, and what nobody gets to see."""

import pytest

from yanshou.engines.endpoint.address import KEY, Address, without_userinfo
from yanshou.errors import UsageError

SECRETS = ("s3cret-p@ss", "s3cret-p%40ss", "inspector")
WITH_PASSWORD = "http://inspector:s3cret-p%40ss@host:8000/v1"


@pytest.mark.parametrize(
    ("given", "requested"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("https://ark.example/api/v3//", "https://ark.example/api/v3"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        (WITH_PASSWORD, "http://host:8000/v1"),
        ("http://user:a@b@host/v1", "http://host/v1"),
    ],
)
def test_what_is_requested_has_no_user_and_no_slash_at_its_end(given: str, requested: str) -> None:
    assert Address.of(given, "").base_url == requested


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("", "'' is empty or holds a space."),
        ("http://host/v1 ", "'http://host/v1 ' is empty or holds a space."),
        ("http://ho\nst/v1", r"'http://ho\nst/v1' is empty or holds a space."),
        ("127.0.0.1:8000/v1", "127.0.0.1:8000/v1 does not begin with http:// or https:// and a host."),
        ("localhost:8000", "localhost:8000 does not begin with http:// or https:// and a host."),
        ("ftp://host/v1", "ftp://host/v1 does not begin with http:// or https:// and a host."),
        ("http:///v1", "http:///v1 does not begin with http:// or https:// and a host."),
        ("http://host", "http://host has no path. Most servers want http://host/v1."),
        ("http://host:8000/", "http://host:8000/ has no path. Most servers want http://host:8000/v1."),
        ("http://host/v1?key=abcd", "http://host/v1 has a query or a fragment behind it."),
        ("http://host/v1#x", "http://host/v1#x has a query or a fragment behind it."),
        ("http://host/v1/chat/completions", "is one of a server's pages. Give its base, http://host/v1."),
        ("http://host:port/v1", "http://host:port/v1 is not a URL."),
        ("http://host:99999/v1", "http://host:99999/v1 is not a URL."),
        ("http://[::1/v1", "http://[::1/v1 is not a URL."),
        ("http://inspector:pa/ss@host:8000/v1", "http://host:8000/v1 is not a URL."),
    ],
)
def test_anything_else_is_refused_with_its_cure(given: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.of(given, "")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        "inspector:s3cret-p@ss@host:8000/v1", "http://inspector:s3cret-p@ss@host", "ftp://inspector:s3cret-p@ss@h/v1",
        "http://inspector:s3cret-p@ss@host/v1?a=b", "http://inspector:s3cret-p@ss @host/v1", "//inspector:s3cret-p@s@h",
    ],
)  # fmt: skip
def test_no_refusal_shows_the_password(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.of(given, "")
    assert caught.value.__cause__ is None
    for secret in SECRETS:
        assert secret not in str(caught.value)


def test_user_and_password_go_into_a_header() -> None:
    address = Address.of(WITH_PASSWORD, "")
    assert address.authorization == "Basic aW5zcGVjdG9yOnMzY3JldC1wQHNz"
    assert "s3cret" not in repr(address)
    assert "aW5zc" not in repr(address)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-12345\n")
    assert Address.of("http://host/v1").authorization == "Bearer sk-12345"
    monkeypatch.delenv(KEY)
    assert Address.of("http://host/v1").authorization is None


@pytest.mark.parametrize("key", ["sk 123", "sk-\n123", "密钥", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match=KEY) as caught:
        Address.of("http://host/v1", key)
    assert key not in str(caught.value)


def test_a_key_and_a_user_are_one_too_many() -> None:
    with pytest.raises(UsageError, match="one of the two"):
        Address.of(WITH_PASSWORD, "sk-12345")


def test_what_others_write_is_shown_without_secrets_in_one_line() -> None:
    address = Address.of(WITH_PASSWORD, "")
    said = "bad\nkey s3cret-p@ss or s3cret-p%40ss\x1b[2J, Basic aW5zcGVjdG9yOnMzY3JldC1wQHNz " + "x" * 300
    shown = address.words(said)
    assert shown.startswith(r"bad key … or …\x1b[2J, Basic … xxx")
    assert len(shown) <= 210
    assert Address.of("http://host/v1", "sk-12345").words("Incorrect API key: sk-12345") == "Incorrect API key: …"


@pytest.mark.parametrize(
    ("endpoint", "key", "warned"),
    [
        ("http://10.0.0.5:8000/v1", "", "http://10.0.0.5:8000/v1 is not encrypted: photos cross"),
        ("http://gpu-host/v1", "sk-12345", "http://gpu-host/v1 is not encrypted: photos and the key cross"),
        ("https://gpu-host/v1", "sk-12345", None),
        ("http://127.0.0.1:8000/v1", "sk-12345", None),
        ("http://127.8.0.1:8000/v1", "", None),
        ("http://localhost:8000/v1", "", None),
        ("http://[::1]:8000/v1", "", None),
    ],
)
def test_plain_http_to_another_host_is_warned_about(endpoint: str, key: str, warned: str | None) -> None:
    warning = Address.of(endpoint, key).warning
    assert (warning is None) == (warned is None)
    assert warned is None or str(warning).startswith(warned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a:b@c/v1", "http://c/v1"),
        ("a:b@c", "c"),
        ("http://c/v1?k=1", "http://c/v1"),
        ("http://c/v1", "http://c/v1"),
        ("//a:b@c", "c"),
    ],
)
def test_userinfo_is_cut_off_whatever_the_text(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown


def test_a_token_in_place_of_a_user_is_secret() -> None:
    address = Address.of("http://to%2Fken-91@127.0.0.1/v1", key="")
    assert address.hide("you sent to%2Fken-91, to/ken-91") == "you sent …, …"
