"""Promises about what only a GPU does: padding, uninitialised memory and the decode kernel change no token."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import write_tiny


def test_padding_garbage_and_the_kernel_change_nothing(tmp_path: Path) -> None:
    """In a process of its own: Triton interprets its kernels only where it is told before it is imported."""
    pytest.importorskip("triton")
    script, folder = Path(__file__).with_name("like_a_gpu.py"), write_tiny(tmp_path / "tiny")
    ended = subprocess.run(
        [sys.executable, script, folder], check=False, capture_output=True, encoding="utf-8", timeout=120,
        env=os.environ | {"TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2_000:]
