"""`yanshou.engines.endpoint.engine`: what is refused before a server is asked. Runs: tests/endpoint."""

import sys
from typing import Any

import pytest

from yanshou.engines import load_engine
from yanshou.errors import UsageError
from yanshou.settings import EndpointSettings, EngineSettings

SERVER = EndpointSettings(endpoint="http://127.0.0.1:9/v1", model="demo")


def test_a_missing_sdk_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UsageError) as caught:
        load_engine(EngineSettings(server=SERVER))
    how = "pip install 'yanshou[endpoint]' (in a checkout: pip install -c constraints.txt -e '.[endpoint]')"
    assert str(caught.value) == f"--engine endpoint needs the package openai: {how}"


@pytest.mark.parametrize(
    "given",
    [
        {"device": "cuda"},
        {"batch_size": 4},
        {"gpu_memory": 0.5},
        {"dtype": "float32"},
        {"quantize": "fp8"},
        {"attn": "eager"},
    ],
    ids=str,
)
def test_a_setting_that_would_do_nothing_is_refused(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yanshou.engines.endpoint.engine.check_installed", lambda: None)
    (name,) = given
    with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')} is for an engine of this machine"):
        load_engine(EngineSettings(server=SERVER, **given))


def test_no_repr_and_no_validation_error_shows_a_password() -> None:
    given = {"endpoint": "http://inspector:s3cret@host/v1", "model": "demo"}
    assert "s3cret" not in repr(EngineSettings(server=EndpointSettings(**given)))
    with pytest.raises(ValueError, match="concurrency") as caught:
        EngineSettings.model_validate({"server": {**given, "concurrency": 0}})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ValueError, match="model") as caught:
        EngineSettings.model_validate({"server": {"endpoint": given["endpoint"]}})
    assert "s3cret" not in str(caught.value)
