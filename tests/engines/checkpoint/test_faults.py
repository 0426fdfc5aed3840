"""`yanshou.engines.checkpoint`: what keeps a folder from loading is reported before anything is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.checkpoint_folders import INDEX, WHOLE, folder, index, sharded, weights

from yanshou.engines.checkpoint import DEMO, check, faults, fingerprint, inherit_permissions, locate
from yanshou.errors import CheckpointError


@pytest.mark.parametrize(("folders", "files"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_everyone_who_may_enter_the_folder_may_read_its_files(tmp_path: Path, folders: int, files: int) -> None:
    private = folder(tmp_path / "checkpoint")
    (private / "model.safetensors").chmod(0o600)
    private.chmod(folders)
    inherit_permissions(private)
    assert {path.stat().st_mode & 0o777 for path in private.iterdir()} == {files}


def test_links_and_sub_folders_keep_their_permissions(tmp_path: Path) -> None:
    linked = folder(tmp_path / "checkpoint")
    (elsewhere := tmp_path / "elsewhere").write_text("")
    elsewhere.chmod(0o600)
    (linked / "link").symlink_to(elsewhere)
    (linked / "nowhere").symlink_to(tmp_path / "nowhere")
    (linked / "folder").mkdir(0o700)
    inherit_permissions(linked)
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert (linked / "folder").stat().st_mode & 0o777 == 0o700


def test_a_file_system_without_permissions_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    whole = folder(tmp_path / "checkpoint")
    monkeypatch.setattr(Path, "chmod", refused)
    inherit_permissions(whole)
    check(whole)


def test_a_whole_checkpoint_has_no_fault(tmp_path: Path) -> None:
    assert list(faults(folder(tmp_path / "one"))) == []
    assert list(faults(sharded(tmp_path / "sharded"))) == []
    check(tmp_path / "sharded")
    numbers = '{"image_mean": 0.5, "image_std": [0.5, 1, 1], "rescale_factor": null, "model_max_length": 1e30}'
    assert list(faults(folder(tmp_path / "numbers", preprocessor_config__json=numbers))) == []
    for name in ("tokenizer_config__json", "processor_config__json"):
        for odd in ("[]", '{"image_processor": []}'):
            assert list(faults(folder(tmp_path / name / odd, **{name: odd}))) == []


@pytest.mark.parametrize(
    ("without", "files", "fault"),
    [
        (["config.json"], {}, "{}: config.json is missing. Give the folder that holds it."),
        ([], {"config__json": "{"}, "{}/config.json: cannot be read as JSON ("),
        ([], {"config__json": "[]"}, "{}/config.json: model_type is None, expected 'qwen3_vl'"),
        ([], {"config__json": '"qwen3_vl"'}, "{}/config.json: model_type is None, expected 'qwen3_vl'"),
        ([], {"config__json": "null"}, "{}/config.json: model_type is None, expected 'qwen3_vl'"),
        ([], {"config__json": "[" * 100_000}, "{}/config.json: cannot be read as JSON ("),
        (
            [], {"config__json": '{"model_type": ["qwen3_vl"]}'},
            "{}/config.json: model_type is ['qwen3_vl'], expected 'qwen3_vl' or 'qwen3_vl_moe': this is not a Qwen3-VL",
        ),
        (
            [], {"config__json": '{"model_type": "qwen2_5_vl"}'},
            "{}/config.json: model_type is 'qwen2_5_vl', expected 'qwen3_vl' or 'qwen3_vl_moe': this is not a Qwen3-VL",
        ),
        (
            [], {"tokenizer_config__json": '{"model_max_length": "x"}'},
            "{}/tokenizer_config.json: model_max_length is 'x', not a number. Copy the file from the base checkpoint.",
        ),
        (
            [], {"tokenizer_config__json": '{"model_max_length": [1]}'},
            "{}/tokenizer_config.json: model_max_length is [1], not a number.",
        ),
        (
            [], {"preprocessor_config__json": '{"image_mean": "x"}'},
            "{}/preprocessor_config.json: image_mean is 'x', not a number.",
        ),
        (
            [], {"processor_config__json": '{"image_processor": {"image_std": [0.5, null, "x"]}}'},
            "{}/processor_config.json: image_std is [0.5, None, 'x'], not a number.",
        ),
        (
            [], {"processor_config__json": '{"image_processor": {"rescale_factor": {}}}'},
            "{}/processor_config.json: rescale_factor is {{}}, not a number.",
        ),
        (["model.safetensors"], {}, "{}: no safetensors weights: copy model.safetensors."),
        (
            ["model.safetensors"], {"pytorch_model__bin": "pickle"},
            "{}: no safetensors weights: it has pickled weights only; save it with safe_serialization.",
        ),
        (
            ["model.safetensors"],
            {INDEX: index(a="m-1.safetensors", b="m-2.safetensors"), "m-1__safetensors": weights("a")},
            "{}: 1 of 2 weight files are missing, first m-2.safetensors. Copy them.",
        ),
        (
            ["model.safetensors"], {INDEX: "{}"},
            "{}/model.safetensors.index.json: not a weight index: weight_map is missing or odd. Copy the checkpoint ag",
        ),
        (["tokenizer.json"], {}, "{}: tokenizer.json is missing. Copy it from the checkpoint it was trained from."),
        (
            ["preprocessor_config.json"], {},
            "{}: preprocessor_config.json is missing. Copy it from the checkpoint it was trained from.",
        ),
    ],
)  # fmt: skip
def test_what_keeps_a_folder_from_loading_is_reported(
    tmp_path: Path, without: list[str], files: dict[str, str], fault: str
) -> None:
    made = folder(tmp_path / "made", *without, **files)
    (reported,) = faults(made)
    assert reported.startswith(fault.format(made))
    with pytest.raises(CheckpointError) as caught:
        check(made)
    assert str(caught.value) == reported


@pytest.mark.parametrize(
    "content", ["[]", "null", '"a"', "3", '{"weight_map": []}', '{"weight_map": "a"}', '{"weight_map": {"a": []}}']
)
def test_a_weight_index_of_another_json_type_is_named(tmp_path: Path, content: str) -> None:
    made = folder(tmp_path / "made", "model.safetensors", **{INDEX: content})
    (reported,) = faults(made)
    assert reported.startswith(f"{made / INDEX}: not a weight index: weight_map is missing or odd.")


def test_every_fault_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = [fault.removeprefix(f"{tmp_path / 'empty'}: ").split(".")[0] for fault in faults(tmp_path / "empty")]
    assert words == ["config", "no safetensors weights: copy model", "tokenizer", "preprocessor_config"]


def test_absolute_and_relative_folders_and_the_demo_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folder(tmp_path / "org" / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {locate(name) for name in (str(made), "org/model", "./org/model", "~/org/model")} == {made.resolve()}
    assert locate(DEMO).parts[-3:] == ("yanshou", "world", "checkpoint")


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./no/such", "../no", "nothing", "a/b/c", "two words/x", "~nobody/x", ""]
)
def test_a_missing_folder_is_reported_without_using_the_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        locate(name)
    assert str(caught.value) == (
        f"checkpoint {name}: no such folder. Give a folder, a hub id (org/name) or demo."
    )  # fmt: skip


def test_a_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    path = folder(tmp_path / "made") / "model.safetensors"
    with pytest.raises(CheckpointError) as caught:
        locate(str(path))
    assert str(caught.value) == f"checkpoint {path} is a file. Give the folder that holds config.json."


def test_a_hub_id_that_cannot_be_downloaded_is_one_line(tmp_path: Path) -> None:
    words = (
        "from yanshou.engines.checkpoint import locate\nfrom yanshou.errors import CheckpointError\n"
        "try: locate('org/none')\nexcept CheckpointError as error: print(error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    ran = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    (line,) = ran.stdout.splitlines()
    assert line.startswith("checkpoint org/none: there is no such folder, and it cannot be downloaded as a hub id: ")
    assert line.endswith(" Check the spelling and the network, or give a folder.")


def test_the_fingerprint_covers_only_files_that_loading_reads(tmp_path: Path) -> None:
    first = fingerprint(folder(tmp_path / "one"))
    assert fingerprint(folder(tmp_path / "another", README__md="elsewhere", training_args__bin="pickle")) == first
    assert len(first) == 64


@pytest.mark.parametrize("name", WHOLE)
def test_the_fingerprint_changes_with_any_byte_and_any_name(tmp_path: Path, name: str) -> None:
    seen = {fingerprint(folder(tmp_path / "one"))}
    changed = folder(tmp_path / "changed")
    (changed / name).write_text(WHOLE[name][:-1] + "~")
    seen.add(fingerprint(changed))
    (changed / name).write_text(WHOLE[name])
    if name == "model.safetensors":  # under another name, it is not read
        return
    (changed / name).rename(changed / f"x-{name}")
    seen.add(fingerprint(changed))
    (changed / f"x-{name}").unlink()
    seen.add(fingerprint(changed))
    assert len(seen) == 4


def test_an_adapter_beside_whole_weights_is_refused_because_it_may_be_merged_or_not(tmp_path: Path) -> None:
    made = folder(tmp_path / "merged", adapter_config__json="{}")
    assert [fault.split(": ", 1)[1].split(" lies")[0] for fault in faults(made)] == ["adapter_config.json"]


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "{}: the file is empty. Copy the checkpoint again."),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4967215360\n",
            "{}: this is a Git LFS pointer, not the file itself. Run `git lfs pull` in the repository it was cloned to",
        ),
    ],
)
def test_an_empty_file_and_a_git_lfs_pointer_are_named(tmp_path: Path, name: str, content: str, fault: str) -> None:
    made = folder(tmp_path / "cloned", **{name.replace(".", "__"): content})
    (found,) = faults(made)
    assert found.startswith(fault.format(made / name))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "generation_config.json"])
def test_a_link_of_the_hub_cache_whose_blob_is_gone_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "snapshot")
    (made / name).unlink(missing_ok=True)
    (made / name).symlink_to("../../blobs/4d7a")
    assert f"{made / name}: it links to ../../blobs/4d7a, which is not there. Copy or download" in " ".join(
        faults(made)
    )


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    made = folder(tmp_path / "made", "model.safetensors")
    (made / "model.safetensors").symlink_to("model.safetensors")
    (fault,) = faults(made)
    assert fault.startswith(f"{made / 'model.safetensors'}: its symbolic links lead in a circle.")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "made", name)
    (made / name).mkdir()
    assert f"{made / name}: this is a folder, not a file. Copy the checkpoint again." in list(faults(made))


def test_a_stale_index_beside_whole_weights_is_no_fault(tmp_path: Path) -> None:
    stale = {INDEX: index(a="model-00001-of-00002.safetensors", b="model-00002-of-00002.safetensors")}
    assert list(faults(folder(tmp_path / "stale", **stale))) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {INDEX: index(a="model-1.safetensors"), "model-1.safetensors": weights("a")},
            "model.safetensors would be read, and model-1.safetensors would not",
        ),
        (
            {f"model-0000{one}-of-00002.safetensors": weights("b") for one in (1, 2)},
            "model.safetensors would be read, and model-00001-of-00002.safetensors and 1 more would not",
        ),
    ],
    ids=["named by the index", "no index"],
)
def test_two_sets_of_weights_are_refused(tmp_path: Path, files: dict[str, str], words: str) -> None:
    made = folder(tmp_path / "two", **files)
    assert list(faults(made)) == [f"{made}: two sets of weights: {words}. Move the older set to another folder."]


def test_shards_of_an_older_save_are_a_second_set(tmp_path: Path) -> None:
    made = sharded(tmp_path / "resaved")
    (made / "model-00001-of-00003.safetensors").write_text(weights("a"))
    (fault,) = faults(made)
    assert "m-1.safetensors and 1 more would be read, and model-00001-of-00003.safetensors would not" in fault


def test_files_of_other_programs_are_no_fault(tmp_path: Path) -> None:
    others = dict.fromkeys(
        ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "consolidated.safetensors"), "pickle"
    )
    assert list(faults(folder(tmp_path / "trained", **others))) == []


@pytest.mark.parametrize("last", ["checkpoint-1000", "final"])
def test_a_trainers_output_folder_is_refused_with_the_checkpoint_that_is_meant(tmp_path: Path, last: str) -> None:
    run = tmp_path / "output" / "v0-20251101-101500"
    for step in (50, 1000, 950):
        folder(run / f"checkpoint-{step}", "config.json", adapter_config__json="{}")
    (run / "checkpoint-2000").mkdir()
    (run / "runs").mkdir()
    folder(run / last) if last == "final" else None
    for given in (run, run.parent):
        (fault,) = faults(given)
        assert fault == f"{given} holds no checkpoint, but {run / last} does: give that one."
