"""Which layers of a checkpoint become FP8, and that the engine then computes what transformers computes over them."""

import weakref
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from support.checkpoints import biased, settings, write_tiny
from support.requests import SHORT, answers, mixed, photos
from torch import Tensor, nn

from yanshou.engines.continuous import language_model, model_runner, vision_encoder
from yanshou.engines.continuous.attention import varlen_attention
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8 import layers
from yanshou.engines.continuous.fp8.layers import fp8_layers, quantize_
from yanshou.engines.continuous.fp8.linear import Fp8Linear
from yanshou.engines.continuous.language_model import LanguageModel
from yanshou.engines.continuous.prefill_batch import BatchShape
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.engines.weight_names import empty_model


@pytest.fixture(scope="module")
def with_biases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every linear layer of the language model and of the vision tower has a random bias."""
    return biased(write_tiny(tmp_path_factory.mktemp("biased") / "tiny", attention_bias=True))


def test_the_layers_of_text_and_vision_become_fp8_and_nothing_else(tiny: Path) -> None:
    engine = ContinuousEngine(settings(tiny))
    before = {name for name, module in engine.model.named_modules() if isinstance(module, nn.Linear)}
    wanted = set(fp8_layers(empty_model(engine.model.config)))
    assert len(wanted) == 2 * 7 + 2 * 4  # layers and blocks
    quantize_(engine.model)
    found = {name for name, one in engine.model.named_modules() if isinstance(one, Fp8Linear)}
    assert found == wanted
    left = before - found
    assert {name for name, module in engine.model.named_modules() if isinstance(module, nn.Linear)} == left
    assert all(name == "lm_head" or "merger" in name for name in left)


def test_the_memory_of_each_layer_is_given_back_before_the_next_one_is_quantized(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a smaller layer takes a piece of it first, the rest is lost for larger ones."""
    model = ContinuousEngine(settings(tiny)).model
    names = list(fp8_layers(model))
    weights = [weakref.ref(model.get_submodule(name).weight) for name in names]
    alive: list[int] = []
    monkeypatch.setattr(
        layers, "give_back_freed_memory", lambda device: alive.append(sum(one() is not None for one in weights))
    )
    quantize_(model)
    assert alive == list(range(len(names)))[::-1]


def test_answers_are_those_of_transformers_over_the_same_layers(with_biases: Path) -> None:
    given = settings(with_biases, max_new_tokens=12)
    engine, reference = ContinuousEngine(given), TransformersEngine(given)
    for model in (engine.model, reference.model):
        quantize_(model)
    found, expected = (answers(one, mixed()) for one in (engine, reference))
    assert found.keys() == expected.keys()
    # Both add in another order, and where that moves a number over the middle between two of e4m3, a text may change.
    assert sum(found[at] == answer for at, answer in expected.items()) >= len(expected) - 2


def first_logits(folder: Path) -> Tensor:
    """Of the first tokens of three photos, (3, vocabulary)."""
    engine, found = ContinuousEngine(settings(folder, max_new_tokens=1)), list[Tensor]()
    quantize_(engine.model)
    logits = LanguageModel.logits

    def recorded(self: LanguageModel, hidden: Tensor) -> Tensor:
        found.append(logits(self, hidden))
        return found[-1]

    with mock.patch.object(LanguageModel, "logits", recorded):
        answers(engine, photos(3, SHORT))
    return torch.cat(found)[:3]


def attention_with_garbage(*arguments: Any, **named: Any) -> Tensor:
    """As on a GPU: rows outside all sequences hold anything, here NaN."""
    out, metadata = varlen_attention(*arguments, **named), arguments[3]
    outside = torch.ones(len(out), dtype=torch.bool)
    for start, end in metadata.query_ranges:
        outside[start:end] = False
    out[outside] = torch.nan
    return out


def test_padding_reaches_no_other_row(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = first_logits(tiny)
    monkeypatch.setattr(model_runner, "BatchShape", lambda *shape, exact: BatchShape(*shape, exact=False))
    for module in (language_model, vision_encoder):
        monkeypatch.setattr(module, "varlen_attention", attention_with_garbage)
    found = first_logits(tiny)
    assert float((found - expected).norm() / expected.norm()) < 0.1  # near 0, but for numbers rounded the other way
