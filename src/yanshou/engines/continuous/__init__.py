"""Continuous batching of Qwen3-VL over KV-cache slots.

engine              the Engine: what a run needs, statistics
scheduler           assigns requests to slots (no torch)
protocols           what the scheduler needs of the host and of the device
capacity            number and length of slots, size of prefill batches
model_runner        the device as the scheduler sees it; out-of-memory
prefill_batch       prompts and photos of several requests as tensors of one shape
device_state        KV cache, slot states, the CUDA graph of a decode step
batch_keys_values   keys and values of a prefill batch in 16 bits, where the cache is in FP8
prefix_cache        keys and values of prompt prefixes, computed once
vision_encoder      the vision tower
language_model      prefill and decode, layer by layer
attention           batch-invariant attention: Triton, FlashAttention or SDPA
attention_metadata  where the queries and keys of each sequence lie
ops                 norms, rotary embeddings, activations, cache writes
products            the matrix products of a layer, in 16 bits or in FP8
fp8/                weights and activations in FP8
sampler             the next token, one random stream per photo
repetition          answers that repeat themselves
image_processor     photos to patches, patches to pixel values
transfer            copies between host and device that neither side waits for
kernels/            Triton kernels for attention and ops
"""
