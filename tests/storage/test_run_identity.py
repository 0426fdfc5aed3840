"""What a policy binds to, and what may differ."""

from typing import Any

from yanshou.schema.run_record import EarlierEnvironment, RunRecord
from yanshou.storage.run_identity import run_identity

SETTINGS = {"checkpoint": "4f0c", "dtype": "bfloat16", "sampling": {"seed": 0}, "prompts": {"system": "读"}}


def record(**fields: Any) -> RunRecord:
    values = {
        "format": 1, "yanshou": "0.5.0", "status": "finished", "counts": {}, "runs": 1, "started": "t", "updated": "t",
        "settings": SETTINGS, "environment": {"engine": "continuous", "device": "cuda:0"}, "earlier_environments": [],
    }  # fmt: skip
    return RunRecord.model_validate({**values, **fields})


def test_settings_and_engine_are_bound() -> None:
    assert run_identity(record()) == {**SETTINGS, "engine": "continuous"}


def test_threshold_files_device_and_versions_are_not() -> None:
    settings = {**SETTINGS, "threshold": 0.9, "stage_a": ["/a"]}
    other = record(settings=settings, environment={"engine": "continuous", "device": "cpu", "torch": "9", "workers": 8})
    assert run_identity(other) == run_identity(record())


def test_lines_of_two_engines_are_neithers_lines() -> None:
    earlier = [EarlierEnvironment(until="t", environment={"engine": "transformers"})]
    assert run_identity(record(earlier_environments=earlier))["engine"] == "continuous, transformers"
    same = [EarlierEnvironment(until="t", environment={"engine": "continuous", "device": "cpu"})]
    assert run_identity(record(earlier_environments=same)) == run_identity(record())


def test_the_rules_have_no_engine() -> None:
    assert run_identity(record(settings={"checkpoint": "rules"}, environment={}))["engine"] is None
