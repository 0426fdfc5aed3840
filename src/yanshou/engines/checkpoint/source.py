"""What `--checkpoint` and `--base-checkpoint` name: a folder of whole weights, or an adapter and its base."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from yanshou.engines.checkpoint.adapter import CONFIG, WEIGHTS, adapter_faults, base_name, is_adapter, tied_fault
from yanshou.engines.checkpoint.faults import faults, is_tied, processor_faults
from yanshou.engines.checkpoint.fingerprint import PROCESSOR_FILES, digest, fingerprint
from yanshou.engines.checkpoint.locate import locate
from yanshou.engines.checkpoint.reading import read_json, reading
from yanshou.engines.checkpoint.weight_files import weight_files
from yanshou.errors import CheckpointError, UsageError

WEIGHT_KINDS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
TOKENIZERS = ("tokenizer.json", "vocab.json")
IMAGE_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights and processor come from."""

    weights: Path  # a folder of whole weights
    adapter: Path | None = None  # merged into them when they are loaded

    def __str__(self) -> str:
        return f"{self.adapter} on {self.weights}" if self.adapter else str(self.weights)

    @property
    def folders(self) -> list[Path]:
        return [self.weights, self.adapter] if self.adapter else [self.weights]

    @property
    def processor(self) -> Path:
        """The folder of tokenizer, chat template and image processor: those of the training, if it saved them all."""
        if self.adapter and all(map(self._in_adapter, (TOKENIZERS, IMAGE_PROCESSORS))):
            return self.adapter
        return self.weights

    def processor_files(self) -> list[Path]:
        """The files from which the processor loads."""
        return [path for name in PROCESSOR_FILES if (path := self.processor / name).exists()]

    def faults(self) -> Iterator[str]:
        """Everything that keeps the checkpoint from loading, as far as it shows without reading the weights."""
        yield from faults(self.weights)
        if self.adapter is None:
            return
        try:
            with reading(self.adapter):
                yield from adapter_faults(self.adapter)
                yield from self._faults_together(self.adapter)
        except CheckpointError as error:
            yield str(error)

    def unread_weights(self) -> list[str]:
        """Files of weights beside those that are read."""
        read = {*weight_files(self.weights), self.weights / WEIGHTS}
        found = {path for kind in WEIGHT_KINDS for path in self.weights.glob(kind)}
        return sorted(path.name for path in found - read)

    def check(self) -> None:
        """Raises CheckpointError for the first fault."""
        if fault := next(self.faults(), None):
            raise CheckpointError(fault)

    def fingerprints(self) -> dict[str, str]:
        """That of the whole weights, and that of the adapter where there is one. Raises CheckpointError."""
        found = {"checkpoint": fingerprint(self.weights)}
        if self.adapter:
            files = [self.adapter / CONFIG, self.adapter / WEIGHTS]
            if self.processor == self.adapter:
                files += self.processor_files()
            found["adapter"] = digest(files)
        return found

    def stamp(self) -> list[tuple[Path, int, int]]:
        """Size and time of config.json and all weight files: another stamp, other weights. Raises CheckpointError."""
        files = [self.weights / "config.json", *weight_files(self.weights)]
        if self.adapter:
            files += [self.adapter / CONFIG, self.adapter / WEIGHTS]
        found = []
        for path in files:
            with reading(path):
                status = path.stat()
            found.append((path, status.st_size, status.st_mtime_ns))
        return found

    def _faults_together(self, adapter: Path) -> Iterator[str]:
        if self.processor == adapter:
            yield from processor_faults(adapter)
        elif (path := adapter / "tokenizer.json").exists() and _vocabulary(path) != _vocabulary(
            self.weights / path.name
        ):
            yield (
                f"{path}: other tokens than in {self.weights}, but no image processor beside it. Copy "
                f"preprocessor_config.json from there to {adapter}."
            )
        if (adapter / WEIGHTS).exists() and is_tied(self.weights):
            yield from tied_fault(adapter)

    def _in_adapter(self, names: tuple[str, ...]) -> bool:
        return self.adapter is not None and any((self.adapter / name).exists() for name in names)


def find(checkpoint: str, base_checkpoint: str | None = None, weights: bool = True) -> Source:
    """The folders of a checkpoint, downloaded where a hub id is given. Raises CheckpointError and UsageError.

    `base_checkpoint`: of an adapter. None: the folder that the adapter names. `weights`: whether a download includes
    them.
    """
    folder = locate(checkpoint, weights)
    with reading(folder):
        if not is_adapter(folder):
            if base_checkpoint is not None and (folder / "config.json").exists():  # a trainer's output folder has none
                raise UsageError(f"--base-checkpoint is for an adapter, and {folder} is none. Leave it out.")
            return Source(folder)
        base = locate(base_checkpoint if base_checkpoint is not None else base_name(folder), weights)
        if is_adapter(base):
            raise CheckpointError(f"{folder}: its base {base} is an adapter, too. Merge that one first.")
    return Source(base, folder)


def _vocabulary(path: Path) -> object:
    """What a tokenizer.json maps to ids."""
    if not path.exists():
        return None
    content = read_json(path)
    model = content.get("model")
    return model.get("vocab") if isinstance(model, dict) else None, content.get("added_tokens")
