"""The registry of missions: the folder of TOML files, and the user's own files."""

from importlib import resources
from pathlib import Path
from unicodedata import normalize

import pytest

from yanshou.errors import InputError, UsageError
from yanshou.missions import load_missions

NAMES = ["BBU安装方式检查（正装）", "BBU接地线检查", "BBU线缆布放", "挡风板安装检查"]
RULE = '[rule]\ntext = "须有电线"\nrequire = [["电线"]]\n'


def mission_file(folder: Path, file: str = "own.toml", name: str = "RRU检查", more: str = "", rule: str = RULE) -> Path:
    path = folder / file
    path.write_text(f'name = "{name}"\nfocus = "关注RRU。"\n{more}\n{rule}', encoding="utf-8")
    return path


def test_the_four_missions_are_ordered_by_name() -> None:
    assert [mission.name for mission in load_missions()] == NAMES


def test_the_folder_of_tomls_is_the_registry() -> None:
    tomls = [file for file in resources.files("yanshou.missions").iterdir() if file.name.endswith(".toml")]
    assert len(load_missions()) == len(tomls) == 4


@pytest.mark.parametrize(("alias", "name"), [("BBU线缆布放要求", NAMES[2]), ("BBU安装方式检查(正装)", NAMES[0])])
def test_an_alias_is_its_mission(alias: str, name: str) -> None:
    assert load_missions().get(alias) is not None
    assert load_missions().get(alias) == load_missions().get(name)
    assert alias in load_missions()


def test_no_prompt_contains_a_label_folder() -> None:
    for mission in load_missions():
        assert "审核" not in mission.focus + mission.rule.text


def test_an_unknown_mission_is_refused_naming_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        load_missions().get("BBU接地检查")
    assert all(name in str(refused.value) for name in ["BBU接地检查", *NAMES, "BBU线缆布放要求"])
    assert "BBU接地检查" not in load_missions()


def test_a_users_file_or_folder_adds_missions(tmp_path: Path) -> None:
    mission_file(tmp_path, "b10.toml", "B", 'aliases = ["C"]')
    mission_file(tmp_path, "b2.toml", "A")
    (tmp_path / "readme.txt").write_text("not a mission")
    assert [mission.name for mission in load_missions([tmp_path])] == ["A", "B", *NAMES]
    assert load_missions([tmp_path / "b10.toml"]).get("C").name == "B"


def test_names_are_compared_in_unicode_nfc(tmp_path: Path) -> None:
    mission_file(tmp_path, name=normalize("NFC", "Prüfung"))
    assert load_missions([tmp_path]).get(normalize("NFD", "Prüfung")).name == normalize("NFC", "Prüfung")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = mission_file(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert "RRU检查" in load_missions([path])


@pytest.mark.parametrize(
    ("name", "more"),
    [(NAMES[1], ""), ("BBU线缆布放要求", ""), ("RRU", f'aliases = ["{NAMES[3]}"]'), ("RRU", 'aliases = ["RRU"]')],
)
def test_a_name_or_alias_used_twice_is_an_error(tmp_path: Path, name: str, more: str) -> None:
    path = mission_file(tmp_path, name=name, more=more)
    with pytest.raises(InputError, match=r"own\.toml: the name or alias .* is already used by .*\.toml"):
        load_missions([path])


@pytest.mark.parametrize(
    "name",
    ["a/b", r"a\u0000b", r"a\nb", ".a", "", " a", "all", "检" * 27, "检" * 26 + "abc"],
    ids=lambda name: name[:8],
)
def test_a_name_that_cannot_be_a_file_name_is_an_error(tmp_path: Path, name: str) -> None:
    for path in (
        mission_file(tmp_path, "name.toml", name),
        mission_file(tmp_path, "alias.toml", "RRU", f'aliases = ["{name}"]'),
    ):
        with pytest.raises(InputError, match=r"toml: key (name|aliases\.0) is '"):
            load_missions([path])


def test_the_longest_name_fits(tmp_path: Path) -> None:
    name = "检" * 26 + "ab"
    assert name in load_missions([mission_file(tmp_path, name=name)])


@pytest.mark.parametrize(
    ("more", "rule", "said"),
    [
        ("", "", "key rule is missing"),
        ('colour = "red"', RULE, "unknown key colour"),
        ("aliases = 5", RULE, "key aliases is 5: "),
        ("", RULE + 'forbid = ["电线×1"]', "key rule.forbid.0 is '电线×1': a pattern is one entry"),
        ("", RULE + 'when = [{ if = "*", need = ["电线"] }]', "key rule.when.0.if is '*': a pattern names"),
        ("", RULE + 'when = [{ if = "电线", need = [] }]', "key rule.when.0.need is []: "),
        (
            "",
            '[rule]\ntext = "审核通过"\nrequire = [["电线"]]',
            "key rule.text is '审核通过': 审核通过 is a label's folder",
        ),
        ("", '[rule]\ntext = "有"\nrequire = []', "key rule.require is []: "),
        ("", RULE + "min_photos = 0", "key rule.min_photos is 0: "),
        ("focus =", RULE, "not a TOML file"),
    ],
)
def test_a_bad_file_is_named_with_key_and_value_in_one_line(tmp_path: Path, more: str, rule: str, said: str) -> None:
    path = mission_file(tmp_path, more=more, rule=rule)
    with pytest.raises(InputError) as refused:
        load_missions([path])
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-16-be"])
def test_a_file_in_another_encoding_is_named_with_its_cure(tmp_path: Path, encoding: str) -> None:
    path = mission_file(tmp_path)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(InputError, match=r"the whole file is (GBK|UTF-16|UTF-16BE), not UTF-8: convert it back with"):
        load_missions([path])


def test_unreadable_paths_are_errors(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"')
    (tmp_path / "empty").mkdir()
    for path in (latin, tmp_path / "empty", tmp_path / "nowhere.toml"):
        with pytest.raises(InputError, match=path.name):
            load_missions([path])
