"""`yanshou doctor`: versions, devices, memory and a checkpoint folder, and what to do about each problem.

    ok    torch 2.14.1
    ok    cuda:0 NVIDIA H200, 138.2 of 139.8 GiB free
    FAIL  /models/4B: 1 weights are missing, first lm_head.weight. Copy it again.

With --ray-address, `cluster_findings.py` adds the hosts of a Ray cluster.

Weights are not loaded: the names and shapes in their files are compared with config.json, an adapter with its base.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from yanshou.cli.command import command
from yanshou.cli.messages import say
from yanshou.cli.settings_options import settings_options
from yanshou.errors import YanshouError
from yanshou.requirements import installed, requirements
from yanshou.settings import A_BASE, A_CHECKPOINT, EngineSettings, Settings
from yanshou.thinking import OPENED
from yanshou.version import __version__

if TYPE_CHECKING:
    import torch
    from packaging.requirements import Requirement

    from yanshou.engines.checkpoint import Source

OPTIONAL = {"flash-attn": "FlashAttention 2 for --attn; SDPA is used without it"}
REASONS = (
    "the chat template opens a <think> block, as those of Thinking checkpoints do: the model reasons about every photo "
    "before its line, which takes more time and a larger --max-new-tokens. Verdicts are asked for without reasoning. "
    "The Instruct checkpoint reasons nowhere."
)
IN_FP8 = "weights in FP8, which run in the --dtype of a run; in 16 bits they take twice that memory"
FP8_OPTIONS = "--quantize fp8 and --kv-cache fp8"
AND_CAN_RUN_IN_FP8 = ". With --quantize fp8 they run in FP8, on a GPU of compute capability 8.9 or later"
GIB = 2**30

Level = Literal["ok", "note", "FAIL"]


class DoctorSettings(Settings):
    """One `yanshou doctor`."""

    checkpoint: str | None = Field(
        default=None,
        description=f"Checkpoint or LoRA adapter to check as well: {A_CHECKPOINT} Default: only the machine is "
        "checked.",
    )
    base_checkpoint: str | None = Field(default=None, description=A_BASE)
    ray_address: str | None = Field(
        default=None,
        description="Address of a Ray cluster, HOST:PORT of its head, or auto: every host of it is checked as well, "
        "as a worker on it would find it. Default: only this machine.",
    )
    input_dir: Path | None = Field(
        default=None,
        description="Folder of photos that every host of the cluster must see. Default: photos are not looked for.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.base_checkpoint is not None and self.checkpoint is None:
            raise ValueError("`base_checkpoint` needs an adapter. Give it with `checkpoint`")
        if self.input_dir is not None and self.ray_address is None:
            raise ValueError("`input_dir` is looked for on the hosts of a cluster. Give its `ray_address`")
        return self


@command("Checks the machine and a checkpoint.")
@settings_options(DoctorSettings)
def doctor(settings: DoctorSettings) -> int:
    """Checks that this machine can run yanshou and that a checkpoint is complete. Says for each problem what to do."""
    findings = examine(settings.checkpoint, settings.base_checkpoint)
    return report(chain(findings, _cluster(settings)))


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    text: str


def examine(checkpoint: str | None = None, base_checkpoint: str | None = None) -> Iterator[Finding]:
    """All findings that need no weights."""
    yield Finding("ok", f"yanshou {__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield from _packages()
    yield from _devices()
    if checkpoint is not None:
        yield from _checkpoint(checkpoint, base_checkpoint)


def _cluster(settings: DoctorSettings) -> Iterator[Finding]:
    if settings.ray_address is not None:
        from yanshou.cli.cluster_findings import cluster

        yield from cluster(settings.ray_address, settings.checkpoint, settings.base_checkpoint, settings.input_dir)


def _packages() -> Iterator[Finding]:
    yield from map(_package, requirements().values())
    for name, use in OPTIONAL.items():
        found = installed(name)
        yield Finding("ok", f"{name} {found}") if found else Finding("note", f"{name} is not installed ({use})")


def _package(wanted: "Requirement") -> Finding:
    found = installed(wanted.name)
    if found is None:
        return Finding("FAIL", f"{wanted.name} is not installed: pip install '{wanted}'")
    if found not in wanted.specifier:
        return Finding("FAIL", f"{wanted.name} {found}, wanted {wanted.specifier}: pip install '{wanted}'")
    return Finding("ok", f"{wanted.name} {found}")


def _devices() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        yield Finding("note", f"no CUDA device (torch is {built}): models run on the CPU, slowly")
    for index in range(torch.cuda.device_count()):
        yield from _gpu(index)
    yield Finding("ok", f"cpu, {torch.get_num_threads()} threads")


def _gpu(index: int) -> Iterator[Finding]:
    import torch

    device, name = torch.device("cuda", index), torch.cuda.get_device_name(index)
    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:  # it is full, busy or broken
        reason = str(error).partition("\n")[0]
        yield Finding("FAIL", f"{device} {name}: {reason}. Look at it with nvidia-smi: who uses it, and is it healthy?")
        return
    yield Finding("ok", f"{device} {name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free")
    yield _fp8(device)


def _fp8(device: "torch.device") -> Finding:
    """Whether --quantize fp8 and --kv-cache fp8 run on this GPU."""
    from yanshou.engines.device import FP8_CAPABILITY, lacks_fp8

    if reason := lacks_fp8(device):
        needed = ".".join(map(str, FP8_CAPABILITY))
        return Finding("note", f"{device}: {FP8_OPTIONS} need compute capability {needed} or later, and {reason}")
    return Finding("ok", f"{device}: {FP8_OPTIONS} run on it")


def _checkpoint(name: str, base: str | None) -> Iterator[Finding]:
    from yanshou.engines import checkpoint

    try:
        source = checkpoint.find(name, base)
    except YanshouError as error:
        yield Finding("FAIL", str(error))
        return
    faults = list(source.faults()) or _weight_faults(source)
    yield from (Finding("FAIL", fault) for fault in faults)
    if not faults:
        yield Finding("ok", f"{source.weights}: a complete Qwen3-VL checkpoint, {_size(source.weights)}")
        if checkpoint.is_moe(source.weights):
            yield Finding(
                "note", f"{source.weights}: a mixture of experts (MoE), which the transformers engine runs, slower"
            )
        yield from _checkpoint_in_fp8(source.weights)
        yield from _adapter(source)
        yield from _unread(source)
        yield from _processor(EngineSettings(checkpoint=name, base_checkpoint=base, device="cpu"))


def _checkpoint_in_fp8(folder: Path) -> Iterator[Finding]:
    """What --quantize fp8 would say to the checkpoint, on a GPU that runs FP8; how weights in FP8 run."""
    from yanshou.engines import checkpoint
    from yanshou.engines.continuous.fp8.plan import checkpoint_fault

    if fault := checkpoint_fault(folder):
        yield Finding("note", fault)
    if checkpoint.fp8_scales(folder):
        yield Finding("note", f"{folder}: {IN_FP8}" + ("" if fault else AND_CAN_RUN_IN_FP8))


def _weight_faults(source: "Source") -> list[str]:
    from yanshou.engines.loading import weight_faults

    return list(weight_faults(source))


def _size(folder: Path) -> str:
    from yanshou.engines.checkpoint import weight_files

    files = weight_files(folder)
    return f"{sum(path.stat().st_size for path in files) / GIB:.2f} GiB of weights in {len(files)} file(s)"


def _adapter(source: "Source") -> Iterator[Finding]:
    if source.adapter is None:
        return
    from yanshou.engines import lora
    from yanshou.engines.checkpoint.adapter import named_base

    yield Finding("ok", f"{source.adapter}: a LoRA adapter that fits it")
    if lora.changes_nothing(source.adapter):
        yield Finding("note", f"{source.adapter} changes nothing: all of its B matrices are zero, as before a training")
    if (named := named_base(source.adapter)) and Path(named).name != source.weights.name:
        yield Finding("note", f"the adapter names {named} as its base")


def _unread(source: "Source") -> Iterator[Finding]:
    if unread := source.unread_weights():
        yield Finding("note", f"not read, because loading has no use for them: {', '.join(unread)}")


def _processor(settings: EngineSettings) -> Iterator[Finding]:
    """Loads the processor and renders a prompt with it, as a run does."""
    from yanshou.engines.qwen3_vl import Qwen3VLBackend
    from yanshou.schema.prompt import Prompt

    try:
        engine = Qwen3VLBackend(settings)
        text = engine.render(Prompt("系统", "用户"))
        engine.check_stop_tokens()
        fingerprints = engine.fingerprints
    except YanshouError as error:
        yield Finding("FAIL", str(error))
        return
    yield Finding("ok", f"the processor loads: {type(engine.processor).__name__}, and its chat template renders")
    yield from _template(text)
    yield from _tokenizer(engine.processor.tokenizer)
    for name, fingerprint in fingerprints.items():
        yield Finding("ok", f"{'adapter ' if name == 'adapter' else ''}fingerprint {fingerprint}")


def _template(text: str) -> Iterator[Finding]:
    if "系统" not in text or "用户" not in text:
        yield Finding("FAIL", f"the chat template drops system or user text: {text!r}. Take the base checkpoint's.")
    elif text.find("image_pad") > text.find("用户"):
        yield Finding("note", "the chat template puts the text before the photo; prompts expect the photo first")
    if OPENED.search(text):
        yield Finding("note", REASONS)


def _tokenizer(tokenizer: Any) -> Iterator[Finding]:
    if tokenizer.padding_side != "left":
        yield Finding("note", f"the tokenizer pads on the {tokenizer.padding_side}; yanshou pads on the left by itself")


def report(findings: Iterator[Finding]) -> int:
    """Prints the findings as they come. Returns the exit status: 1 if one is a failure."""
    status = 0
    for finding in findings:
        say(f"{finding.level:<5} {finding.text}")
        status = max(status, int(finding.level == "FAIL"))
    return status
