"""Promises of `yanshou.engines.checkpoint.files`: what is wrong with a file is said with its name."""

from pathlib import Path

import pytest

from yanshou.engines.checkpoint.files import check_syntax
from yanshou.errors import CheckpointError


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.json", b'{"model": {', "cannot be read as JSON"),
        ("generation_config.json", b'\xef\xbb\xbf{"eos_token_id": 1}', "cannot be read as JSON"),
        ("tokenizer_config.json", '{"名": "挡风板"}'.encode("gbk"), "cannot be read as JSON"),
        ("chat_template.jinja", "挡风板".encode("gbk"), "not UTF-8"),
        ("special_tokens_map.json", b"[" * 5000, "cannot be read as JSON"),
    ],
)
def test_a_damaged_text_file_is_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint) as raised:
        check_syntax(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert str(raised.value).endswith("Copy the checkpoint again.")


def test_a_large_file_is_read_whole_only_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(b"{" * 2000)
    check_syntax(file, largest=1999)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: cannot be read as JSON"):
        check_syntax(file, largest=2000)


def test_text_of_no_known_kind_is_left_to_loading(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_bytes(b"\xff")
    check_syntax(tmp_path / "merges.txt")
