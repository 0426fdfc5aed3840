"""The prompts: for a photo (Stage-A), and for the summaries of a group (Stage-B).

    Stage-A   system  SUMMARY_SYSTEM_PROMPT
              user    <photo> SUMMARY_USER_PROMPT 检查项：挡风板安装检查。本检查项重点关注…
    Stage-B   system  VERDICT_SYSTEM_PROMPT
              user    检查项 · 关注 · 通过条件 · 图片_1: … 图片_N: …

A prompt never contains a path, an id or the name of a label folder: a photo's path contains its label.
"""

from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path

from yanshou.errors import InputError
from yanshou.file_kind import find_kind
from yanshou.missions import Mission
from yanshou.read_cure import read_cure
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import image_key
from yanshou.settings import PromptSettings

SUMMARY_SYSTEM_PROMPT = """\
你是通信机房工程质检助手，把一张施工照片写成一行中文摘要。只写照片中确实看得见的内容，不编造，不下结论，不写坐标，不换行。
格式：条目之间用全角“，”分隔；每个条目写作“类别/值,值/下级值×数量”，“/”进入下一级，同级的值用半角“,”并列，相同的条目合并计数。
BBU设备：华为、中兴或爱立信；显示完整或只显示部分；无需安装或机柜空间充足需要安装，后者再写这个BBU设备按要求配备了挡风板或这个BBU设备未按要求配备挡风板。
挡风板：品牌；显示完整或只显示部分；安装方向正确或安装方向错误。
螺丝、光纤插头：BBU安装螺丝、机柜处接地螺丝、地排处接地螺丝、ODF端光纤插头或BBU端光纤插头；符合要求或不符合要求，后者再写未拧紧、露铜、复接或生锈。
光纤：有保护措施或无保护措施；弯曲半径合理或弯曲半径不合理(弯曲半径<4cm或者成环)；有保护措施再写蛇形管、铠装或同时有蛇形管和铠装。
电线：捆扎整齐或分布散乱。
标签：写出读到的文字，读不出写无法识别。
拿不准的写“类别/需复核备注:原因×数量”。与施工无关的照片只写“无关图片×1”。"""

SUMMARY_USER_PROMPT = "请用一行中文摘要写出这张照片中可见的全部内容。"

VERDICT_SYSTEM_PROMPT = """\
你是通信机房工程验收员，根据一组照片的摘要判断一个检查项。只写两行：
第一行只写“通过”或“不通过”；
第二行以“理由: ”开头，用一句话说明依据。"""

MAX_SUMMARY_CHARS = 250_000  # of a group's summaries; 38 photos with the longest known summary have 58,000


def summary_prompt(mission: Mission, settings: PromptSettings) -> Prompt:
    """The prompt for each photo of a mission. Raises InputError where a prompt file cannot be read."""
    system = _file(settings.system_prompt) if settings.system_prompt else SUMMARY_SYSTEM_PROMPT
    user = _file(settings.user_prompt) if settings.user_prompt else SUMMARY_USER_PROMPT
    if settings.mission_focus:
        user = f"{user}\n检查项：{mission.name}。{mission.focus}"
    return Prompt(system, user)


def verdict_prompt(mission: Mission, summaries: Sequence[str]) -> Prompt:
    """The prompt for the verdict on one group. `summaries` are the lines of 图片_1…N, in order."""
    lines = [f"{image_key(i)}: {line}" for i, line in enumerate(summaries, 1)]
    head = f"检查项：{mission.name}\n{mission.focus}\n通过条件：{mission.rule.condition}\n照片摘要："
    return Prompt(VERDICT_SYSTEM_PROMPT, "\n".join([head, *lines]))


def _file(path: Path) -> str:
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        if kind := find_kind(data):
            raise InputError(f"{path}: the prompt file is {kind.what}: {kind.cure}.")
        text = data.decode().strip()
    except OSError as error:
        raise InputError(f"{path}: the prompt file cannot be read: {error.strerror}. {read_cure(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the prompt file cannot be read ({error}). Give a UTF-8 text file.") from error
    if not text:
        raise InputError(f"{path}: the prompt file is empty. Leave out the option to use yanshou's own prompt.")
    return text
