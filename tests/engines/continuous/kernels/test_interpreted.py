"""Promises about what only a GPU does: padding, uninitialised memory and the decode kernel change no token."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkpoints import write_tiny


def interpreted(script: str, *arguments: Path) -> None:
    """In a process of its own: Triton interprets its kernels only where it is told before it is imported."""
    pytest.importorskip("triton")
    ended = subprocess.run(
        [sys.executable, Path(__file__).parents[3] / "support" / script, *arguments], check=False, capture_output=True,
        encoding="utf-8", timeout=120, env=os.environ | {"TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2_000:]


def test_padding_garbage_and_attention_by_kernel_change_nothing(tmp_path: Path) -> None:
    interpreted("interpreted_kernels.py", write_tiny(tmp_path / "tiny"))


def test_between_the_products_kernels_and_torch_come_to_the_same() -> None:
    interpreted("interpreted_elementwise.py")
