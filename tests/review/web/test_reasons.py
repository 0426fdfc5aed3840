"""The reasons that the page offers come from the mission's rule, in words that people use."""

from support.lines import CABLES, GROUNDING, SCREWS, SHIELD

from yanshou.missions import Rule, load_missions
from yanshou.review.web.reasons import reasons

MISSIONS = load_missions()
ALWAYS = ["照片不清晰，需重拍", "拍摄角度或范围不够，需补拍", "照片与检查项无关", "标签缺失", "标签无法识别"]


def test_screws() -> None:
    assert reasons(MISSIONS.get(SCREWS).rule) == {
        "pass": ["BBU设备", "BBU安装螺丝符合要求"],
        "fail": [
            "不符合要求",
            "未拧紧",
            "露铜",
            "复接",
            "生锈",
            "缺少证据：BBU设备",
            "缺少证据：BBU安装螺丝符合要求",
            *ALWAYS,
        ],
        "unsure": ALWAYS,
    }


def test_grounding() -> None:
    found = reasons(MISSIONS.get(GROUNDING).rule)
    assert found["pass"] == ["机柜处接地螺丝符合要求", "地排处接地螺丝符合要求", "电线捆扎整齐"]
    assert found["fail"][:3] == ["机柜处接地螺丝不符合要求", "地排处接地螺丝不符合要求", "电线分布散乱"]


def test_cables() -> None:
    found = reasons(MISSIONS.get(CABLES).rule)
    assert found["pass"][2:] == ["光纤有保护措施", "光纤弯曲半径合理"]
    assert "光纤弯曲半径不合理(弯曲半径<4cm或者成环)" in found["fail"]


def test_a_shield_is_missing_only_where_one_is_needed() -> None:
    found = reasons(MISSIONS.get(SHIELD).rule)
    assert found["fail"][:3] == [
        "缺少证据：BBU设备",
        "缺少证据：BBU设备无需安装或BBU设备机柜空间充足需要安装",
        "BBU设备机柜空间充足需要安装，但没有看到这个BBU设备按要求配备了挡风板或挡风板安装方向正确",
    ]


def test_too_few_photos() -> None:
    rule = Rule.model_validate({"text": "x", "require": [["BBU设备"]], "min_photos": 3})
    assert "照片少于3张" in reasons(rule)["fail"]
