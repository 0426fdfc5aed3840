"""`yanshou doctor`: versions, devices, memory and a checkpoint folder, and what to do about each problem.

    ok    torch 2.14.1
    ok    cuda:0 NVIDIA H200, 138.2 of 139.8 GiB free
    FAIL  /models/lora is an adapter, not a whole checkpoint; merge it first: swift export --adapters …

No weights are loaded, so a run may still find that one is missing.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from yanshou.cli.command import command
from yanshou.cli.messages import say
from yanshou.cli.settings_options import settings_options
from yanshou.errors import YanshouError
from yanshou.requirements import installed, requirements
from yanshou.settings import A_CHECKPOINT, EngineSettings, Settings
from yanshou.thinking import OPENED
from yanshou.version import __version__

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OPTIONAL = {"flash-attn": "FlashAttention 2 for --attn; SDPA is used without it"}
REASONS = (
    "the chat template opens a <think> block, as those of Thinking checkpoints do: the model reasons about every photo "
    "before its line, which takes more time and a larger --max-new-tokens. Verdicts are asked for without reasoning. "
    "The Instruct checkpoint reasons nowhere."
)
GIB = 2**30

Level = Literal["ok", "note", "FAIL"]


class DoctorSettings(Settings):
    """One `yanshou doctor`."""

    checkpoint: str | None = Field(
        default=None,
        description=f"Checkpoint to check as well: {A_CHECKPOINT} Default: only the machine is checked.",
    )


@command("Checks the machine and a checkpoint.")
@settings_options(DoctorSettings)
def doctor(settings: DoctorSettings) -> int:
    """Checks that this machine can run yanshou and that a checkpoint is complete. Says for each problem what to do."""
    return report(examine(settings.checkpoint))


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    text: str


def examine(checkpoint: str | None = None) -> Iterator[Finding]:
    """All findings that need no weights."""
    yield Finding("ok", f"yanshou {__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield from _packages()
    yield from _devices()
    if checkpoint is not None:
        yield from _checkpoint(checkpoint)


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
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield Finding("ok", f"cuda:{index} {name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free")
    yield Finding("ok", f"cpu, {torch.get_num_threads()} threads")


def _checkpoint(name: str) -> Iterator[Finding]:
    from yanshou.engines import checkpoint

    try:
        folder = checkpoint.locate(name)
    except YanshouError as error:
        yield Finding("FAIL", str(error))
        return
    faults = list(checkpoint.faults(folder))
    yield from (Finding("FAIL", fault) for fault in faults)
    if not faults:
        if not checkpoint.read_headers(checkpoint.weight_files(folder)):
            yield Finding("FAIL", f"{folder}: its safetensors files hold no weights. Copy them again.")
            return
        yield Finding("ok", f"{folder}: a complete Qwen3-VL checkpoint, {_size(folder)}")
        if checkpoint.is_moe(folder):
            yield Finding("note", f"{folder}: a mixture of experts (MoE), which the transformers engine runs, slower")
        yield from _processor(folder, name)


def _size(folder: Path) -> str:
    from yanshou.engines.checkpoint import weight_files

    files = weight_files(folder)
    return f"{sum(path.stat().st_size for path in files) / GIB:.2f} GiB of weights in {len(files)} file(s)"


def _processor(folder: Path, name: str) -> Iterator[Finding]:
    """Loads the processor and renders a prompt with it, as a run does."""
    from yanshou.engines.qwen3_vl import Qwen3VLBackend
    from yanshou.schema.prompt import Prompt

    try:
        engine = Qwen3VLBackend(EngineSettings(checkpoint=name, device="cpu"))
        text = engine.render(Prompt("系统", "用户"))
    except YanshouError as error:
        yield Finding("FAIL", str(error))
        return
    yield Finding("ok", f"the processor loads: {type(engine.processor).__name__}, and its chat template renders")
    yield from _template(text)
    yield from _tokenizer(engine.processor.tokenizer)
    yield Finding("ok", f"fingerprint {engine.fingerprint}")


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
