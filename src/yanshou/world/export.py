"""Writes a trained checkpoint in the form in which the demo checkpoint is shipped: bf16, in shards of at most 14 MB.

    python -m yanshou.world.export run/final src/yanshou/world/checkpoint

The first folder gives the weights only. Those of the vision tower may be missing, because training freezes it.
Configuration, tokenizer and processor are those of the demo checkpoint, from which the training started.
"""

import shutil
from pathlib import Path

import click
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from yanshou.engines import checkpoint
from yanshou.engines.saving import save_errors
from yanshou.errors import CheckpointError, OutputError, RunError
from yanshou.storage.atomic import unused_path
from yanshou.text import printable
from yanshou.world.train import MAX_SHARD_SIZE

SUFFIXES = (".json", ".jinja", ".safetensors")  # of a checkpoint's files


def export(trained: Path, target: Path) -> None:
    """Writes the folder `target`. An old checkpoint there is replaced at the end.

    Raises CheckpointError; OutputError, also where `target` holds anything but a checkpoint.
    """
    target = target.absolute()  # "." has no name
    with save_errors(target):
        _check_target(target)
    demo = checkpoint.locate("demo")
    weights = _weights(trained)
    model = Qwen3VLForConditionalGeneration.from_pretrained(demo, dtype=torch.bfloat16)
    if problem := _mismatch(weights, model.state_dict()):
        raise CheckpointError(f"{trained}: {problem}. Give a checkpoint that was trained from the demo checkpoint.")
    model.load_state_dict(weights, strict=False)
    with save_errors(target):
        _write(model, demo, target)


def _check_target(target: Path) -> None:
    """Raises OutputError for a file, and for a folder that would lose something else than a checkpoint."""
    there = next(path for path in (target, *target.parents) if path.exists())
    if not there.is_dir():
        raise OutputError(f"{printable(there)}: this is a file. Give a folder to write to.")
    for path in target.iterdir() if there == target else ():
        if path.suffix not in SUFFIXES or path.is_dir():
            raise OutputError(
                f"{printable(path)}: this is not a file of a checkpoint, and the folder would be replaced. Give a "
                "new folder, or one that holds a checkpoint only."
            )


def _write(model: Qwen3VLForConditionalGeneration, demo: Path, target: Path) -> None:
    """Writes a draft beside the target, then puts it in its place. Raises OSError and SafetensorError."""
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    model.save_pretrained(draft, max_shard_size=MAX_SHARD_SIZE)
    for path in demo.iterdir():
        if path.suffix in {".json", ".jinja"} and not path.name.endswith(".index.json"):
            shutil.copy2(path, draft)
    checkpoint.inherit_permissions(draft)
    old = unused_path(target.with_name(f".{target.name}.old"))
    if target.exists():
        target.replace(old)
    draft.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _weights(trained: Path) -> dict[str, torch.Tensor]:
    try:
        return {name: tensor for path in trained.glob("*.safetensors") for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{trained}: the weights cannot be read: {error}. Copy the checkpoint again.") from error


def _mismatch(weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> str | None:
    """The first reason why the weights cannot replace those of the demo checkpoint. None: they can."""
    if not weights:
        return "this folder has no safetensors weights"
    for name, tensor in weights.items():
        if name not in wanted:
            return f"the demo checkpoint has no {name}"
        if tensor.shape != wanted[name].shape:
            return f"{name} has the shape {[*tensor.shape]}, not {[*wanted[name].shape]} as in the demo checkpoint"
    for name in wanted:
        # The vision tower is frozen, and lm_head is tied to the embedding.
        if name not in weights and not name.startswith(("model.visual.", "lm_head.")):
            return f"{name} is missing"
    return None


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))  # \b: click keeps the line breaks
@click.argument("trained", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(trained: Path, target: Path) -> None:
    """Command line."""
    try:
        export(trained, target)
    except RunError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
