"""`find`: a folder of whole weights, or an adapter and its base; which processor is taken, and what counts."""

import json
import shutil
from pathlib import Path

import pytest
from support.adapters import write_adapter
from support.checkpoints import edited, spoilt

from yanshou.engines.checkpoint import Source, find
from yanshou.errors import CheckpointError, UsageError

PROCESSOR = ("tokenizer.json", "tokenizer_config.json", "processor_config.json", "chat_template.jinja")


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On the tiny checkpoint, which it names as its base. Not to be written to."""
    return write_adapter(tiny, tmp_path_factory.mktemp("adapter") / "lora")


def copied(adapter: Path, target: Path, tiny: Path, *files: str) -> Path:
    """A copy of the adapter with files of its base."""
    shutil.copytree(adapter, target)
    for name in files:
        shutil.copy(tiny / name, target)
    return target


def test_an_adapter_is_found_with_the_base_it_names_or_the_one_given(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    assert find(str(tiny)) == Source(tiny)
    assert find(str(adapter)) == Source(tiny, adapter)
    other = shutil.copytree(tiny, tmp_path / "other")
    assert find(str(adapter), str(other)) == Source(other, adapter)
    assert list(find(str(adapter)).faults()) == []


def test_a_base_for_a_whole_checkpoint_is_wrong_usage(tiny: Path) -> None:
    with pytest.raises(UsageError, match=rf"--base-checkpoint is for an adapter, and {tiny} is none\. Leave it out\."):
        find(str(tiny), str(tiny))


def test_a_base_beside_a_run_folder_is_told_its_newest_checkpoint(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    for step in (9, 10):
        shutil.copytree(adapter, tmp_path / "v0-1" / f"checkpoint-{step}")
    fault = next(find(str(tmp_path / "v0-1"), str(tiny)).faults())
    assert fault.endswith(f"holds no checkpoint, but {tmp_path / 'v0-1' / 'checkpoint-10'} does: give that one.")


def test_an_adapter_on_an_adapter_is_refused(adapter: Path) -> None:
    with pytest.raises(CheckpointError, match=r"its base .* is an adapter, too\. Merge that one first"):
        find(str(adapter), str(adapter))


def test_faults_of_base_and_adapter_are_reported_together(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    base = spoilt(tiny, tmp_path / "base", edited("config.json", model_type="qwen2_vl"))
    broken = spoilt(adapter, tmp_path / "broken", edited("adapter_config.json", bias="all"))
    first, second = find(str(broken), str(base)).faults()
    assert first.startswith(f"{base / 'config.json'}: model_type is 'qwen2_vl'")
    assert second.startswith(f"{broken / 'adapter_config.json'}: bias is 'all'")


def test_the_processor_is_the_adapters_if_it_is_whole(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    assert find(str(adapter)).processor == tiny
    whole = copied(adapter, tmp_path / "whole", tiny, *PROCESSOR)
    assert find(str(whole)).processor == whole
    part = copied(adapter, tmp_path / "part", tiny, "tokenizer.json", "tokenizer_config.json")
    assert find(str(part)).processor == tiny
    assert list(find(str(part)).faults()) == []


def test_a_tokenizer_with_added_tokens_and_no_image_processor_is_refused(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    made = copied(adapter, tmp_path / "added", tiny, "tokenizer.json")
    content = json.loads((made / "tokenizer.json").read_text(encoding="utf-8"))
    content["added_tokens"].append(content["added_tokens"][-1] | {"id": 900, "content": "<|new|>"})
    (made / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (fault,) = find(str(made)).faults()
    assert fault.startswith(
        f"{made / 'tokenizer.json'}: other tokens than in {tiny}, but no image processor beside it."
    )


@pytest.mark.parametrize("modules", [{"modules_to_save": ["embed_tokens"]}, {"target_modules": ["lm_head", "q_proj"]}])
@pytest.mark.filterwarnings("ignore")
def test_one_of_two_tied_matrices_cannot_be_changed(tiny: Path, tmp_path: Path, modules: dict[str, list[str]]) -> None:
    made = write_adapter(tiny, tmp_path / "adapter", **modules)
    (fault,) = find(str(made)).faults()
    assert "but its base has one matrix for the embeddings and the output. Merge it with the program that" in fault


def test_base_adapter_and_the_processor_that_is_used_count_in_the_fingerprints(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    found = find(str(adapter)).fingerprints()
    assert found.keys() == {"checkpoint", "adapter"}
    assert found["checkpoint"] == find(str(tiny)).fingerprints()["checkpoint"]
    copy = copied(adapter, tmp_path / "copy", tiny, "tokenizer.json")
    (copy / "trainer_state.json").write_text("{}")
    assert find(str(copy)).fingerprints() == found, "files that are not read"
    whole = copied(adapter, tmp_path / "whole", tiny, *PROCESSOR)
    assert find(str(whole)).fingerprints()["adapter"] != found["adapter"]
    other = write_adapter(tiny, tmp_path / "other", seed=6)
    assert find(str(other)).fingerprints()["adapter"] != found["adapter"]


def test_the_stamp_changes_with_the_weights_and_not_with_other_files(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    made = shutil.copytree(adapter, tmp_path / "adapter")
    source = find(str(made))
    before = source.stamp()
    (made / "挡风板安装检查_stage_a.run.json").write_text("{}")
    assert source.stamp() == before
    (made / "adapter_model.safetensors").touch()
    assert source.stamp() != before
