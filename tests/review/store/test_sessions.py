"""Links, cookies and names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.review_answers import key, open_store
from support.review_rows import answer_rows
from support.review_sessions import browser, refused, take_all

from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "review.sqlite", [key("QC-1"), key("QC-2")]) as store:
        yield store


def test_links_of_readers_and_lead_are_apart(store: Store) -> None:
    assert store.key("reader") != store.key("lead")
    for role, wrong in (
        ("reader", store.key("lead")),
        ("lead", store.key("reader")),
        ("lead", ""),
        ("reader", "\ud800é"),
    ):
        with refused("sign_in"):
            store.sign_in(role, wrong)
    lead = store.sign_in("lead", store.key("lead"))
    assert (store.session(lead).role, store.session(lead).reader, store.lead_name(lead)) == ("lead", None, "lead")
    for ask in (store.history, store.today, lambda session: store.next_groups(session, "main", None, [], 1)):
        with refused("sign_in"):
            ask(lead)
    with refused("sign_in"):
        store.lead_name(browser(store, "李"))


def test_cookies_are_unlike_and_unknown_ones_refused(store: Store) -> None:
    one, other = (store.sign_in("reader", store.key("reader")) for _ in range(2))
    assert one != other
    assert len(one) >= 43  # 256 bits
    for ask in (store.session, lambda session: store.renew(session, []), lambda session: store.release(session, [])):
        with refused("sign_in"):
            ask("forged")


def test_nothing_without_a_name(store: Store) -> None:
    session = store.sign_in("reader", store.key("reader"))
    for ask in (store.history, store.today, lambda session: store.left(session, "main", None)):
        with refused("no_name"):
            ask(session)
    with refused("no_name"):
        store.answer(session, NewAnswer("uid-1", 1, "pass"))


@pytest.mark.parametrize(
    ("first", "later", "known"),
    [
        ("李", " 李\u3000", "李"), ("Li Wei", "li  wei", "Li Wei"), ("Ünal", "U\u0308nal", "Ünal"),
        ("Li\u200b", "Li", "Li"), ("STRASSE", "straße", "STRASSE"),
    ],
)  # fmt: skip
def test_one_reader_under_every_spelling(store: Store, first: str, later: str, known: str) -> None:
    one, other = browser(store, first), browser(store, later)
    assert [store.session(session).reader for session in (one, other)] == [known, known]
    group, *_ = take_all(store, one)
    store.answer(one, NewAnswer("uid-1", group, "fail"))  # waits for a second reader, who is another person
    assert group not in take_all(store, other)


def test_spelling_stays_after_all_sessions_ended(store: Store) -> None:
    li = browser(store, "Li")
    store.answer(li, NewAnswer("uid-1", take_all(store, li)[0], "pass"))
    store.new_keys()
    assert store.session(browser(store, "LI")).reader == "Li"
    assert {row["reader"] for row in answer_rows(store)} == {"Li"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        " \u3000\u200b",
        "=1+1",
        "-Li",
        "a" * 41,
        "Li, Wang",
        "Li\x1b[31m",
        "\ud800",
        "@li",
        "\u3164",
        "李\ufe0f",
        "Li\u2800",
        "L\u200bi",
        "李\U000e0100",
    ],
)
def test_names_that_are_refused(store: Store, name: str) -> None:
    session = store.sign_in("reader", store.key("reader"))
    with refused("bad_request"):
        store.set_name(session, name)
    assert store.session(session).reader is None


def test_another_name_gives_the_groups_back(store: Store) -> None:
    session, wang = browser(store, "李"), browser(store, "王")
    groups = take_all(store, session)
    store.set_name(session, "李")
    assert take_all(store, wang) == []
    store.set_name(session, "张")
    assert sorted(take_all(store, wang)) == sorted(groups)


def test_new_links_end_the_old_ones_and_their_sessions(store: Store) -> None:
    old, li = store.key("reader"), browser(store, "李")
    groups = take_all(store, li)
    store.new_keys()
    with refused("sign_in"):
        store.sign_in("reader", old)
    with refused("sign_in"):
        store.session(li)
    assert take_all(store, browser(store, "李")) == groups


def test_links_and_sessions_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with Store.open(path) as store:
        before, li = (store.id, store.key("reader"), store.key("lead")), browser(store, "李")
    with Store.open(path) as store:
        assert (store.id, store.key("reader"), store.key("lead")) == before
        assert store.session(li).reader == "李"
