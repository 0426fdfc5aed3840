"""Promises of `yanshou doctor`: what keeps a machine or a checkpoint from running is reported, each with its cure."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from support.adapters import edit_config, edit_weights, write_adapter
from support.checkpoints import HYBRID, THINKING, Spoil, edited, prompt_end, spoilt, without, write_tiny, written

from yanshou.cli import doctor, main
from yanshou.cli.doctor import REASONS, Finding, examine, report
from yanshou.engines.qwen3_vl import Qwen3VLBackend
from yanshou.errors import CheckpointError
from yanshou.requirements import installed
from yanshou.settings import EngineSettings

TEXT_FIRST = """\
{%- for m in messages -%}<|im_start|>{{ m.role }}
{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content|reverse %}{% if c.type == 'image' -%}
<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}<|im_start|>assistant
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small complete checkpoint; tests do not write to it."""
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny")


def findings(checkpoint: Path | str, level: str, base: Path | None = None) -> list[str]:
    found = examine(str(checkpoint), str(base) if base else None)
    return [finding.text for finding in found if finding.level == level]


def sharded(folder: Path) -> None:
    """The index names two weight files, and there is one."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def test_a_good_folder_has_no_fault(tiny: Path) -> None:
    assert findings(tiny, "FAIL") == []
    fine = findings(tiny, "ok")
    assert f"{tiny}: a complete Qwen3-VL checkpoint, 0.00 GiB of weights in 1 file(s)" in fine
    assert "the processor loads: Qwen3VLProcessor, and its chat template renders" in fine
    assert len(fine[-1].removeprefix("fingerprint ")) == 64


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (sharded, "{}: 1 of 2 weight files are missing, first model-00002-of-00002.safetensors. Copy them."),
        (without("tokenizer.json"), "{}: tokenizer.json is missing. Copy it"),
        (without("chat_template.jinja"), "{}: no chat template. Copy chat_template.jinja from the base checkpoint."),
        (
            written("chat_template.jinja", "{% for m in messages if m.role == 'user' %}用户{% endfor %}"),
            "the chat template drops system or user text: '用户'. Take the base checkpoint's.",
        ),
        (written("chat_template.jinja", "{% if %}"), "{}: its chat template cannot render a prompt ("),
        (edited("tokenizer_config.json", pad_token=None), "{}: the tokenizer has no padding token. Set pad_token in"),
        (edited("processor_config.json", image_processor__merge_size=1), "{}: merge_size is 1 for the processor, 2 in"),
        (edited("config.json", model_type="qwen2_vl"), "{}/config.json: model_type is 'qwen2_vl', expected 'qwen3_vl'"),
        (written("config.json", "[]"), "{}/config.json: model_type is None, expected 'qwen3_vl'"),
        (edited("config.json", text_config=[]), "{}"),
        (edited("config.json", image_token_id="12"), "{}"),
        (written("tokenizer_config.json", "[]"), "{}"),
        (edited("tokenizer_config.json", tokenizer_class=[]), "{}"),
    ],
)
def test_a_fault_is_reported_with_its_cure(tiny: Path, tmp_path: Path, spoil: Spoil, fault: str) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", spoil)
    (fault_found,) = findings(folder, "FAIL")
    assert fault_found.startswith(fault.replace("{}", str(folder)))


def quantized(method: str, **settings: Any) -> Spoil:
    return edited("config.json", quantization_config={"quant_method": method} | settings)


@pytest.mark.parametrize("method", ["bitsandbytes", "awq", "gptq", "mxfp4"])
def test_weights_quantized_to_few_bits_are_refused_by_doctor_and_run(tiny: Path, tmp_path: Path, method: str) -> None:
    folder = spoilt(tiny, tmp_path / "quantized", quantized(method, bits=4))
    (fault,) = findings(folder, "FAIL")
    assert fault == (
        f"{folder}: its weights are quantized ({method}), which yanshou cannot run. Take the checkpoint in 16 bits "
        "from which it was quantized, or dequantize it and save that."
    )
    with pytest.raises(CheckpointError) as caught:
        Qwen3VLBackend(EngineSettings(checkpoint=str(folder), device="cpu"))
    assert str(caught.value) == fault


def test_stop_tokens_and_names_of_weights_are_checked_without_loading(tiny: Path, tmp_path: Path) -> None:
    odd = edited("generation_config.json", eos_token_id=99_999)
    (fault,) = findings(spoilt(tiny, tmp_path / "stop", odd), "FAIL")
    assert "generation_config.json: eos_token_id is 99999, expected a token id" in fault
    deep = edited("config.json", text_config__num_hidden_layers=3)
    (fault,) = findings(spoilt(tiny, tmp_path / "deep", deep), "FAIL")
    assert "11 weights are missing, first model.language_model.layers.2." in fault


@pytest.mark.parametrize(
    ("capability", "level", "text"),
    [
        ((9, 0), "ok", "cuda:0: --quantize fp8 and --kv-cache fp8 run on it"),
        (
            (8, 0), "note",
            "cuda:0: --quantize fp8 and --kv-cache fp8 need compute capability 8.9 or later, and a GPU has compute "
            "capability 8.0",
        ),
    ],
)  # fmt: skip
def test_it_says_whether_a_gpu_runs_fp8(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], level: str, text: str
) -> None:
    with_gpu(monkeypatch, mem_get_info=(2**34, 2**35), get_device_capability=capability)
    found = [finding for finding in examine() if finding.text.startswith("cuda:0")]
    assert found == [Finding("ok", "cuda:0 a GPU, 16.0 of 32.0 GiB free"), Finding(level, text)]


def test_a_gpu_that_another_process_has_filled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in …")

    with_gpu(monkeypatch)
    monkeypatch.setattr("torch.cuda.mem_get_info", full)
    assert [finding for finding in examine() if finding.text.startswith(("cuda:", "cpu,"))] == [
        Finding(
            "FAIL",
            "cuda:0 a GPU: CUDA error: out of memory. Look at it with nvidia-smi: who uses it, and is it healthy?",
        ),
        Finding("ok", f"cpu, {torch.get_num_threads()} threads"),
    ]


def with_gpu(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    """One GPU. `values`: what functions of torch.cuda return."""
    gpu = {"is_available": True, "device_count": 1, "get_device_name": "a GPU", **values}
    for name, value in gpu.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *_, value=value: value)


def test_it_says_of_a_checkpoint_what_quantize_fp8_would_say(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "odd", {"intermediate_size": 72})
    assert findings(folder, "note")[-1] == (
        f"{folder}: model.visual.blocks.0.mlp.linear_fc1 is 72 × 32, and a product in FP8 needs multiples of 16 on "
        "both sides. Leave --quantize out."
    )


def test_files_of_weights_that_are_not_read_are_a_note(tiny: Path, tmp_path: Path) -> None:
    others = [written(name, "x") for name in ("optimizer.pt", "consolidated.safetensors", "training_args.bin")]
    (note,) = [note for note in findings(spoilt(tiny, tmp_path / "all", *others), "note") if "not read" in note]
    assert note.endswith(": consolidated.safetensors, optimizer.pt, training_args.bin")


def test_an_adapter_is_checked_with_its_base(tiny: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny, tmp_path / "lora")
    assert findings(adapter, "FAIL") == []
    fine = findings(adapter, "ok")
    assert f"{adapter}: a LoRA adapter that fits it" in fine
    assert [line.rpartition(" ")[0] for line in fine[-2:]] == ["fingerprint", "adapter fingerprint"]
    base = write_tiny(tmp_path / "wide", hidden_size=128)
    (fault,) = findings(adapter, "FAIL", base)
    assert "and its base and config want [4, 128]: the adapter belongs to another base" in fault


def test_an_adapter_that_changes_nothing_or_names_another_base_is_a_note(tiny: Path, tmp_path: Path) -> None:
    adapter = edit_weights(
        write_adapter(tiny, tmp_path / "lora"), lambda weights: {name: one * 0 for name, one in weights.items()}
    )
    base = spoilt(tiny, tmp_path / "other")
    notes = findings(edit_config(adapter, base_model_name_or_path="Qwen/Qwen3-VL-4B-Instruct"), "note", base)
    assert f"{adapter} changes nothing: all of its B matrices are zero, as before a training" in notes
    assert "the adapter names Qwen/Qwen3-VL-4B-Instruct as its base" in notes


def test_a_base_needs_an_adapter(tiny: Path) -> None:
    ran = CliRunner().invoke(main, ["doctor", "--base-checkpoint", str(tiny)])
    assert (ran.exit_code, "--base-checkpoint needs an adapter. Give it with --checkpoint" in ran.output) == (2, True)
    (fault,) = findings(tiny, "FAIL", tiny)
    assert fault == f"--base-checkpoint is for an adapter, and {tiny} is none. Leave it out."


def test_what_does_not_prevent_a_run_is_a_note(tiny: Path, tmp_path: Path) -> None:
    right = edited("tokenizer_config.json", padding_side="right")
    folder = spoilt(tiny, tmp_path / "spoilt", right, written("chat_template.jinja", TEXT_FIRST))
    assert findings(folder, "FAIL") == []
    notes = findings(folder, "note")
    assert "the tokenizer pads on the right; yanshou pads on the left by itself" in notes
    assert "the chat template puts the text before the photo; prompts expect the photo first" in notes


def test_a_template_that_opens_a_think_block_is_a_note(tiny: Path, tmp_path: Path) -> None:
    thinking, hybrid = (
        spoilt(tiny, tmp_path / name, prompt_end(end)) for name, end in (("thinking", THINKING), ("hybrid", HYBRID))
    )
    assert findings(thinking, "FAIL") == findings(hybrid, "FAIL") == []
    assert [note for note in findings(thinking, "note") if "<think>" in note] == [REASONS]
    assert not any("<think>" in note for note in findings(hybrid, "note"))


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    (fault,) = findings(tmp_path / "none", "FAIL")
    assert fault.startswith(f"checkpoint {tmp_path / 'none'}: no such folder")


def test_without_a_checkpoint_versions_and_devices_are_reported() -> None:
    lines = [finding.text for finding in examine()]
    assert lines[0].startswith("yanshou 0.")
    assert any(line.startswith("transformers 5.") for line in lines)
    assert any(line.startswith("cpu, ") for line in lines)


@pytest.mark.parametrize(
    ("found", "level"), [("5.16.9", "FAIL"), ("5.17.0", "ok"), ("5.19.3", "ok"), ("5.20.0", "FAIL")]
)
def test_transformers_outside_the_tested_versions_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, found: str, level: str
) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: found if name == "transformers" else installed(name))
    (finding,) = [finding for finding in examine() if finding.text.startswith("transformers ")]
    assert finding.level == level


def test_a_missing_package_is_a_fault_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "natsort" else "99")
    assert "natsort is not installed: pip install 'natsort>=8.4'" in [finding.text for finding in examine()]


def test_the_status_is_1_if_something_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(iter([Finding("ok", "torch"), Finding("note", "no GPU")])) == 0
    assert report(iter([Finding("FAIL", "no torch"), Finding("ok", "cpu")])) == 1
    assert capsys.readouterr().out == "ok    torch\nnote  no GPU\nFAIL  no torch\nok    cpu\n"


def test_a_closed_stdout_changes_neither_status_nor_stderr(tmp_path: Path) -> None:
    """Cron jobs and `>&-` close it."""
    script = '"$0" -m yanshou.cli doctor --checkpoint "$1" >&-'
    ran = subprocess.run(
        ["bash", "-c", script, sys.executable, str(tmp_path / "none")], capture_output=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, b"", b"")


def test_the_command_ends_with_the_reports_status(tiny: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["doctor", "--checkpoint", str(tiny)]).exit_code == 0
    assert CliRunner().invoke(main, ["doctor", "--checkpoint", str(tmp_path / "none")]).exit_code == 1
