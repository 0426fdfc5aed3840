"""`yanshou.engines.loading`: adapters in both engines, odd folders that load, and folders that change."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.adapters import EVERYTHING, write_adapter, write_merged
from support.checkpoints import EMBEDDING, WEIGHTS, Spoil, cut_in_half, edited, settings, spoilt, without, written
from support.requests import answers, mixed

from yanshou.engines.checkpoint import Source, find
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.loading import save_merged, weight_faults
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError

ENGINES = [TransformersEngine, ContinuousEngine]


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny, tmp_path_factory.mktemp("adapter") / "lora", target_modules=EVERYTHING)


@pytest.fixture(scope="module")
def merged(tiny: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, merged and saved by peft."""
    return write_merged(tiny, adapter, tmp_path_factory.mktemp("merged") / "whole")


@pytest.mark.parametrize("kind", ENGINES)
def test_an_adapter_answers_as_the_folder_that_peft_merged(
    tiny: Path, adapter: Path, merged: Path, kind: type[Any]
) -> None:
    found = answers(kind(settings(adapter)), mixed()[:5])
    assert found == answers(kind(settings(merged)), mixed()[:5])
    assert found != answers(kind(settings(tiny)), mixed()[:5])


def test_what_run_json_records_names_base_and_adapter(tiny: Path, adapter: Path) -> None:
    engine = TransformersEngine(settings(adapter))
    assert engine.identity().keys() == {"checkpoint", "adapter", "dtype"}
    environment = engine.environment()
    assert (environment["checkpoint_folder"], environment["adapter_folder"]) == (str(tiny), str(adapter))
    assert "peft" in environment


def test_a_merge_is_saved_in_the_dtype_of_the_base(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    save_merged(find(str(adapter)), tmp_path / "saved")
    source = find(str(tmp_path / "saved"))
    assert source == Source(tmp_path / "saved")
    assert [*source.faults(), *weight_faults(source)] == []
    by_peft = write_merged(tiny, adapter, tmp_path / "by peft", torch.bfloat16)
    found, wanted = load_file(tmp_path / "saved" / WEIGHTS), load_file(by_peft / WEIGHTS)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def weights(change: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def template_in_tokenizer_config(form: str) -> Spoil:
    """As training scripts save it; transformers before 4.43 saved several by name as a list."""

    def spoil(folder: Path) -> None:
        text: Any = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        (folder / "chat_template.jinja").unlink()
        if form == "list":
            text = [{"name": "rag", "template": "{{ 1/0 }}"}, {"name": "default", "template": text}]
        elif form == "no default":
            text = [{"name": "rag", "template": text}]
        edited("tokenizer_config.json", chat_template=text)(folder)

    return spoil


def template_json(folder: Path) -> None:
    """As transformers 4 saved it for processors."""
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
    (folder / "chat_template.jinja").unlink()


def preprocessor_config(folder: Path) -> None:
    """As transformers 4 saved it, without a processor_config.json."""
    images = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))["image_processor"]
    content = json.dumps(images | {"processor_class": "Qwen3VLProcessor"})
    (folder / "preprocessor_config.json").write_text(content, encoding="utf-8")
    (folder / "processor_config.json").unlink()


with_head = weights(lambda tensors: tensors | {"lm_head.weight": tensors[EMBEDDING].clone()})
ODD = {
    "template in tokenizer_config": [template_in_tokenizer_config("text")],
    "several templates": [template_in_tokenizer_config("list")],
    "chat_template.json": [template_json],
    "preprocessor_config only": [preprocessor_config],
    "no generation_config": [without("generation_config.json")],
    "tied, and the head saved": [with_head],
    "not tied, and the head saved": [edited("config.json", tie_word_embeddings=False), with_head],
    "tied at the top only": [edited("config.json", text_config__tie_word_embeddings=False)],
    "other architectures": [edited("config.json", architectures=["Qwen3VLForConditionalGeneration", "Policy"])],
    "saved by transformers 4": [edited("config.json", torch_dtype="bfloat16", transformers_version="4.57.1")],
    "a value head": [weights(lambda tensors: tensors | {"v_head.summary.weight": torch.zeros(3)})],
    "inv_freq": [weights(lambda tensors: tensors | {"model.language_model.rotary_emb.inv_freq": torch.zeros(3)})],
    "no prefix": [weights(lambda tensors: {name.removeprefix("model."): one for name, one in tensors.items()})],
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_folder_loads_and_answers_as_the_plain_one(
    tiny: Path, tmp_path: Path, reference: Any, kind: str
) -> None:
    folder = spoilt(tiny, tmp_path / "odd", *ODD[kind])
    source = find(str(folder))
    assert [*source.faults(), *weight_faults(source)] == []
    assert answers(TransformersEngine(settings(folder)), mixed()[:3]) == reference


@pytest.fixture(scope="module")
def reference(tiny: Path) -> Any:
    return answers(TransformersEngine(settings(tiny)), mixed()[:3])


@pytest.mark.parametrize("kind", ENGINES)
def test_a_head_of_its_own_is_used_though_config_json_ties_it(tiny: Path, tmp_path: Path, kind: type[Any]) -> None:
    """As transformers does: where both matrices are saved and differ, they are two."""
    head = weights(lambda tensors: tensors | {"lm_head.weight": tensors[EMBEDDING].flip(0).contiguous()})
    untied = spoilt(tiny, tmp_path / "untied", head, edited("config.json", tie_word_embeddings=False))
    tied = spoilt(tiny, tmp_path / "tied", head)
    assert answers(kind(settings(tied)), mixed()[:3]) == answers(kind(settings(untied)), mixed()[:3])


FAULTS: dict[str, tuple[list[Spoil], str]] = {
    "no default template": (
        [template_in_tokenizer_config("no default")], ": its chat templates are rag, and none is default. Save the ",
    ),
    "head missing": (
        [edited("config.json", tie_word_embeddings=False)],
        ": lm_head.weight is missing, and config.json does not tie it to the embeddings. If the base checkpoint ties ",
    ),
    "a block more": (
        [edited("config.json", text_config__num_hidden_layers=1)],
        ": config.json has no place for 11 weights, first model.language_model.layers.1.input_layernorm.weight: it",
    ),
    "a block less": (
        [edited("config.json", text_config__num_hidden_layers=3)], ": 11 weights are missing, first model.language_m",
    ),
    "other shapes": (
        [edited("config.json", text_config__intermediate_size=256)],
        ": 6 weights have another shape than config.json says, first model.language_model.layers.0.mlp.gate_proj."
        "weight: [128, 64], not [256, 64]. Copy config.json and weights from one save.",
    ),
    "names of a wrapper": (
        [weights(lambda tensors: {f"_orig_mod.{name}": one for name, one in tensors.items()})],
        ": 63 weights are missing, first model.language_model.embed_tokens.weight, and 63 of other names are "
        "there, first _orig_mod.model.language_model.embed_tokens.weight: another program saved them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_named_by_loading(tiny: Path, tmp_path: Path, kind: str) -> None:
    spoils, fault = FAULTS[kind]
    folder = spoilt(tiny, tmp_path / "spoilt", *spoils)
    with pytest.raises(CheckpointError) as caught:
        answers(TransformersEngine(settings(folder)), mixed()[:1])
    assert str(caught.value).startswith(f"{folder}{fault}")
    if kind != "no default template":
        assert list(weight_faults(find(str(folder)))) == [str(caught.value)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (cut_in_half, "model.safetensors: not a whole safetensors file ("),
        (without("model.safetensors"), "model.safetensors: there is no such file. Copy the"),
        (
            written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
            "model.safetensors: this is a Gi",
        ),
        (weights(lambda tensors: tensors | {"a": torch.zeros(1)}), " changed while it was being read. Wait until"),
    ],
)
def test_a_folder_that_changes_after_the_check_is_named(tiny: Path, tmp_path: Path, change: Spoil, fault: str) -> None:
    folder = spoilt(tiny, tmp_path / "changing")
    engine = TransformersEngine(settings(folder))
    assert engine.identity()
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        answers(engine, mixed()[:1])
    assert fault in str(caught.value)


def test_a_folder_that_vanishes_before_its_fingerprint_is_named(tiny: Path, tmp_path: Path) -> None:
    engine = TransformersEngine(settings(spoilt(tiny, tmp_path / "vanishing")))
    without("model.safetensors")(tmp_path / "vanishing")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: there is no such file"):
        engine.identity()


def test_transformers_and_peft_say_nothing(
    tiny: Path, adapter: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    odd = spoilt(tiny, tmp_path / "odd", *ODD["a value head"], *ODD["inv_freq"])
    answers(TransformersEngine(settings(odd)), mixed()[:1])
    answers(TransformersEngine(settings(adapter)), mixed()[:1])
    with pytest.raises(CheckpointError):
        answers(TransformersEngine(settings(spoilt(tiny, tmp_path / "less", *FAULTS["a block less"][0]))), mixed()[:1])
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []
