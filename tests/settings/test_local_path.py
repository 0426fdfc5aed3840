"""Promises of `yanshou.settings.local_path`: from Python, too, an address is no path."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from yanshou import JudgeSettings, StageASettings


@pytest.mark.parametrize("given", ["s3://b/x", Path("s3://b/x"), "OSS://b//x", Path("hdfs://host/x")])
def test_an_address_is_refused(given: str | Path) -> None:
    for fields in ({"output_dir": given}, {"output_dir": "out", "stage_a": (given,)}):
        with pytest.raises(ValidationError, match="Download it or mount it first, and give the local path"):
            JudgeSettings.model_validate({"stage_a": ("a.jsonl",), "engine": None, **fields})


@pytest.mark.parametrize("given", ["a/b", "/a//b", "C:/photos", "a:/b", "./s3:/b", ".", "", "名:字"])
def test_a_path_is_a_path(given: str) -> None:
    settings = StageASettings.model_validate(
        {"input_dir": given, "output_dir": "out", "missions": ("all",), "engine": {"checkpoint": "demo"}}
    )
    assert settings.input_dir == Path(given)
