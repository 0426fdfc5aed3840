"""`yanshou.engines.endpoint.prompt_check`: our own count of a prompt's tokens, without weights."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import HYBRID, edited, prompt_end, spoilt, without
from support.photos import noise

from yanshou.engines.base import Request
from yanshou.engines.endpoint.picture import resized, visual_tokens
from yanshou.engines.endpoint.prompt_check import PromptCheck
from yanshou.errors import CheckpointError
from yanshou.schema.prompt import Prompt

PROMPT = Prompt("系统", "用户")


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokenizer, chat template and image processor alone."""
    copy = tmp_path_factory.mktemp("tokenizer")
    shutil.copytree(tiny, copy, dirs_exist_ok=True)
    (copy / "model.safetensors").unlink()
    return copy


@pytest.mark.parametrize("size", [(64, 64), (934, 1920), (33, 470)])
def test_the_count_is_that_of_a_local_engine(engine: Callable[..., Any], folder: Path, size: tuple[int, int]) -> None:
    local, photo = engine(), noise(1, *size)
    visual = visual_tokens(resized(photo, local.settings.photo))
    assert PromptCheck(str(folder), None).tokens(PROMPT, visual) == len(local.prepare(Request(0, PROMPT, photo)).ids)
    assert PromptCheck(str(folder), None).tokens(PROMPT, None) == len(local.prepare(Request(0, PROMPT, None)).ids)


def test_a_difference_is_told_once_with_both_numbers(folder: Path) -> None:
    check = PromptCheck(str(folder), None)
    assert [check.difference(9, None), check.difference(9, 9)] == [None, None]
    warning = check.difference(9, 12)
    assert "prompt has 12 tokens" in str(warning)
    assert f"{folder} makes 9" in str(warning)
    assert check.difference(9, 12) is None


def test_reasoning_is_switched_off_where_the_template_has_a_switch(tiny: Path, tmp_path: Path) -> None:
    assert PromptCheck(str(tiny), None).switches == {}
    hybrid = spoilt(tiny, tmp_path / "hybrid", prompt_end(HYBRID))
    assert PromptCheck(str(hybrid), None).switches == {"enable_thinking": False}


def test_a_processor_of_another_family_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = spoilt(tiny, tmp_path / "other", edited("processor_config.json", image_processor__patch_size=14))
    with pytest.raises(CheckpointError, match="no processor of Qwen3-VL"):
        PromptCheck(str(other), None)


def test_a_folder_without_tokenizer_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        PromptCheck(str(spoilt(tiny, tmp_path / "bare", without("tokenizer.json"))), None)
