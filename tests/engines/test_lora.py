"""`yanshou.engines.lora`: an adapter takes effect as a whole, or its fault is named."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.adapters import EVERYTHING, Tensors, edit_config, edit_weights, write_adapter
from support.checkpoints import write_tiny
from support.moe import write_moe
from transformers import AutoModelForImageTextToText

from yanshou.engines import lora
from yanshou.engines.loading import load_config
from yanshou.engines.weight_names import empty_model
from yanshou.errors import CheckpointError

Q_PROJ = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.fixture(scope="module")
def plain(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny, tmp_path_factory.mktemp("adapter") / "plain")


def load(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "ranks by layer": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    "vision tower": {"target_modules": EVERYTHING},
    "for causal models": {"task_type": "CAUSAL_LM"},
    "a whole module": {"modules_to_save": ["merger"]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_merged_weights_are_those_that_peft_merges(tiny: Path, tmp_path: Path, kind: str) -> None:
    from peft import PeftModel

    adapter = write_adapter(tiny, tmp_path / "adapter", **KINDS[kind])
    base = load(tiny).state_dict()
    wanted = PeftModel.from_pretrained(load(tiny), adapter).merge_and_unload().state_dict()
    merged = lora.merge(load(tiny), adapter).state_dict()
    assert merged.keys() == base.keys()
    assert all(torch.equal(merged[name], wanted[name]) for name in wanted)
    changed = [name for name in base if not torch.equal(merged[name], base[name])]
    assert len(changed) >= 14
    assert any("visual" in name for name in changed) == (kind == "vision tower")


def test_an_adapter_of_the_experts_is_merged_as_peft_merges_it(tiny: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
    moe = write_moe(tiny, tmp_path / "moe")
    adapter = write_adapter(moe, tmp_path / "adapter", target_modules=["q_proj"], target_parameters=experts)
    base, merged = load(moe).state_dict(), lora.merge(load(moe), adapter).state_dict()
    wanted = PeftModel.from_pretrained(load(moe), adapter).merge_and_unload().state_dict()
    assert merged.keys() == base.keys()
    assert all(torch.equal(merged[name], wanted[name]) for name in wanted)
    assert all(not torch.equal(merged[name], base[name]) for name in base if name.endswith(tuple(experts)))


def other_layers(weights: Tensors) -> Tensors:
    """As trained on the language model alone, without the photo's part."""
    return {name.replace("model.language_model", "model"): weight for name, weight in weights.items()}


def some_missing(weights: Tensors) -> Tensors:
    return dict(sorted(weights.items())[2:])


def one_more(weights: Tensors) -> Tensors:
    return weights | {"base_model.model.model.visual.merger.linear_fc1.lora_A.weight": torch.zeros(4, 128)}


def not_finite(weights: Tensors) -> Tensors:
    return weights | {Q_PROJ: weights[Q_PROJ] * float("nan")}


@pytest.mark.parametrize(
    ("change", "settings", "fault"),
    [
        (
            other_layers, {},
            "28 of its 28 tensors have no place in its base, first base_model.model.model.layers.0.mlp.down_proj."
            "lora_A.weight (names there are like base_model.model.model.language_model.layers.0.mlp.down_proj.lora_A.w",
        ),
        (some_missing, {}, "2 of 28 tensors are missing, first base_model.model.model.language_model.layers.0.mlp."),
        (one_more, {}, "1 of its 29 tensors have no place in its base, first base_model.model.model.visual.merger."),
        (not_finite, {}, f"{Q_PROJ} holds numbers that are not finite: the training failed. Take an earlier"),
        (dict, {"r": 8}, f"{Q_PROJ} is [4, 64], and its base and config want [8, 64]: the adapter belongs to another"),
        (dict, {"target_modules": ["q_proj"]}, "24 of its 28 tensors have no place in its base, first base_model"),
        (dict, {"target_modules": ["c_attn"]}, "Target modules {'c_attn'} not found in the base model."),
        (dict, {"lora_alpha": "large"}, ""),
        (dict, {"target_modules": "("}, "missing ), unterminated subpattern at position 0. Merge it with the program"),
        (dict, {"alpha_pattern": ["q_proj"]}, "'list' object has no attribute 'keys'. Merge it with the program"),
        (dict, {"modules_to_save": ["lm_head"]}, "'base_model.model.lm_head.weight' is missing. Merge it with"),
    ],
    ids=[
        *("text-only", "missing", "more", "nan", "rank", "fewer targets", "other targets"),
        *("odd", "pattern", "list", "head"),
    ],
)  # fmt: skip
def test_an_adapter_that_would_not_take_effect_as_a_whole_is_refused_with_and_without_weights(
    tiny: Path, plain: Path, tmp_path: Path, change: Any, settings: dict[str, Any], fault: str
) -> None:
    adapter = edit_config(edit_weights(shutil.copytree(plain, tmp_path / "adapter"), change), **settings)
    for model in (load(tiny), empty_model(load_config(tiny))):
        with pytest.raises(CheckpointError) as caught:
            lora.attach(model, adapter)
        assert str(caught.value).startswith(f"{adapter}: {fault}")


def test_an_adapter_of_another_size_is_refused(plain: Path, tmp_path: Path) -> None:
    wide = empty_model(load_config(write_tiny(tmp_path / "wide", hidden_size=128)))
    with pytest.raises(CheckpointError, match=r"is \[4, 64\], and its base and config want \[4, 128\]"):
        lora.attach(wide, plain)
    deep = empty_model(load_config(write_tiny(tmp_path / "deep", num_hidden_layers=3)))
    with pytest.raises(CheckpointError, match=r"14 of 42 tensors are missing, first \S+layers\.2\."):
        lora.attach(deep, plain)


@pytest.mark.filterwarnings("ignore:.lora_bias")
def test_an_adapter_that_cannot_be_merged_is_refused(tiny: Path, tmp_path: Path) -> None:
    biased = write_adapter(tiny, tmp_path / "biased", lora_bias=True)
    with pytest.raises(CheckpointError, match=r"cannot be merged: .*bias.*\. Merge it with the program"):
        lora.merge(load(tiny), biased)


def test_an_untrained_adapter_changes_nothing(tiny: Path, plain: Path, tmp_path: Path) -> None:
    assert not lora.changes_nothing(plain)
    untrained = edit_weights(
        shutil.copytree(plain, tmp_path / "untrained"),
        lambda weights: {name: weight * ("lora_A" in name) for name, weight in weights.items()},
    )
    assert lora.changes_nothing(untrained)


@pytest.mark.parametrize("damage", ["vanished", "cut"])
def test_an_adapter_that_changes_after_the_check_is_named(plain: Path, tiny: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(plain, folder)
    weights, model = folder / "adapter_model.safetensors", load(tiny)
    if damage == "vanished":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=re.escape(str(folder))):
        lora.merge(model, folder)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(weights))}: (there is no such file|not a whole)"):
        lora.changes_nothing(folder)
