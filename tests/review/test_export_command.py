"""`yanshou review-export` from the command line, and the commands that read what it writes."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from support.cli_runs import run
from support.judged_files import write_judged
from support.lines import GROUNDING, verdict
from support.review_answers import People, audit_of, key, open_store

from yanshou.schema.records import GroupKey
from yanshou.storage.jsonl import dump_line

KEYS = [key(f"QC-{number}") for number in range(12)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """12 groups that two people read: they agree about four passes and a fail, and disagree about seven."""
    path = tmp_path / "review.sqlite"
    with open_store(path, [*KEYS, key("QC-left")], second_share=1) as opened:
        people = People(opened)
        for number, group in enumerate(KEYS):
            people.say("李", group, "fail" if number == 4 else "pass", seconds=number)
            people.say("王", group, "pass" if number < 4 else "fail", seconds=2)
    return path


def export(store: Path, *more: str) -> Result:
    return run("review-export", "--store", str(store), "--output", str(store.with_name("labels.csv")), *more)


def test_the_command_says_what_is_in_the_files_and_how_far_readers_agree(store: Path) -> None:
    """12 pairs: 4 pass/pass, 7 pass/fail, 1 fail/fail. By chance (11·4 + 1·8) / 144; kappa (60 - 52) / (144 - 52)."""
    result = export(store)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        f"labels: 5 groups in {store.with_name('labels.csv')}: 4 pass, 1 fail, 0 unsure",
        "1 groups of the queue have no answer yet",
        f"answers: 24, undos included, in {store.with_name('labels.answers.jsonl')}",
    ]
    assert lines[4].split() == [
        "random",
        "share",
        "12",
        "41.7%",
        "[19.3–68.0]",
        "0.09",
        "[0.00,",
        "0.33]",
        "62.5%",
        "37.5%",
        "0.0%",
    ]
    assert lines[9].split() == ["李", "/", "王", "4", "7", "0", "0", "1", "0", "0", "0", "0"]
    assert lines[11].split() == ["all", "readers", "24", "2.0", "8.7"]
    assert result.stderr == (
        "not exported: 7 groups whose readers disagree; a third reader or the lead settles them: "
        + "; ".join(f"QC-{number} ({GROUNDING}, pass)" for number in range(5, 10))
        + "; and 2 more (--json names all)\n"
    )


def test_json_has_every_figure_and_names_every_group(store: Path) -> None:
    said = json.loads(export(store, "--json").stdout)
    assert (said["rows"], said["labels"], said["unanswered"], said["answers"]) == (
        5, {"pass": 4, "fail": 1, "unsure": 0}, 1, 24,
    )  # fmt: skip
    assert [GroupKey(each["mission"], each["label_given"], each["group_id"]) for each in said["disputed"]] == KEYS[5:]
    assert said["agreement"]["random_share"]["kappa"]["value"] == pytest.approx(8 / 92)
    assert said["agreement"]["random_share"]["table"] == [[4, 7, 0], [0, 1, 0], [0, 0, 0]]
    assert said["seconds_per_group"]["readers"]["李"] == {"groups": 12, "median": 5.5, "p90": pytest.approx(9.9)}
    assert export(store, "--quiet").stdout == ""


def test_pairs_that_were_chosen_are_apart_and_said_to_be(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", KEYS) as opened:
        people = People(opened)
        for group in KEYS[:3]:
            people.say("李", group, "fail")  # contradicts the folder
            people.say("王", group, "fail")
        people.say("李", KEYS[3], "fail")
    result = export(tmp_path / "review.sqlite")
    assert "1 of them wait for a second reader, who may disagree" in result.stdout
    assert "chosen groups: the first answer contradicts the folder's label, or is one that" in result.stdout
    assert "chosen groups: kappa is undefined, because all answers are the same" in result.stdout


def test_pairs_that_all_agree_have_a_kappa_without_an_interval(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", KEYS, second_share=1) as opened:
        people = People(opened)
        for group in KEYS:
            for reader in ("李", "王"):
                people.say(reader, group, "fail" if group in KEYS[:6] else "pass")
    lines = export(tmp_path / "review.sqlite").stdout.splitlines()
    assert "random share 12 100.0% [75.8–100.0] 1.00 50.0% 50.0% 0.0%" in [" ".join(line.split()) for line in lines]
    assert "random share: kappa has no interval, because all draws of the pairs give the same value" in lines


def test_without_a_pair_there_is_no_agreement(tmp_path: Path) -> None:
    with open_store(tmp_path / "review.sqlite", KEYS) as opened:
        People(opened).say("李", KEYS[0], "pass")
    assert "agreement: no figure, because no group has two readers who saw" in export(tmp_path / "review.sqlite").stdout


def test_dataset_and_evaluate_take_the_labels(store: Path, tmp_path: Path) -> None:
    judged = write_judged(tmp_path, [verdict(each.group_id, p=0.9) for each in KEYS])
    export(store)
    labels = ("--labels", str(tmp_path / "labels.csv"), "--json", "--output-dir", str(tmp_path / "out"))
    evaluated = run("evaluate", *labels, str(judged))
    assert evaluated.exit_code == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["missions"][GROUNDING]["judge"]["human_fails"] == 1
    made = run("dataset", *labels, str(tmp_path / f"{GROUNDING}_stage_a.jsonl"))
    assert made.exit_code == 0, made.stderr
    used = json.loads(made.stdout)["labels"]
    assert (used["confirmed"], used["pass_to_fail"], used["unsure"]) == (4, 1, 0)


def test_audit_estimate_takes_the_labels_when_all_are_settled(tmp_path: Path) -> None:
    audit = audit_of(KEYS, released=40)
    (tmp_path / "audit.json").write_bytes(dump_line(audit, indent=1))
    labels = ("audit", "estimate", str(tmp_path / "audit.json"), "--labels", str(tmp_path / "labels.csv"))
    with open_store(tmp_path / "review.sqlite", [*KEYS, key("QC-other")], audit) as opened:
        people = People(opened)
        for group in KEYS:
            people.say("李", group, "pass" if group != KEYS[0] else "unsure")
        people.say("李", key("QC-other"), "fail")
        result = export(tmp_path / "review.sqlite")
        assert "not exported: 1 groups of the audit sample that are not settled; another reader" in result.stderr
        assert run(*labels).exit_code == 3
        people.say("王", KEYS[0], "pass")
        people.decide(KEYS[0], "unsure")
        export(tmp_path / "review.sqlite")
    estimated = run(*labels)
    assert estimated.exit_code == 0, estimated.stderr
    assert "bad in the sample: 1 of 12 (8.3%): 0 fail, 1 unsure" in estimated.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--store", "none.sqlite", "--output", "labels.csv"], 1, "none.sqlite: there is no such store. Give the file"),
        (
            ["--store", "other.txt", "--output", "labels.csv"],
            1,
            "this is no store of `yanshou review`: it is no S",
        ),
        (["--store", "review.sqlite", "--output", "labels.xlsx"], 2, "labels.xlsx does not end with .csv"),
        (["--store", "review.sqlite"], 2, "Missing option '--output'"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    store: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, message: str
) -> None:
    monkeypatch.chdir(store.parent)
    Path("other.txt").write_text("no store")
    result = run("review-export", *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in result.stderr
    assert not Path("labels.csv").exists()
