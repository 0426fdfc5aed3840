"""LoRA adapters on a GPU: merged on the CPU, they answer in both engines as the folder that peft merged."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.adapters import EVERYTHING, write_adapter, write_merged
from support.gpu import continuous, on_device, on_gpu, reference
from support.requests import Answers, mixed

pytestmark = on_gpu


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny, tmp_path_factory.mktemp("adapter") / "lora", target_modules=EVERYTHING)


@pytest.mark.parametrize("engine", [continuous, reference])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_answers_as_the_folder_that_peft_merged(
    tiny: Path, adapter: Path, tmp_path: Path, engine: Callable[..., Answers], dtype: str
) -> None:
    merged = write_merged(tiny, adapter, tmp_path / "merged", getattr(torch, dtype))
    found = engine(on_device(adapter, dtype), mixed())
    assert found == engine(on_device(merged, dtype), mixed())
    assert found != engine(on_device(tiny, dtype), mixed())


def test_in_float32_both_engines_write_the_same_texts_with_an_adapter(adapter: Path) -> None:
    given = on_device(adapter, "float32")
    assert continuous(given, mixed()) == reference(given, mixed())
