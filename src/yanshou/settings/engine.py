"""What runs a checkpoint: photos, sampling, device, memory."""

from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from yanshou.settings.base import A_BASE, A_CHECKPOINT, MIN_TEMPERATURE, TOP_P, VERDICT_TOKENS, Settings
from yanshou.settings.endpoint import EndpointSettings
from yanshou.settings.workers import WorkerSettings

ExifMode = Literal["apply", "ignore"]

BATCH_SIZE = 8  # photos per batch of the transformers engine
GPU_MEMORY = 0.9


class PhotoSettings(Settings):
    """How a photo becomes pixels."""

    heading = "Photos"

    max_pixels: int = Field(
        default=786_432,
        ge=1024,
        description="Maximum height × width of a photo after resizing, in pixels; 1,024 pixels are one visual token. "
        "Lower it for more speed and less detail.",
    )
    min_pixels: int = Field(
        default=65_536, ge=1024, description="Minimum height × width in pixels; smaller photos are enlarged."
    )
    exif: ExifMode = Field(
        default="apply",
        description="apply: turn each photo upright as its EXIF orientation says. ignore: keep the pixels as stored.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"`min_pixels` {self.min_pixels} is larger than `max_pixels` {self.max_pixels}")
        return self


class SamplingSettings(Settings):
    """How the next token is chosen. A checkpoint's own generation_config.json gives only its stop tokens."""

    heading = "Sampling"

    max_new_tokens: int = Field(
        default=256,
        ge=1,
        description="Maximum new tokens per answer. A longer answer fails its group. To repair such groups, raise "
        "this and run the same command again: only they are redone.",
    )
    temperature: float = Field(
        default=0.0, ge=0, description="Sampling temperature; 0 is greedy: always the most likely token."
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description=TOP_P)
    repetition_penalty: float = Field(
        default=1.0, gt=0, description="Repetition penalty; 1 disables it, larger values discourage repeated tokens."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Seed of the sampling; each photo draws from its own random stream."
    )

    @field_validator("temperature")
    @classmethod
    def _greedy_or_warm(cls, temperature: float) -> float:
        if 0 < temperature < MIN_TEMPERATURE:
            raise ValueError(f"give 0 (greedy) or at least {MIN_TEMPERATURE}; values between them overflow")
        return temperature


class EngineSettings(Settings):
    """What runs the checkpoint, and how many requests at once."""

    model_config = ConfigDict(hide_input_in_errors=True)  # an endpoint's URL may hold a password
    heading = "Model"
    needs_one_of: ClassVar[tuple[str, ...]] = ("checkpoint", "server.endpoint")

    checkpoint: str | None = Field(
        default=None,
        description=f"Qwen3-VL checkpoint or LoRA adapter: {A_CHECKPOINT} With --endpoint it is "
        "optional: its tokenizer checks the server's prompts. Default: none, and --endpoint is needed.",
    )
    base_checkpoint: str | None = Field(default=None, description=A_BASE)
    engine: str = Field(
        default="auto",
        description="auto, continuous, transformers, endpoint or scripted. "
        "auto: continuous for a dense checkpoint on CUDA, else transformers; endpoint where --endpoint is given. "
        "scripted answers from a JSON file, for tests.",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N. auto: the first GPU, else the CPU.")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Maximum number of requests per batch: photos for summarize, groups for judge. "
        f"Default: {BATCH_SIZE} (transformers engine), all KV slots (continuous engine).",
    )
    gpu_memory: float = Field(
        default=GPU_MEMORY,
        gt=0,
        le=1,
        description="Share of GPU memory that the continuous engine uses (0 to 1). Lower it if other processes "
        "use the GPU.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Type of weights and activations. auto: bfloat16 on CUDA, float32 on the CPU."
    )
    quantize: Literal["none", "fp8"] = Field(
        default="none",
        description="fp8: the large matrix products of the continuous engine run in 8 bits, on GPUs of compute "
        "capability 8.9 or later. Less time and memory, and some lines differ. none: all in --dtype.",
    )
    kv_cache: Literal["auto", "fp8"] = Field(
        default="auto",
        description="fp8: the continuous engine keeps keys and values in 8 bits, on GPUs of compute capability 8.9 or "
        "later. More requests at once on a small GPU, and some lines differ. auto: in --dtype.",
    )
    attn: Literal["auto", "sdpa", "flash_attention_2", "eager"] = Field(
        default="auto",
        description="Attention of the transformers engine. auto: FlashAttention 2 where installed, else SDPA.",
    )
    photo: PhotoSettings = PhotoSettings()
    sampling: SamplingSettings = SamplingSettings()
    workers: WorkerSettings = WorkerSettings()
    server: EndpointSettings = EndpointSettings()

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.server.endpoint is not None) != (self.engine == "endpoint") and self.engine != "auto":
            raise ValueError("`endpoint` is the server of `engine` endpoint. Give both, or none")
        if self.checkpoint is None and self.server.endpoint is None:
            raise ValueError("Missing option `checkpoint`: what answers. With `endpoint`, a server does")
        if self.workers.workers is not None and self.server.endpoint is not None:
            raise ValueError("`workers` run a checkpoint, and `endpoint` answers instead of one. Give one of the two")
        if self.workers.workers is not None and self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"`device` {self.device} is one GPU. With `workers` give auto, cpu or cuda")
        if self.base_checkpoint is not None and self.checkpoint is None:
            raise ValueError("`base_checkpoint` is of an adapter. Give the adapter with `checkpoint`, or leave it out")
        return self

    @model_validator(mode="after")
    def _memory_of_a_gpu(self) -> Self:
        if self.gpu_memory == GPU_MEMORY or self.server.endpoint is not None:
            return self
        if self.engine == "transformers":
            raise ValueError(
                "`gpu_memory` is for the continuous engine, and `engine` is transformers, which takes what each batch "
                "needs. Leave it out, or lower `batch_size`"
            )
        if self.device == "cpu":
            raise ValueError("`gpu_memory` is a share of a GPU, and `device` is cpu. Leave it out")
        return self

    @model_validator(mode="after")
    def _quantizable(self) -> Self:
        for name in (name for name in ("quantize", "kv_cache") if getattr(self, name) == "fp8"):
            if self.engine not in ("auto", "continuous"):
                raise ValueError(
                    f"`{name}` fp8 is for the continuous engine, and `engine` is {self.engine}. Leave one of the two "
                    "out"
                )
            if self.dtype not in ("auto", "bfloat16"):
                raise ValueError(
                    f"`{name}` fp8 needs bfloat16 beside it, and `dtype` is {self.dtype}. Leave `dtype` out"
                )
        return self

    @property
    def weights(self) -> str:
        """The checkpoint of an engine that runs one."""
        assert self.checkpoint is not None, "only an endpoint needs none"
        return self.checkpoint


class VerdictEngineSettings(EngineSettings):
    """An engine for verdicts, which are shorter than summaries."""

    sampling: SamplingSettings = SamplingSettings(max_new_tokens=VERDICT_TOKENS)
