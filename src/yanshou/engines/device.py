"""Where and how a checkpoint runs: device, dtype and attention, chosen by name or automatically."""

import torch
from transformers.utils import is_flash_attn_2_available

from yanshou.errors import UsageError

FP8_CAPABILITY = (8, 9)  # from which on a GPU multiplies FP8 matrices: Ada and Hopper

# How RuntimeErrors of CUDA and its libraries begin. After most of them the process can compute nothing on its GPU.
CUDA_ERRORS = ("CUDA error: ", "CUDA driver error: ", "cuDNN error: ", "cusolver error: ", "Triton Error [CUDA]: ")
# Messages of RuntimeErrors that mean out of memory without being torch's own OutOfMemoryError.
OOM_MESSAGES = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "DefaultCPUAllocator: ",
)


def pick_device(name: str) -> torch.device:
    """The device called auto, cpu, cuda or cuda:N. Raises UsageError, which lists the devices of this machine."""
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise UsageError(f"--device {name}: this machine has no such device, only {', '.join(there)}.")
    return torch.device(wanted)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name; auto is bfloat16 on CUDA and float32 on the CPU."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def pick_attention(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """The attention of that name; auto is FlashAttention 2 where it is installed and supported, else SDPA."""
    possible = device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available()
    if name == "auto":
        return "flash_attention_2" if possible else "sdpa"
    if name == "flash_attention_2" and not possible:
        raise UsageError("--attn flash_attention_2 needs CUDA, 16-bit weights and the package flash-attn. Use sdpa.")
    return name


def give_back_freed_memory(device: torch.device) -> None:
    """Gives memory that torch has freed back to the GPU's driver.

    Otherwise torch gives a piece of it to a smaller tensor, and the rest is lost for larger ones.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()


def lacks_fp8(device: torch.device) -> str:
    """Why the device cannot multiply FP8 matrices; "" where it can."""
    if device.type != "cuda":
        return "this run is on the CPU"
    major, minor = torch.cuda.get_device_capability(device)
    if (major, minor) >= FP8_CAPABILITY:
        return ""
    return f"{torch.cuda.get_device_name(device)} has compute capability {major}.{minor}"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out: reported by torch's allocator or by a library, or as the cause of another error."""
    while error is not None:
        if _lacks_memory(error):
            return True
        error = error.__context__
    return False


def is_device_broken(error: BaseException | None) -> bool:
    """Whether CUDA failed, in this error or in its cause, other than for a lack of memory.

    After an illegal memory access, a failed assertion on the device or an ECC error every later call fails, too.
    """
    while error is not None:
        if _is_from_cuda(error) and not _lacks_memory(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _lacks_memory(error: BaseException) -> bool:
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(text in str(error) for text in OOM_MESSAGES)


def _is_from_cuda(error: BaseException) -> bool:
    beginning = isinstance(error, RuntimeError) and str(error).startswith(CUDA_ERRORS)
    return beginning or isinstance(error, torch.AcceleratorError)
