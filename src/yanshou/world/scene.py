"""What a photo of the demo world shows, before it is drawn: items with their states, and the summary line they make.

    photo ── Scene(items=(Device(brand="华为", whole=True, need="无需安装"),
                          Fastener(place="机柜处接地螺丝", fault="露铜"), Wires(count=2, tied=True)))
    line  ── BBU设备/华为,显示完整,无需安装×1，电线/捆扎整齐×2，螺丝、光纤插头/机柜处接地螺丝,不符合要求/露铜×1

Entries are sorted by their text; equal entries are counted together. The line is the truth that the demo is scored
against: `draw.py` must draw every item of the scene, and nothing else that a summary would have to name.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

BRANDS = ("华为", "中兴", "爱立信")
SCREWS = {
    "BBU安装螺丝": ("未拧紧", "生锈"),
    "机柜处接地螺丝": ("未拧紧", "露铜", "复接", "生锈"),
    "地排处接地螺丝": ("未拧紧", "露铜", "复接", "生锈"),
    "ODF端光纤插头": ("未拧紧",),
    "BBU端光纤插头": ("未拧紧",),
}  # place → faults that can occur there
PROTECTIONS = ("蛇形管", "铠装", "同时有蛇形管和铠装")
TAGS = ("5G-BBU", "GND", "ODF-A", "-48V")
BLANKS = ("drawing", "form", "floor")  # kinds of unrelated photos

Need = Literal["无需安装", "配备", "未配备", "装反"]  # whether a device needs a wind shield, and how it is mounted


@dataclass(frozen=True, slots=True)
class Device:
    """A BBU in its rack. The slot below it is filled, shielded, shielded upside down, or empty."""

    brand: str
    whole: bool  # False: cut off by the photo's edge
    need: Need

    def entries(self) -> Iterator[str]:
        """The summary line's entries about this item, without counts. One item can give several."""
        seen = "显示完整" if self.whole else "只显示部分"
        fitted = "这个BBU设备按要求配备了挡风板" if self.need == "配备" else "这个BBU设备未按要求配备挡风板"
        want = "无需安装" if self.need == "无需安装" else f"机柜空间充足需要安装/{fitted}"
        yield f"BBU设备/{self.brand},{seen},{want}"
        if self.need in ("配备", "装反"):
            yield from Shield(self.brand, self.whole, self.need == "配备").entries()


@dataclass(frozen=True, slots=True)
class Shield:
    """A wind shield. Mounted the right way up, its louvres rise to the right."""

    brand: str
    whole: bool  # False: cut off by the photo's edge
    upright: bool

    def entries(self) -> Iterator[str]:
        seen = "显示完整" if self.whole else "只显示部分"
        yield f"挡风板/{self.brand},{seen},{'安装方向正确' if self.upright else '安装方向错误'}"


@dataclass(frozen=True, slots=True)
class Fastener:
    """A screw or a fibre plug. `fault` is None if it meets the requirement."""

    place: str
    fault: str | None = None

    def entries(self) -> Iterator[str]:
        yield f"螺丝、光纤插头/{self.place}," + (f"不符合要求/{self.fault}" if self.fault else "符合要求")


@dataclass(frozen=True, slots=True)
class Fibre:
    """One optical fibre: its protection (None: bare) and its bend."""

    protection: str | None
    gentle: bool  # the bend is wide enough

    def entries(self) -> Iterator[str]:
        bend = "弯曲半径合理" if self.gentle else "弯曲半径不合理(弯曲半径<4cm或者成环)"
        yield f"光纤/有保护措施,{bend}/{self.protection}" if self.protection else f"光纤/无保护措施,{bend}"


@dataclass(frozen=True, slots=True)
class Wires:
    """Ground wires side by side, tied together or not."""

    count: int
    tied: bool

    def entries(self) -> Iterator[str]:
        yield from [f"电线/{'捆扎整齐' if self.tied else '分布散乱'}"] * self.count


@dataclass(frozen=True, slots=True)
class Tag:
    """A label. `text` is None if it is illegible."""

    text: str | None

    def entries(self) -> Iterator[str]:
        yield f"标签/{self.text or '无法识别'}"


Wide = Device | Shield  # items as wide as a rack
Small = Fastener | Fibre | Wires | Tag  # items that fit one cell of the photo
Item = Wide | Small


@dataclass(frozen=True, slots=True)
class Scene:
    """One photo. `blank` is the kind of an unrelated photo (one of BLANKS), which has no items."""

    items: tuple[Item, ...] = ()
    blank: str | None = None

    def line(self) -> str:
        """The true summary line of this photo."""
        counts = Counter(entry for item in self.items for entry in item.entries())
        return "，".join(f"{entry}×{counts[entry]}" for entry in sorted(counts)) or "无关图片×1"


def random_fibre(rng: Random, gentle: bool = True, protected: bool = True) -> Fibre:
    return Fibre(rng.choice(PROTECTIONS) if protected else None, gentle)


def random_shield(rng: Random, upright: bool = True) -> Shield:
    return Shield(rng.choice(BRANDS), rng.random() < 0.6, upright)


def random_device(rng: Random, need: Need) -> Device:
    return Device(rng.choice(BRANDS), rng.random() < 0.55, need)


def random_tag(rng: Random) -> Tag:
    return Tag(rng.choice(TAGS) if rng.random() < 0.7 else None)


def random_item(rng: Random) -> Item:
    """An item of any kind in any state, as photos for training show it."""
    kind = rng.choices(("fastener", "fibre", "wires", "tag", "shield", "device"), (9, 5, 3, 3, 2, 3))[0]
    match kind:
        case "fastener":
            place = rng.choice(tuple(SCREWS))
            return Fastener(place, rng.choice(SCREWS[place]) if rng.random() < 0.4 else None)
        case "fibre":
            return random_fibre(rng, gentle=rng.random() < 0.65, protected=rng.random() < 0.7)
        case "wires":
            return Wires(rng.randint(1, 4), rng.random() < 0.6)
        case "tag":
            return random_tag(rng)
        case "shield":
            return random_shield(rng, upright=rng.random() < 0.6)
        case _:
            return random_device(rng, rng.choice(("无需安装", "配备", "未配备", "装反")))


def random_scene(rng: Random) -> Scene:
    """A photo for training: items of any kind in any state, with more of the rare ones than a job would show."""
    if rng.random() < 0.04:
        return Scene(blank=rng.choice(BLANKS))
    items: list[Item] = [random_item(rng) for _ in range(rng.choices((1, 2, 3, 4, 5, 6), (2, 3, 4, 4, 3, 2))[0])]
    if rng.random() < 0.3:  # several equal items, so that counting is trained
        items += [rng.choice(items)] * rng.randint(1, 2)
    return Scene(limit_items(items))


# Maximum number of items per photo, so that every photo size has room for them without overlaps.
MAX_OF_KIND = {Device: 2, Shield: 2, Fastener: 6, Fibre: 4, Wires: 1, Tag: 3}
MAX_WIDE = 2
MAX_SMALL = 8  # wide items that come first take from this number


def limit_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items that one photo can hold: later ones are dropped."""
    taken: Counter[type] = Counter()
    kept: list[Item] = []
    for item in items:
        wide = isinstance(item, Wide)
        room = taken[Device] + taken[Shield] < MAX_WIDE if wide else sum(taken.values()) < MAX_SMALL
        if room and taken[type(item)] < MAX_OF_KIND[type(item)]:
            taken[type(item)] += 1
            kept.append(item)
    return tuple(kept)
