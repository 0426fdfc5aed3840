"""`yanshou.engines.endpoint.body`: what is asked of a server."""

from yanshou.engines.endpoint.body import messages, sampling_fields, seed_of
from yanshou.schema.prompt import Prompt
from yanshou.settings import SamplingSettings

PROMPT = Prompt("系统", "用户")


def test_a_text_request_has_two_plain_messages() -> None:
    assert messages(PROMPT) == [{"role": "system", "content": "系统"}, {"role": "user", "content": "用户"}]


def test_a_photo_comes_before_the_text() -> None:
    assert messages(PROMPT, "data:x")[1]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:x"}},
        {"type": "text", "text": "用户"},
    ]


def test_greedy_sampling_sends_no_more_than_every_server_knows() -> None:
    assert sampling_fields(SamplingSettings(), "key") == {"max_tokens": 256, "temperature": 0.0}


def test_a_seed_belongs_to_a_photo_and_to_a_run() -> None:
    seeds = {seed_of(seed, key) for seed in (0, 1) for key in ("a", "b", "\udcff")}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(0, "a") == seed_of(0, "a")
