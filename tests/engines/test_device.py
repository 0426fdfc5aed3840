"""Which devices multiply FP8, and which errors mean that a process can compute nothing on its GPU any more."""

import pytest
import torch

from yanshou.engines.base import OutOfMemoryError
from yanshou.engines.device import is_device_broken, is_out_of_memory, lacks_fp8
from yanshou.errors import CheckpointError

ASSERTED = "CUDA error: device-side assert triggered\nSearch for `cudaErrorAssert' in https://docs.nvidia.com/cuda"


def chained(error: Exception, cause: Exception, explicit: bool) -> Exception:
    """The error as if raised from the cause, or while it was handled."""
    error.__cause__, error.__context__ = cause if explicit else None, cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError(ASSERTED),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA driver error: unknown error"),
        RuntimeError("Triton Error [CUDA]: device-side assert triggered"),
    ],
)
def test_a_failure_of_cuda_is_a_broken_device(error: Exception) -> None:
    assert is_device_broken(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_is_no_broken_device(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_device_broken(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("CUDA error: said by something else"),
        OutOfMemoryError(),
        AssertionError(),
        None,
    ],
)
def test_other_errors_are_no_broken_device(error: Exception | None) -> None:
    assert not is_device_broken(error)


@pytest.mark.parametrize("explicit", [True, False])
def test_the_cause_counts(explicit: bool) -> None:
    broken, full = torch.AcceleratorError(ASSERTED), torch.cuda.OutOfMemoryError("CUDA out of memory")
    assert is_device_broken(chained(CheckpointError("cannot be loaded"), broken, explicit))
    assert is_device_broken(chained(broken, full, explicit))
    assert not is_device_broken(chained(CheckpointError("does not fit"), full, explicit))


@pytest.mark.parametrize("capability", [(8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)])
def test_a_gpu_multiplies_fp8_from_a_compute_capability_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    major, minor = capability
    why = f"a GPU has compute capability {major}.{minor}" if capability < (8, 9) else ""
    assert lacks_fp8(torch.device("cuda", 0)) == why
