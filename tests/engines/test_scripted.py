"""`yanshou.engines.scripted`: answers from a script for real photos, without a model."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.photos import oriented

from yanshou.engines import load_engine
from yanshou.engines.base import Completion, Failure, OutOfMemoryError, Request
from yanshou.engines.scripted import ScriptedEngine
from yanshou.errors import CheckpointError, UsageError
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings

PROMPT = Prompt("system", "user")
PhotoTree = Callable[..., Path]


def ask(engine: ScriptedEngine, *photos: Path | Image.Image | None, key: str = "") -> list[Completion | Failure]:
    return list(engine.generate([Request(number, PROMPT, photo, key) for number, photo in enumerate(photos)]))


def texts(engine: ScriptedEngine, *photos: Path | Image.Image | None, key: str = "") -> list[str]:
    answers = ask(engine, *photos, key=key)
    return [answer.text if isinstance(answer, Completion) else f"{answer.error}" for answer in answers]


def test_a_photo_is_looked_up_by_group_and_name_then_by_name_then_by_star(photo_tree: PhotoTree) -> None:
    root = photo_tree({"QC-1": ["1.jpg", "2.jpg", "3.jpg"], "QC-2": ["1.jpg"]})
    engine = ScriptedEngine.of({"*": "any", "1.jpg": "name", "QC-1/1.jpg": "group and name"})
    photos = [root / "QC-1" / "1.jpg", root / "QC-2" / "1.jpg", root / "QC-1" / "2.jpg"]
    assert texts(engine, *photos) == ["group and name<|im_end|>", "name<|im_end|>", "any<|im_end|>"]


def test_a_photo_without_an_answer_in_the_script_fails(photo_tree: PhotoTree) -> None:
    root = photo_tree({"QC-1": 2})
    engine = ScriptedEngine.of({"2.jpg": "known"})
    assert texts(engine, root / "QC-1" / "1.jpg", root / "QC-1" / "2.jpg") == [
        "the script has no answer for QC-1/1.jpg",
        "known<|im_end|>",
    ]


def test_a_photo_is_read_as_a_model_would_read_it(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    photos = [tmp_path / "empty.jpg", tmp_path / "gone.jpg"]
    reported = texts(ScriptedEngine.of({"*": "any"}), *photos)
    assert [re.sub(".*/", "", text) for text in reported] == [
        "empty.jpg: the file is empty (0 bytes)",
        "gone.jpg: there is no such file",
    ]
    assert texts(ScriptedEngine.of({"*": "any"}, decode=False), *photos) == ["any<|im_end|>"] * 2


@pytest.mark.parametrize(("exif", "rotated"), [("apply", True), ("ignore", False)])
def test_a_rotated_photo_is_marked(tmp_path: Path, exif: str, rotated: bool) -> None:
    (tmp_path / "turned.jpg").write_bytes(oriented(6))
    engine = ScriptedEngine.of({"*": "any"}, photo={"exif": exif})
    assert ask(engine, tmp_path / "turned.jpg") == [Completion(0, "any<|im_end|>", "stop", 4, rotated)]


def test_an_answer_can_end_at_the_token_limit(photo_tree: PhotoTree) -> None:
    root = photo_tree({"QC-1": 2})
    engine = ScriptedEngine.of({"*": "any"}, truncated=("1.jpg",))
    assert ask(engine, root / "QC-1" / "1.jpg", root / "QC-1" / "2.jpg") == [
        Completion(0, "any", "length", 4),
        Completion(1, "any<|im_end|>", "stop", 4),
    ]


def test_pictures_in_memory_and_prompts_without_a_photo_are_looked_up_by_their_key() -> None:
    engine = ScriptedEngine.of({"图/a.jpg": "by key", "*": "any"})
    assert texts(engine, Image.new("RGB", (8, 8)), None, key="图/a.jpg") == ["by key<|im_end|>"] * 2
    assert texts(engine, Image.new("RGB", (8, 8)), None) == ["any<|im_end|>"] * 2


def test_the_batch_hook_gets_every_batch_size_and_can_raise_out_of_memory(photo_tree: PhotoTree) -> None:
    root, sizes = photo_tree({"QC-1": 5}), []

    def before_batch(size: int) -> None:
        sizes.append(size)
        if size > 2:
            raise OutOfMemoryError

    engine = ScriptedEngine.of({"*": "any"}, batch_size=4, before_batch=before_batch)
    assert texts(engine, *sorted((root / "QC-1").iterdir())) == ["any<|im_end|>"] * 5
    assert sizes == [4, 2, 2, 1]


def test_the_delay_is_per_batch() -> None:
    engine = ScriptedEngine.of({"*": "any"}, batch_size=4, delay_s=0.05, decode=False)
    started = time.monotonic()
    texts(engine, *[None] * 8)
    assert time.monotonic() - started >= 0.1


def test_the_identity_depends_on_the_script_only(script: Callable[..., Path]) -> None:
    def identity(path: Path, **options: Any) -> dict[str, Any]:
        return load_engine(EngineSettings(checkpoint=str(path), engine="scripted", **options)).identity()

    first = identity(script({"*": "a"}))
    assert identity(script({"*": "a"}, name="elsewhere.json"), batch_size=32, device="cuda:3") == first
    assert identity(script({"*": "b"})) != first
    assert identity(script({"*": "a"}, truncated=["1.jpg"])) != first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the script cannot be read (No such file or directory). Give a JSON file."),
        ('{"a"', "not JSON: Expecting ':' delimiter: line 1 column 5 (char 4). Correct the file."),
        ("{}", "not a script: key answers is missing. Correct the file."),
        ('{"answers": {}, "delays": 1}', "not a script: unknown key delays. Correct the file."),
    ],
)
def test_an_invalid_script_is_reported_with_its_path(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "script.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError) as caught:
        load_engine(EngineSettings(checkpoint=str(path), engine="scripted"))
    assert str(caught.value) == f"{path}: {message}"


def test_an_unknown_engine_is_reported_with_the_known_ones() -> None:
    known = "auto, continuous, transformers, endpoint, scripted"
    with pytest.raises(UsageError, match=rf"^unknown engine 'vllm'. Known engines: {known}\.$"):
        load_engine(EngineSettings(checkpoint="demo", engine="vllm"))
