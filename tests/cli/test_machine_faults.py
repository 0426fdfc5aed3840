"""Promises of `yanshou.cli.machine_faults`: a lack of memory or threads, or a failing GPU, is one line and status 1."""

import errno
import resource
import subprocess
import sys

import pytest
import torch
from support.cli_runs import Options, arguments, written
from support.lines import SHIELD

from yanshou.cli.machine_faults import machine_faults
from yanshou.errors import RunError

NO_THREADS = "error: the system lets this user start no more threads and processes"


def started(program: str, *args: str) -> "subprocess.CompletedProcess[str]":
    code = f"import os, sys, resource, threading\n{program}\nfrom yanshou.cli.start import main\nmain(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, timeout=60)


def test_no_thread_for_the_photos_is_one_line_and_the_next_run_does_them(job: Options) -> None:
    """What pthread_create reports under `ulimit -u`, which does not bind the superfuser of a test machine."""
    refused = (
        'def refuse(*args):\n    raise RuntimeError("can\'t start new thread")\nthreading._start_new_thread = refuse'
    )
    ran = started(refused, "summarize", *arguments(job, "--quiet"))
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (1, "", 1)
    assert ran.stderr.startswith(NO_THREADS)
    assert started("", "summarize", *arguments(job, "--quiet")).returncode == 0
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_no_memory_is_one_line(job: Options) -> None:
    ran = started(
        "import yanshou.stage_a.summarize as run\nrun.prepare = lambda *args, **options: bytearray(1 << 60)",
        "summarize", *arguments(job, "--quiet"),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (1, "", 1)
    assert ran.stderr.startswith("error: this process can allocate no more memory. Free some")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("can't start new thread"), r"no more threads and processes \(ulimit -u: 50\)\. End"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), r"no more threads and processes"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "can allocate no more memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "can allocate no more memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), r"can allocate no more memory\. Free some"),
        (OSError(errno.EMFILE, "Too many open files"), r"can open no more files \(ulimit -n: 50\)\. Raise that limit"),
        (
            torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors …"),
            r"^the GPU fails: CUDA error: uncorrectable ECC error encountered\. nvidia-smi shows who uses it",
        ),
        (
            RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"),
            r"^the GPU fails: CUDA error: CUDA-capable device\(s\) is/are busy or unavailable\. nvidia-smi",
        ),
    ],
)  # fmt: skip
def test_the_message_names_what_is_short_and_the_limit(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (50, 100))
    with pytest.raises(RunError, match=message), machine_faults():
        raise error


def test_a_limit_on_memory_is_one_line(job: Options) -> None:
    """The dynamic linker cannot map torch's libraries."""
    limit = f"resource.setrlimit(resource.RLIMIT_AS, ({10**9}, {10**9}))"
    options = arguments({**job, "checkpoint": "demo", "engine": "transformers"}, "--device", "cpu", "--quiet")
    ran = started(limit, "summarize", *options)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (1, "", 1), ran.stderr
    assert ran.stderr.startswith("error: this process can allocate no more memory.")


def test_other_errors_stay_what_they_are() -> None:
    for error in (
        RuntimeError("a bug"), OSError(errno.ENOENT, "no file"), ImportError("no module"), OSError("disk"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    ):  # fmt: skip
        with pytest.raises(type(error)) as raised, machine_faults():
            raise error
        assert raised.value is error
