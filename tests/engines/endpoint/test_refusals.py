"""`yanshou.engines.endpoint.refusals`: what an HTTP status means, in words."""

from typing import Any

import pytest

from yanshou.engines.endpoint.address import Address
from yanshou.engines.endpoint.refusals import ending, refused, says

OPEN, WITH_KEY = Address.of("http://host/v1", ""), Address.of("http://host/v1", "sk-12345")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "bad image", "code": 400}}, "bad image"),
        ({"message": "bad image", "object": "error"}, "bad image"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "no field"}]}, "no field"),
        ({"error": "bad image"}, "bad image"),
        ("<html>502</html>", "<html>502</html>"),
        (None, "no words"),
        ({}, "no words"),
        ([], "no words"),
        ({"code": 7}, "{'code': 7}"),
    ],
)
def test_the_servers_own_words_are_found_in_any_shape(body: Any, words: str) -> None:
    assert says(body) == words


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (400, "the server refused the request (400): no", "look at the server's log"),
        (413, "the server refused the request (413): no", "raise the server's limit, or lower --max-pixels"),
        (500, "the server answered 500 at every try: no", "look at the server's log"),
        (502, "the server answered 502 at every try: no", "look at the server's log"),
        (529, "the server answered 529 at every try: no", "look at the server's log"),
    ],
)
def test_a_photos_failure_says_what_the_server_said(status: int, message: str, advice: str) -> None:
    error = refused(status, "no")
    assert str(error) == message
    assert error.advice.startswith(advice)


@pytest.mark.parametrize(
    ("status", "address", "models", "cure"),
    [
        (401, OPEN, [], "Set YANSHOU_ENDPOINT_KEY to a key that the server knows."),
        (401, WITH_KEY, [], "Is YANSHOU_ENDPOINT_KEY right?"),
        (403, WITH_KEY, [], "Ask whoever runs the server what the key may use."),
        (404, OPEN, ["a", "b"], "--model is demo; the server lists a, b."),
        (404, OPEN, [f"m{n}" for n in range(10)], "the server lists m0, m1, m2, m3, m4, m5, m6, m7 and 2 more."),
        (404, OPEN, [], "does --endpoint end in the right path (/v1)?"),
        (405, OPEN, [], "does --endpoint end in the right path (/v1)?"),
        (307, WITH_KEY, [], "It redirects to https://else/v1, and no key is sent there."),
    ],
)
def test_what_ends_a_run_names_its_cure(status: int, address: Address, models: list[str], cure: str) -> None:
    error = ending(status, "no.", address, "demo", models, "https://u:p@else/v1?token=1")
    assert str(error).startswith(f"http://host/v1 answered {status}: no. ")
    assert str(error).count("\n") == 0
    assert cure in str(error)
