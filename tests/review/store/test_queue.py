"""Who gets which group, in which order, and what is seen of it."""

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lines import GROUNDING, SHIELD
from support.review_answers import People, audit_of, imported, key, open_store
from support.review_rows import queued_groups, rows
from support.review_sessions import SteadyClock, browser, refused, take_all

from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.imported_groups import ImportedPhoto
from yanshou.review.store.leases import MOST
from yanshou.review.store.queue import PRIME, _step
from yanshou.review.store.store import Store

KEYS = [key(f"QC-{number}") for number in range(40)]


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def store(tmp_path: Path, clock: SteadyClock) -> Iterator[Store]:
    with open_store(tmp_path / "review.sqlite", KEYS, clock=clock) as store:
        yield store


# ---- the order ----


def test_every_reader_has_an_order_of_their_own(store: Store) -> None:
    ids, orders = People(store).ids, []
    for name in ("李", "王", "李"):
        session = browser(store, name)
        orders.append(take_all(store, session))
        store.release(session, orders[-1])
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(ids.values())
    assert orders[0] not in (sorted(orders[0]), sorted(orders[0], reverse=True), list(ids.values()))


def test_no_two_readers_have_nearly_the_same_order() -> None:
    steps = [_step(f"reader {number}") for number in range(1000)]
    assert len(set(steps)) == 1000
    assert 0 < min(steps) < max(steps) < PRIME


def test_seed_makes_another_order(tmp_path: Path) -> None:
    orders = []
    for seed in (1, 2):
        with Store.open(tmp_path / f"{seed}.sqlite", seed=seed) as store:
            store.add_groups(map(imported, KEYS))
            orders.append(list(queued_groups(store)))
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


def test_second_readings_are_mixed_among_first_ones(tmp_path: Path) -> None:
    keys = [key(f"QC-{number}") for number in range(200)]
    with open_store(tmp_path / "review.sqlite", keys) as store:
        li, wang = browser(store, "李"), browser(store, "王")
        order = take_all(store, li)
        read = order[:60]
        for number, group in enumerate(read):
            store.answer(li, NewAnswer(f"uid-{number}", group, "fail"))  # contradicts the folder
        store.release(li, order)
        second = [group in read for group in take_all(store, wang)]
    assert sum(second) == 60
    assert all(8 <= sum(second[start : start + 50]) <= 22 for start in range(0, 200, 50))  # 15 of 50, more or less


def test_one_mission(tmp_path: Path) -> None:
    keys = [*KEYS, key("QC-1", mission=SHIELD), key("QC-2", mission=SHIELD)]
    with open_store(tmp_path / "review.sqlite", keys) as store:
        ids, li = People(store).ids, browser(store, "李")
        assert store.missions() == sorted([GROUNDING, SHIELD])
        assert [store.left(li, "main", mission) for mission in (None, GROUNDING, SHIELD)] == [42, 40, 2]
        assert set(take_all(store, li, SHIELD)) == {ids[key] for key in keys[-2:]}


# ---- no group to two ----


def test_two_tabs_of_one_browser_hold_different_groups(store: Store) -> None:
    li = browser(store, "李")
    one, other = (store.next_groups(li, "main", None, [], 2)[0] for _ in range(2))
    assert len({group.id for group in (*one.groups, *other.groups)}) == 4
    held = [group.id for group in one.groups]
    again, _ = store.next_groups(li, "main", None, held, 2)
    assert (again.groups, again.held, again.left) == ((), tuple(held), 40)
    more, _ = store.next_groups(li, "main", None, held[:1], 2)
    assert (len(more.groups), more.held) == (1, tuple(held[:1]))


def test_reader_who_asks_for_ever_more_keeps_the_queue_from_nobody(store: Store, clock: SteadyClock) -> None:
    taken = []
    for _ in range(8):  # browsers of one name, which hold nothing by their own account
        clock.now += 1
        taken.append([group.id for group in store.next_groups(browser(store, "李"), "main", None, [], 5)[0].groups])
    assert len(take_all(store, browser(store, "王"))) == len(KEYS) - MOST == 20
    last = rows(store, "SELECT group_ref FROM leases WHERE session IN (SELECT id FROM sessions WHERE reader = '李')")
    assert sorted(row["group_ref"] for row in last) == sorted(group for groups in taken[-4:] for group in groups)


def test_group_held_too_long_is_given_to_another(store: Store, clock: SteadyClock) -> None:
    li, wang = browser(store, "李"), browser(store, "王")
    first, second = take_all(store, li)[:2]
    clock.now += 299
    assert store.renew(li, [first, 12345]) == [first]
    clock.now += 2
    assert first not in take_all(store, wang)
    given, _ = store.next_groups(li, "main", None, [first, second], 1)
    assert (given.held, given.groups) == ((first,), ())
    assert store.renew(li, [second]) == []
    assert store.renew(wang, [first, second]) == [second]


def test_released_group_is_offered_again(store: Store) -> None:
    li, wang = browser(store, "李"), browser(store, "王")
    first, *_ = take_all(store, li)
    store.release(wang, [first])
    assert take_all(store, wang) == []
    store.release(li, [first])
    assert take_all(store, wang) == [first]
    with refused("lease_lost"):
        store.answer(li, NewAnswer("uid-1", first, "pass"))


def test_threads_share_the_queue_without_a_group_in_two_hands(store: Store) -> None:
    """Eight browsers in eight threads, two of them 李's, until nothing is left."""
    taken: list[tuple[str, int]] = []

    def work(session: str, reader: str) -> None:
        number = 0
        while groups := store.next_groups(session, "main", None, [], 2)[0].groups:
            taken.extend((reader, group.id) for group in groups)
            for group in groups:
                store.answer(session, NewAnswer(f"{session}-{(number := number + 1)}"[:64], group.id, "pass"))

    readers = ["李", "李", "王", "张", "刘", "陈", "杨", "赵"]
    threads = [threading.Thread(target=work, args=(browser(store, reader), reader)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(group for _, group in taken) == dict.fromkeys(People(store).ids.values(), 1)
    assert {row["need"] for row in queued_groups(store).values()} == {"done"}
    assert store.left(browser(store, "钱"), "main", None) == 0


def test_left_counts_what_waits_for_this_reader(store: Store) -> None:
    li, wang = browser(store, "李"), browser(store, "王")
    first, second, *_ = take_all(store, li)
    assert store.answer(li, NewAnswer("uid-1", first, "pass")) == 39
    assert store.answer(li, NewAnswer("uid-2", second, "fail")) == 38  # a second reader is awaited
    assert [store.left(session, "main", None) for session in (li, wang)] == [38, 39]


# ---- what is seen ----


def audited(tmp_path: Path, **options: object) -> Store:
    side = {"verdict": "pass", "decision": "release", "p_pass": 0.75, "reason": "接地良好", "rules_verdict": "pass"}
    store = Store.open(tmp_path / "review.sqlite", second_share=0.0, **options)
    store.add_groups([imported(key, **side) for key in KEYS[:6]], audit=audit_of(KEYS[:2]))
    return store


def test_reader_sees_nothing_of_the_machine_before_the_answer(tmp_path: Path) -> None:
    with audited(tmp_path) as store:
        given, sides = store.next_groups(browser(store, "李"), "main", None, [], 9)
        assert (len(given.groups), sides) == (6, {})
        (shown,) = {json.dumps({**dataclasses.asdict(group), "id": 0, "photos": ""}) for group in given.groups}
        assert json.loads(shown) == {"id": 0, "mission": GROUNDING, "photos": ""}
        assert {tuple(dataclasses.asdict(photo)) for group in given.groups for photo in group.photos} == {
            ("id", "summary")
        }


def test_open_mode_shows_the_machine_but_never_of_the_audit(tmp_path: Path) -> None:
    with audited(tmp_path, open_mode=True) as store:
        people = People(store)
        li = people.session("李")
        main, sides = store.next_groups(li, "main", None, [], 9)
        assert sides.keys() == {group.id for group in main.groups}
        assert {people.ids[key] for key in KEYS[2:6]} == sides.keys()
        assert {(side.p_pass, side.folder, side.audit) for side in sides.values()} == {(0.75, "pass", False)}
        sample, none = store.next_groups(li, "audit", None, [], 9)
        assert ({group.id for group in sample.groups}, none) == ({people.ids[key] for key in KEYS[:2]}, {})
        assert (main.left, sample.left, store.left(li, "audit", GROUNDING)) == (4, 2, 2)
        assert store.answer(li, NewAnswer("uid-1", sample.groups[0].id, "pass")) == 1
        assert store.answer(li, NewAnswer("uid-2", main.groups[0].id, "pass")) == 3
        assert store.undo(li, "undo-1", "uid-1")[1] is None
        assert store.undo(li, "undo-2", "uid-2")[1] == sides[main.groups[0].id]
        blind = {row["uid"]: row["blind"] for row in rows(store, "SELECT uid, blind FROM answers WHERE label NOT NULL")}
        assert blind == {"uid-1": 1, "uid-2": 0}


def test_what_open_mode_showed_is_remembered_in_a_blind_start(tmp_path: Path) -> None:
    with audited(tmp_path, open_mode=True) as store:
        li = browser(store, "李")
        store.release(li, take_all(store, li))
    with Store.open(tmp_path / "review.sqlite") as store:
        people = People(store)
        people.say("李", KEYS[5], "pass")
        people.say("王", KEYS[4], "pass")
        assert [row["blind"] for row in rows(store, "SELECT blind FROM answers ORDER BY id")] == [0, 1]


def test_photo_is_seen_by_who_has_the_group_or_has_answered_it(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", []) as store:
        photos = (ImportedPhoto("/data/1.jpg", "电线×1"), ImportedPhoto("/data/\udcb2.jpg", None))
        store.add_groups([imported(key("QC-1"), photos=photos), imported(key("QC-2"))])
        people = People(store)
        li, wang = people.session("李"), people.session("王")
        given, _ = store.next_groups(li, "main", None, [], 9)
        one, other = next(group.photos for group in given.groups if len(group.photos) == 2)
        assert [store.photo_path(li, photo.id) for photo in (one, other)] == [
            Path("/data/1.jpg"),
            Path("/data/\udcb2.jpg"),
        ]
        lead = store.sign_in("lead", store.key("lead"))
        assert store.photo_path(lead, one.id) == Path("/data/1.jpg")
        for session, photo in ((wang, one.id), (li, 12345)):
            with refused("not_found"):
                store.photo_path(session, photo)
        people.say("李", key("QC-1"), "fail")
        assert store.photo_path(li, one.id) == Path("/data/1.jpg")
        store.next_groups(wang, "main", None, [], 9)
        assert store.photo_path(wang, one.id) == Path("/data/1.jpg")


def test_numbers_show_no_order(tmp_path: Path) -> None:
    found = []
    for name in ("one", "other"):
        with open_store(tmp_path / f"{name}.sqlite", KEYS) as store:
            found.append([People(store).ids[key] for key in KEYS])
            found.append([row["id"] for row in rows(store, "SELECT id FROM photos")])
    assert not set(found[0]) & set(found[2])  # random, so they tell nothing about a group
    assert all(0 < id_ < 2**53 for ids in found for id_ in ids)
    assert found[0] not in (sorted(found[0]), sorted(found[0], reverse=True))
