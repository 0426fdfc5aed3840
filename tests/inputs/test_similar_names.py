"""`yanshou.inputs.similar_names`: a name with a mistake is recognised, another mission's name is not."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lines import CABLES, GROUNDING, SCREWS, SHIELD

from yanshou.inputs.similar_names import Guess, guess
from yanshou.missions import load_missions

KNOWN = load_missions().names
GBK = os.fsdecode(SHIELD.encode("gbk"))  # as tar unpacks an archive of a Chinese Windows


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (f"{GROUNDING} ", GROUNDING),
        (f"\t{GROUNDING}", GROUNDING),
        (f"{GROUNDING}\u200b", GROUNDING),
        (f"\ufeff{SHIELD}", SHIELD),
        (f"{SHIELD}.", SHIELD),
        ("bbu接地线检查", GROUNDING),
        ("ＢＢＵ接地线检查", GROUNDING),
        ("BBU 接地线 检查", GROUNDING),
        ("BBU接地線檢查", GROUNDING),
        ("接地线检查", GROUNDING),
        ("BUB线缆布放", CABLES),
        (f"{CABLES}_补传", CABLES),
        (f"{CABLES} - 副本", CABLES),
        (f"2024年第三批{SHIELD}补充材料", SHIELD),
        ("BBU安装方式检查", SCREWS),
        ("BBU安装方式检查【正装】", SCREWS),
        ("BBU安装方式检查（正装", SCREWS),
    ],
)
def test_a_mistake_is_recognised(name: str, meant: str) -> None:
    assert guess(name, KNOWN) == Guess(meant, garbled=False)


@pytest.mark.parametrize(
    "name",
    [
        GBK,
        SHIELD.encode("gbk").decode("cp437"),
        SHIELD.encode("gbk").decode("latin-1"),
        SHIELD.encode("gbk").decode("cp866"),
        SHIELD.encode("gbk").decode("cp949"),
        SHIELD.encode().decode("latin-1"),
        SHIELD.encode().decode("mac-roman"),
        "".join(f"#U{ord(character):04x}" for character in SHIELD),
        SHIELD.encode("unicode_escape").decode(),
        "".join(f"%{byte:02X}" for byte in SHIELD.encode()),
    ],
)
def test_a_wrong_encoding_is_recognised(name: str) -> None:
    assert guess(name, KNOWN) == Guess(SHIELD, garbled=True)


def test_utf8_read_as_gbk_loses_bytes_and_is_recognised_all_the_same() -> None:
    assert guess(GROUNDING.encode().decode("gbk", "replace"), KNOWN) == Guess(GROUNDING, garbled=True)


@pytest.mark.parametrize(
    "name",
    [
        "RRU安装检查", "RRU接地线检查", "AAU线缆布放", "新建文件夹", "检查", "BBU", "QC-TEMP-20241022-0015062", "", " ",
        "📷" * 60, "a" * 255, "..", os.fsdecode(b"\xff\xfe"), "%", "#U", "#Uffff", "\\ud800",
    ],
)  # fmt: skip
def test_another_name_is_nobodys(name: str) -> None:
    assert guess(name, KNOWN) is None


@given(st.text(max_size=30) | st.binary(max_size=60).map(os.fsdecode))
def test_no_name_is_an_error(name: str) -> None:
    found = guess(name, KNOWN)
    assert found is None or found.name in KNOWN
