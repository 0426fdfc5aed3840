"""The workload of every speed measurement: the same for every engine and on every machine.

    photos    934 × 1920 JPEG of about 0.7 MB; at the default pixel budget 741 visual tokens and 939 prompt tokens;
              two rows of the table have larger photos, or six sizes in turn
    groups    1 to 12 photos, most often 3, on average 3.4
    answers   log-normal: median 50 tokens, 95 % up to about 115, 99 % up to about 155

Weights may be random, so the length of each answer is given: an engine's useful output is exactly these tokens.
"""

import math
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from yanshou.engines import Prompt

Sizes = tuple[tuple[int, int], ...]  # width and height in pixels; the photos take them in turn

PHONE: Sizes = ((934, 1920),)
LARGE: Sizes = ((1168, 2400),)  # 2.8 million pixels: fills a budget of 2,097,152
MIXED: Sizes = ((934, 1920), (1920, 1080), (1200, 1600), (720, 960), (320, 480), (200, 200))  # the last one is enlarged
BLOCK = 16  # pixels of the coarse pattern's squares
GRAIN = 9.0  # standard deviation of the noise, of 255
QUALITY = 88
GROUP_SIZES = {1: 6, 2: 16, 3: 40, 4: 20, 5: 9, 6: 5, 8: 3, 12: 1}  # number of photos: weight
MEDIAN, SIGMA = 50, 0.5  # of the answers' log-normal, tokens
SHORTEST, LONGEST = 8, 200  # tokens

SYSTEM = (
    "你是通信机房的质检助手，看施工照片写摘要。"
    + (
        "写出看得见的设备、挡风板、螺丝、光纤、电线和标签，注明品牌、是否完整、是否符合要求，用乘号写数量；"
        "看不清的写需要复核，不编造内容。"
    )
    * 3
)
USER = "请用一行中文写出这张照片的摘要。检查项：挡风板安装检查，关注设备是否需要装挡风板。"
PROMPT = Prompt(SYSTEM, USER)


def group_sizes(photos: int, seed: int = 0) -> list[int]:
    """The sizes of groups of `photos` photos in all; the last group takes the rest."""
    rng, sizes = Random(seed), []
    while sum(sizes) < photos:
        sizes += rng.choices(list(GROUP_SIZES), list(GROUP_SIZES.values()))
    return [*sizes[:-1], photos - sum(sizes[:-1])]


def answer_lengths(photos: int, seed: int = 0) -> list[int]:
    """The number of tokens of each photo's answer, the stop token included."""
    drawn = np.random.default_rng(seed).lognormal(math.log(MEDIAN), SIGMA, photos)
    return [int(length) for length in drawn.clip(SHORTEST, LONGEST)]


def write_photos(folder: Path, photos: int, sizes: Sizes = PHONE) -> list[Path]:
    """Paths of that many photos. Missing ones are written; sizes other than PHONE have a sub-folder of their own."""
    if sizes != PHONE:
        folder = folder / "-".join(f"{width}x{height}" for width, height in sizes)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05}.jpeg" for number in range(photos)]
    with ProcessPoolExecutor() as pool:
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        list(pool.map(partial(_write_photo, folder, sizes), missing))
    return paths


def _write_photo(folder: Path, sizes: Sizes, number: int) -> None:
    """Writes soft colours with grain: a file as large as a phone's photo and as slow to decode."""
    rng, (width, height) = np.random.default_rng(number), sizes[number % len(sizes)]
    coarse = rng.integers(0, 256, (height // BLOCK, width // BLOCK, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    grainy = smooth + rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    partial_file = folder / f"{number:05}.part"
    Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(partial_file, "JPEG", quality=QUALITY)
    partial_file.rename(folder / f"{number:05}.jpeg")
