"""Promises about what only a GPU does: padding, uninitialized memory and the Triton kernels change no token."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def interpreted(script: str, *arguments: Path) -> None:
    """Runs a script in its own process: Triton interprets kernels only if TRITON_INTERPRET is set before its import."""
    pytest.importorskip("triton")
    process = subprocess.run(
        [sys.executable, Path(__file__).parents[3] / "support" / script, *arguments], check=False, capture_output=True,
        encoding="utf-8", timeout=240, env=os.environ | {"TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2_000:]


def test_kernels_compute_what_torch_computes_and_neither_they_nor_padding_change_a_token(tiny: Path) -> None:
    """In one process, which takes seconds to start."""
    interpreted("interpreted_kernels.py", tiny)
