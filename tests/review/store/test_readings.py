"""Who reads a group when, and what comes of it."""

import json
from hashlib import sha256
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.review.store.readings import Answer, GroupRule, is_sampled, next_step, outcome, position, readings
from yanshou.schema.label_row import Answer as Said
from yanshou.schema.records import GroupKey

PLAIN = GroupRule(folder=None, sampled=False, audit=False)
SAMPLED = GroupRule(folder=None, sampled=True, audit=False)
PASSED = GroupRule(folder="pass", sampled=False, audit=False)
AUDITED = GroupRule(folder=None, sampled=False, audit=True)
LABELS = {"P": "pass", "F": "fail", "U": "unsure"}


def said(words: str) -> list[Answer]:
    """`P F u P!`: one answer per reader A, B, C, …; a small letter is not blind, ! is the lead's."""
    found = []
    for number, word in enumerate(words.split()):
        role = "lead" if word.endswith("!") else "reader"
        at = f"2026-02-03T09:{number:02}:00.000+08:00"
        found.append(Answer(chr(65 + number), role, LABELS[word[0].upper()], word[0].isupper(), at))
    return found


STEPS = [
    ("", PLAIN, "first"),
    ("P", PLAIN, "done"), ("F", PLAIN, "done"), ("U", PLAIN, "done"), ("p", PLAIN, "done"),
    ("P", SAMPLED, "second"), ("U", SAMPLED, "second"),
    ("P", PASSED, "done"), ("F", PASSED, "second"), ("U", PASSED, "done"),
    ("P", AUDITED, "done"), ("F", AUDITED, "done"), ("U", AUDITED, "second"), ("p", AUDITED, "second"),
    ("P P", SAMPLED, "done"), ("P F", SAMPLED, "third"), ("U U", SAMPLED, "done"), ("U F", SAMPLED, "third"),
    ("p P", SAMPLED, "done"), ("F F", PASSED, "done"),
    ("P P", AUDITED, "done"), ("p P", AUDITED, "third"), ("U U", AUDITED, "third"), ("U F", AUDITED, "third"),
    ("P F P", SAMPLED, "done"), ("P F U", SAMPLED, "lead"), ("U F U", SAMPLED, "lead"), ("P F p", SAMPLED, "done"),
    ("U F F", AUDITED, "done"), ("U F f", AUDITED, "lead"), ("U U U", AUDITED, "lead"), ("p P P", AUDITED, "done"),
    ("P F F P", SAMPLED, "lead"),
    ("P!", PLAIN, "done"), ("P F U!", SAMPLED, "done"), ("U U u!", AUDITED, "done"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "rule", "step"), STEPS)
def test_what_a_group_waits_for(words: str, rule: GroupRule, step: str) -> None:
    assert next_step(said(words), rule) == step


OUTCOMES = [
    ("", PLAIN, None),
    ("P", PLAIN, ("pass", "A", 0, True)),
    ("U", PLAIN, ("unsure", "A", 0, True)),
    ("P", SAMPLED, ("pass", "A", 0, False)),
    ("F", PASSED, ("fail", "A", 0, False)),
    ("P F", SAMPLED, None),
    ("U U", SAMPLED, ("unsure", "A, B", 1, True)),
    ("P F P", SAMPLED, ("pass", "A, C", 2, True)),
    ("P F U", SAMPLED, None),
    ("P F F P", SAMPLED, None),
    ("F", AUDITED, ("fail", "A", 0, True)),
    ("U", AUDITED, None),
    ("p", AUDITED, None),
    ("U U", AUDITED, None),
    ("p P P", AUDITED, ("pass", "B, C", 2, True)),
    ("P F U!", SAMPLED, ("unsure", "C", 2, True)),
]


@pytest.mark.parametrize(("words", "rule", "expected"), OUTCOMES)
def test_what_readers_say_in_the_end(words: str, rule: GroupRule, expected: tuple[str, str, int, bool] | None) -> None:
    found = outcome(said(words), rule)
    if expected is None:
        assert found is None
    else:
        label, who, minute, final = expected
        assert found is not None
        assert (found.label, ", ".join(found.who), found.final) == (label, who, final)
        assert found.when == f"2026-02-03T09:{minute:02}:00.000+08:00"


def test_audited_and_sampled_group_has_no_label_before_the_second_reader() -> None:
    assert outcome(said("P"), GroupRule(None, sampled=True, audit=True)) is None


def test_latest_time_is_compared_across_offsets() -> None:
    early, late = "2026-10-25T02:30:00.000+02:00", "2026-10-25T02:10:00.000+01:00"  # summer time ends between them
    found = outcome([Answer("A", "reader", "pass", True, late), Answer("B", "reader", "pass", True, early)], SAMPLED)
    assert found is not None
    assert found.when == late


# ---- properties ----

labels = st.sampled_from(["pass", "fail", "unsure"])
rules = st.builds(GroupRule, st.sampled_from([None, "pass", "fail"]), st.booleans(), st.booleans())


times = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "+08:00")
rows = st.builds(Answer, st.sampled_from("ABCD"), st.just("reader"), labels | st.none(), st.booleans(), times)
histories = st.lists(rows, max_size=12)


@given(histories, rules)
def test_outcome_is_final_where_nobody_is_awaited(history: list[Answer], rule: GroupRule) -> None:
    step, found = next_step(history, rule), outcome(history, rule)
    assert (found is not None and found.final) == (step == "done")
    if found is not None and not found.final:
        assert (step, len(readings(history)), rule.audit) == ("second", 1, False)


@given(histories, rules)
def test_undone_answer_leaves_no_trace(history: list[Answer], rule: GroupRule) -> None:
    answer = Answer("E", "reader", "pass", True, "2026-02-03T09:00:00.000+08:00")
    undo = Answer("E", "reader", None, True, "2026-02-03T09:00:01.000+08:00")
    undone = [*history, answer, undo]
    assert readings(undone) == readings(history)
    assert (next_step(undone, rule), outcome(undone, rule)) == (next_step(history, rule), outcome(history, rule))


@given(st.lists(labels, min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4), rules)
def test_who_was_first_does_not_matter(given_labels: list[str], blind: list[bool], rule: GroupRule) -> None:
    each = [
        Answer("ABCD"[number], "reader", label, blind[number], f"2026-02-03T09:0{number}:00.000+08:00")  # type: ignore[arg-type]
        for number, label in enumerate(given_labels)
    ]
    found = {
        (
            next_step(order, rule),
            (result := outcome(order, rule)) and (result.label, frozenset(result.who), result.when),
        )
        for order in permutations(each)
    }
    assert len(found) == 1


@given(histories, rules, labels)
def test_lead_decides(history: list[Answer], rule: GroupRule, label: Said) -> None:
    lead = Answer("lead", "lead", label, False, "2026-02-03T09:00:00.000+08:00")
    found = outcome([*history, lead], rule)
    assert found is not None
    assert (found.label, found.who, found.final) == (label, ("lead",), True)


@given(histories, rules)
def test_audited_label_is_blind_and_no_doubt(history: list[Answer], rule: GroupRule) -> None:
    found = outcome(history, GroupRule(rule.folder, rule.sampled, audit=True))
    if found is not None:
        by_name = {reading.reader: reading for reading in readings(history)}
        assert found.label in ("pass", "fail")
        assert all(by_name[name].blind and by_name[name].label == found.label for name in found.who)


# ---- the draw ----

keys = st.builds(GroupKey, st.text(), st.sampled_from([None, "pass", "fail"]), st.text())


@given(st.integers(), keys, st.floats(0, 1), st.floats(0, 1))
def test_larger_share_keeps_whom_the_smaller_one_drew(seed: int, key: GroupKey, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert is_sampled(seed, key, large) >= is_sampled(seed, key, small)
    assert not is_sampled(seed, key, 0.0)
    assert is_sampled(seed, key, 1.0)


def test_draw_is_that_of_the_documented_hash() -> None:
    key = GroupKey("挡风板安装检查", None, "QC-1")
    digest = sha256("position\x007\x00挡风板安装检查\x00QC-1".encode()).hexdigest()
    assert position(7, key) == int(digest[:16], 16) // 2
    assert 0 <= position(7, key) < 2**63


def test_draw_does_not_tell_the_folder() -> None:
    keys = [GroupKey("挡风板安装检查", label, "QC-1") for label in ("pass", "fail", None)]
    assert len({(position(0, key), is_sampled(0, key, 0.5)) for key in keys}) == 1


def test_tenth_of_the_groups_is_sampled_and_spread_over_the_queue() -> None:
    keys = [GroupKey("m", "pass", f"QC-{number}") for number in range(11_000)]
    sampled = [key for key in keys if is_sampled(0, key, 0.1)]
    assert 1_000 < len(sampled) < 1_200
    early = sum(position(0, key) < 2**62 for key in sampled)
    assert 0.45 < early / len(sampled) < 0.55
    assert json.dumps(sampled) != json.dumps([key for key in keys if is_sampled(1, key, 0.1)])
