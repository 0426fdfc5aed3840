"""A mixture of experts, as transformers saves it: the transformers engine runs it, and everything else says so."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from support.adapters import write_adapter
from support.checkpoints import WEIGHTS, Spoil, edited, settings, spoilt
from support.moe import write_moe
from support.quantized import FINE_GRAINED
from support.requests import SHORT, answers, mixed, photos
from transformers import Qwen3VLMoeForConditionalGeneration

from yanshou.cli import main
from yanshou.engines import Completion, Request, load_engine
from yanshou.engines.checkpoint import check, faults, find, is_moe
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.loading import load_model, load_weights
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError

UP = "model.language_model.layers.0.mlp.experts.gate_up_proj"
CANDIDATES = ("通过", "不通过")


@pytest.fixture(scope="module")
def moe(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    return write_moe(tiny, tmp_path_factory.mktemp("checkpoint") / "moe")


def transposed(folder: Path) -> None:
    """As Qwen publishes them: experts, inputs, outputs."""
    weights = {
        name: tensor.transpose(1, 2).contiguous() if ".experts." in name else tensor
        for name, tensor in load_file(folder / WEIGHTS).items()
    }
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def test_experts_are_loaded_as_they_were_in_either_layout(moe: Path, tmp_path: Path) -> None:
    saved, published = load_file(moe / WEIGHTS)[UP], spoilt(moe, tmp_path / "published", transposed)
    assert saved.shape == (4, 96, 64)  # experts, 2 × inner, hidden: as transformers saves what it has not loaded
    assert load_file(published / WEIGHTS)[UP].shape == (4, 64, 96)
    for folder in (moe, published):
        assert list(faults(folder)) == []
        assert torch.equal(load_weights(folder, torch.bfloat16, "sdpa").get_parameter(UP), saved)


def test_config_json_says_whether_there_are_experts(moe: Path, tiny: Path) -> None:
    assert (is_moe(moe), is_moe(tiny), is_moe(tiny / "none")) == (True, False, False)


def test_the_answers_are_those_of_plain_transformers(moe: Path) -> None:
    engine = TransformersEngine(settings(moe))
    model = Qwen3VLMoeForConditionalGeneration.from_pretrained(moe, dtype=torch.float32, experts_implementation="eager")
    found = answers(engine, photos(4))
    for request in photos(4):
        inputs = engine.collate([engine.prepare(request)])
        rows = model.generate(**inputs, max_new_tokens=24, do_sample=False, eos_token_id=engine.stop_tokens)
        answer = found[request.id]
        assert isinstance(answer, Completion)
        assert answer.text == engine.processor.tokenizer.decode(rows[0, inputs["input_ids"].shape[1] :])
    assert len({answer.text for answer in found.values() if isinstance(answer, Completion)}) > 1


def test_other_rows_of_the_batch_change_nothing(moe: Path) -> None:
    assert answers(TransformersEngine(settings(moe, batch_size=8)), mixed()) == answers(
        TransformersEngine(settings(moe, batch_size=1)), mixed()[::-1]
    )


@torch.inference_mode()
def test_candidates_are_scored_as_their_tokens_one_after_another(moe: Path) -> None:
    engine = TransformersEngine(settings(moe))
    (answer,) = engine.generate([Request(0, SHORT, None, candidates=CANDIDATES)])
    assert isinstance(answer, Completion)
    prompt = engine.prepare(Request(0, SHORT, None)).ids
    for line, logprob in zip(CANDIDATES, answer.logprobs, strict=True):
        ids = torch.cat([prompt, torch.tensor(engine.tokenizer.line_ids(line))])
        scores = engine.model(input_ids=ids[None]).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
        assert logprob == pytest.approx(scores.gather(-1, ids[len(prompt) :, None]).sum().item(), abs=1e-4)


def test_the_continuous_engine_refuses_it_and_auto_never_picks_that_one(
    moe: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError) as refused:
        ContinuousEngine(settings(moe))
    assert str(refused.value) == (
        f"{moe}: a mixture of experts (MoE), which the continuous engine does not run. Use --engine transformers."
    )
    monkeypatch.setattr("yanshou.engines.device.pick_device", lambda _: torch.device("cuda"))
    assert type(load_engine(settings(moe))) is TransformersEngine
    assert type(load_engine(settings(tiny))) is ContinuousEngine


def test_an_adapter_of_its_attention_is_merged(moe: Path, tmp_path: Path) -> None:
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    adapter = write_adapter(moe, tmp_path / "adapter", target_modules=["q_proj", "v_proj"])
    merged = load_model(find(str(adapter), str(moe)), torch.float32, "sdpa")
    plain = load_weights(moe, torch.float32, "sdpa")
    assert not torch.equal(merged.get_parameter(name), plain.get_parameter(name))
    assert torch.equal(merged.get_parameter(UP), plain.get_parameter(UP))


def test_doctor_says_which_engine_runs_it(moe: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--checkpoint", str(moe)])
    assert "FAIL  " + str(moe) not in result.output
    assert f"note  {moe}: a mixture of experts (MoE), which the transformers engine runs, slower" in result.output


@pytest.mark.parametrize(("size", "name"), [(32, "gate_up_proj"), (64, "down_proj")])
def test_square_experts_are_refused_because_nothing_shows_whether_they_are_transposed(
    tiny: Path, tmp_path: Path, size: int, name: str
) -> None:
    folder = write_moe(tiny, tmp_path / "square", moe_intermediate_size=size)
    (fault,) = faults(folder)
    assert fault.startswith(f"{folder}/config.json: the experts' {name} is square (64 × 64), so loading cannot tell ")


def split_experts(folder: Path) -> None:
    """As Megatron saves them."""
    weights = load_file(folder / WEIGHTS)
    for at, expert in enumerate(weights.pop(UP)):
        gate, up = expert.T.chunk(2)
        weights |= {
            f"{UP[:-12]}{at}.{name}.weight": part.contiguous() for name, part in (("gate_proj", gate), ("up_proj", up))
        }
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (split_experts, "{}: model.language_model.layers.0.mlp.experts.0.gate_proj.weight holds one expert alone; "),
        (
            edited("config.json", quantization_config=FINE_GRAINED),
            "{}: a mixture of experts with quantized weights cannot be run. Take the checkpoint in 16 bits ",
        ),
    ],
)
def test_experts_that_cannot_be_loaded_are_refused(moe: Path, tmp_path: Path, spoil: Spoil, fault: str) -> None:
    folder = spoilt(moe, tmp_path / "spoilt", spoil)
    with pytest.raises(CheckpointError) as refused:
        check(folder)
    assert str(refused.value).startswith(fault.format(folder))
