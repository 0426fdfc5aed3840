"""What the lead sees: steps per mission, readers, disputes, and of the audit one number until all is settled."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.lines import CABLES, GROUNDING
from support.review_answers import People, audit_of, key, open_store

from yanshou.audit.bounds import most_bad
from yanshou.review.progress import progress
from yanshou.review.store.snapshot import StoreRows
from yanshou.review.store.store import Store

TODAY = datetime.now().astimezone().date()
KEYS = [key(f"QC-{number}", "fail" if number % 2 else "pass") for number in range(6)]


def shown(store: Store, *browsers: tuple[str, ...]) -> dict[str, Any]:
    with store.reading() as db:
        rows = StoreRows.read(db)
    return progress(rows.snapshot(), browsers, TODAY)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "review.sqlite", [*KEYS, key("QC-c", mission=CABLES)]) as opened:
        yield opened


def test_every_group_of_a_mission_is_at_one_step(store: Store) -> None:
    people = People(store)
    people.say("李", KEYS[0], "pass")  # done
    people.say("李", KEYS[1], "pass")  # contradicts the folder: a second reader
    for group in (KEYS[2], KEYS[4]):
        people.say("李", group, "fail")
        people.say("王", group, "pass")
    people.say("陈", KEYS[4], "unsure")
    assert shown(store)["missions"] == [
        {"name": GROUNDING, "groups": 6, "first": 2, "second": 1, "third": 1, "lead": 1, "done": 1},
        {"name": CABLES, "groups": 1, "first": 1, "second": 0, "third": 0, "lead": 0, "done": 0},
    ]
    with store.reading() as db:
        stored = dict(db.execute("SELECT need, COUNT(*) FROM groups GROUP BY need").fetchall())
    assert stored == {"first": 3, "second": 1, "third": 1, "lead": 1, "done": 1}
    people.decide(KEYS[4], "fail")
    assert (shown(store)["missions"][0]["lead"], shown(store)["missions"][0]["done"]) == (0, 2)


def test_disputes_have_what_readers_say_and_nothing_of_the_machine(store: Store) -> None:
    people = People(store)
    for group in (KEYS[4], KEYS[2]):
        people.say("李", group, "fail", "电线分布散乱")
        people.say("王", group, "pass")
    people.say("陈", KEYS[4], "unsure")
    disputes = shown(store)["disputes"]
    first, second = disputes["groups"]
    assert (disputes["count"], first["id"], second["id"]) == (2, people.ids[KEYS[2]], people.ids[KEYS[4]])
    assert (first["step"], second["step"]) == ("third", "lead")
    assert set(first) == {"id", "mission", "step", "answers"}
    assert [{name: each[name] for name in each if name != "at"} for each in first["answers"]] == [
        {"reader": "李", "label": "fail", "reason": "电线分布散乱", "blind": True},
        {"reader": "王", "label": "pass", "reason": "", "blind": True},
    ]


def test_readers_have_their_groups_seconds_and_browsers(store: Store) -> None:
    people = People(store)
    undone = people.say("李", KEYS[0], "fail", seconds=20)
    people.undo("李", undone, then="pass")  # one group, of 25 seconds
    people.say("李", KEYS[2], "pass", seconds=15)
    found = shown(store, ("李",), ("李", "陈"))
    assert found["readers"] == [
        {"reader": "李", "groups": 2, "today": 2, "undone": 1, "median": 20, "p90": 24, "browsers": 2},
        {"reader": "陈", "groups": 0, "today": 0, "undone": 0, "median": None, "p90": None, "browsers": 1},
    ]
    assert found["shared"] == [("李", "陈")]


def test_answers_of_another_day_are_not_todays(store: Store) -> None:
    People(store).say("李", KEYS[0], "pass")
    with store.reading() as db:
        rows = StoreRows.read(db)
    (reader,) = progress(rows.snapshot(), (), TODAY + timedelta(days=1))["readers"]
    assert (reader["groups"], reader["today"]) == (1, 0)


def test_of_the_audit_there_is_one_number_until_all_are_settled(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", [*KEYS, key("QC-other")], audit_of(KEYS, released=50)) as store:
        people = People(store)
        for number, group in enumerate(KEYS):
            assert shown(store)["audit"] == {"settled": number, "of": 6, "early": 0, "bad": None}
            people.say("李", group, "unsure" if number == 2 else "fail" if number % 2 else "pass")
            if number == 2:
                assert shown(store)["audit"] == {"settled": 2, "of": 6, "early": 0, "bad": None}
                people.say("王", group, "pass")
                people.decide(group, "unsure")
        most = most_bad(50, 6, 4, 0.95)
        bad = {"fails": 3, "unsure": 1, "of": 6, "share": 4 / 6, "at_most": most, "released": 50, "upper": most / 50}
        assert shown(store)["audit"] == {"settled": 6, "of": 6, "early": 0, "bad": bad}


def test_answers_from_before_the_draw_make_no_figure(tmp_path: Path) -> None:
    """The machine's clock was wrong: `audit estimate` would not count these answers."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    with open_store(tmp_path / "review.sqlite", KEYS, audit_of(KEYS, created=later)) as store:
        people = People(store)
        for group in KEYS:
            people.say("李", group, group.label or "pass")
        assert shown(store)["audit"] == {"settled": 6, "of": 6, "early": 6, "bad": None}


def test_final_answers_are_listed_the_newest_first_and_once_per_group(store: Store) -> None:
    people = People(store)
    for group in (KEYS[0], KEYS[2], KEYS[4]):
        people.say("李", group, "fail")
        people.say("王", group, "pass")
        people.decide(group, "fail")
    people.decide(KEYS[0], "unsure")
    found = shown(store)["decided"]
    assert [(each["id"], each["label"]) for each in found] == [
        (people.ids[KEYS[0]], "unsure"), (people.ids[KEYS[4]], "fail"), (people.ids[KEYS[2]], "fail"),
    ]  # fmt: skip


def test_without_an_audit_there_is_none(store: Store) -> None:
    found = shown(store)
    assert (found["audit"], found["not_queued"], found["seconds"], found["disputes"]) == (
        None, 0, None, {"count": 0, "groups": []},
    )  # fmt: skip
    assert found["agreement"]["random_share"]["pairs"] == 0
