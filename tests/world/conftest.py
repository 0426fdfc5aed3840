"""Untrained demo checkpoints: one of the shipped size, and a tiny one that trains in milliseconds per step."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from yanshou.world.model import write_untrained

TINY_VISION = {
    "depth": 2,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_heads": 2,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0],
}
TINY_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 100_000.0,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    },
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """On busy cores, several threads make operations on small tensors twenty times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write_tiny(folder: Path) -> Path:
    """A complete checkpoint folder with the real tokenizer and a tiny model."""
    write_untrained(folder, vision=TINY_VISION, **TINY_TEXT)
    return folder


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `write_untrained` writes by default."""
    folder = tmp_path_factory.mktemp("untrained")
    write_untrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny folder that tests read only."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def new_tiny(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a tiny folder of the given name, always with the same weights."""
    return lambda name: write_tiny(tmp_path / name)
