"""
How values of the terms are written: limits, amounts, texts, codes, times of day, promises.

The shape of each file is built from them; what is wrong is one sentence that tells what to write instead.
"""

from __future__ import annotations

import re
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from aftersales.words import Limit, Right


class Strict(BaseModel):
    """A table of the terms: unknown keys are refused, values are never coerced, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_limit(value: object) -> object:
    """Read `3 wd`; say of a bare number that its unit is missing (GEN-03)."""
    if isinstance(value, str):
        return Limit.parse(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(
            f"{value} 没有单位，请写成 {value:.0f} h（小时）、{value:.0f} wd（工作日）或 {value:.0f} d（自然日）。"
        )
    return value


def _filled(value: str) -> str:
    """Refuse a text of nothing but blanks, and one that the database and the forms could not hold."""
    if not value.strip():
        raise ValueError("没有填写内容，请写上文字。")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        raise ValueError("含有不可见的控制字符，请删去后重写。")
    return value


def _code(value: str) -> str:
    """Refuse a key that could not be a code: codes are stored, and typed on the command line."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        raise ValueError(f"“{value}”不能作代码，请用小写字母开头，只含小写字母、数字和 _，如 wrong_size。")
    return value


def _clock(value: str) -> str:
    """Refuse a time of day that cannot be read."""
    minutes(value)
    return value


def minutes(text: str) -> int:
    """Read `09:00` into minutes of the day. Raises ValueError with the sentence that tells how to write it."""
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", text)
    if not found:
        raise ValueError(f'“{text}”不是钟点，请写成 "09:00" 这样（00:00 到 23:59）。')
    return int(found[1]) * 60 + int(found[2])


LimitText = Annotated[Limit, BeforeValidator(read_limit), PlainSerializer(str)]
Text = Annotated[str, AfterValidator(_filled)]
Code = Annotated[str, AfterValidator(_code)]
Clock = Annotated[str, AfterValidator(_clock)]


class Promised(Strict):
    """How long something may take, who owns it, and the rule that says so."""

    limit: LimitText
    owner: Text
    rule: Text


def _amount(value: object) -> object:
    """Read `"12.00"`: a text with exactly two decimals, since 12.1 in YAML is a binary float and 12 hides the fen."""
    if isinstance(value, Decimal):
        text = f"{value:.2f}" if value == round(value, 2) else str(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        shown = f"{value:.2f}" if isinstance(value, float) and value == round(value, 2) else str(value)
        remedy = f"{value:.2f}" if value >= 0 and value == round(value, 2) else "12.00"
        raise ValueError(f'金额 {shown} 没有写成加引号的两位小数，请写成 "{remedy}"。')
    elif isinstance(value, str):
        text = value
    else:
        return value
    if re.fullmatch(r"[0-9]{1,9}\.[0-9]{2}", text):
        return Decimal(text)
    if text.startswith("-"):
        raise ValueError(f'金额“{text}”是负数，请写成不小于零的两位小数，如 "12.00"。')
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9])?", text):
        raise ValueError(f'金额“{text}”不是两位小数，请写成 "{Decimal(text):.2f}"。')
    raise ValueError(f'金额“{text}”不是两位小数的数，请写成 "12.00" 这样。')


def _zone_name(value: str) -> str:
    """Refuse a time zone that the zone data does not know (GEN-01)."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # zoneinfo raises OSError for a folder such as “Asia”
        raise ValueError(f"没有时区“{value}”，请写成 Asia/Shanghai 这样的名称。") from None
    return value


def _currency(value: str) -> str:
    """Refuse what is not a currency code (MON-16)."""
    if not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError(f"“{value}”不是货币代码，请写成三个大写字母，如 CNY。")
    return value


def _right(value: str) -> str:
    """Refuse a right that no gate asks for."""
    known = [right.value for right in Right]
    if value not in known:
        raise ValueError(f"没有权限“{value}”，{nearest(value, known)}。")
    return value


def _staff_id(value: str) -> str:
    """Refuse a staff id that could not be told from the name in a drop-down: `C07 王小明`."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", value):
        raise ValueError(f"“{value}”不能作员工编号，请只用字母、数字、- 和 _，如 C07。")
    return value


def _service_hours(value: str) -> str:
    """Refuse opening hours that cannot be read (GEN-05)."""
    opening_hours(value)
    return value


def _quiet(value: str) -> str:
    """Refuse quiet hours that cannot be read."""
    quiet_hours(value, none="不需要静默时写 null")
    return value


def quiet_hours(text: str, *, none: str = "") -> tuple[int, int]:
    """
    Read `22:00-08:00` into minutes of the day; the end may lie on the next day.

    `none` says how to write that there are none. Raises ValueError with the sentence that tells how to write it.
    """
    begins, dash, ends = (part.strip() for part in text.partition("-"))
    if not dash:
        raise ValueError(f'“{text}”不是静默时段，请写成 "22:00-08:00" 这样，可以过午夜。')
    if begins == ends:
        raise ValueError(f'静默时段“{text}”的起止相同，请写成 "22:00-08:00" 这样{f"；{none}" if none else ""}。')
    return minutes(begins), minutes(ends)


def _wall_limit(value: Limit) -> Limit:
    """Refuse a limit that is none of the wall clock: sending does not know of working days."""
    if value.unit not in ("min", "h"):
        raise ValueError(f"“{value}”的单位不对，请用 min（分钟）或 h（小时），如 6 h。")
    return value


def opening_hours(text: str) -> tuple[tuple[int, int], ...] | None:
    """
    Read `09:00-12:00, 13:00-18:00` into minutes of a working day; None is round the clock, `24x7` (GEN-05, AMB-06).

    Raises ValueError with the sentence that tells how to write it.
    """
    if text.strip() == "24x7":
        return None
    spans = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s*", part)
        if not found or int(found[2]) > 59 or int(found[4]) > 59:
            raise ValueError(f'“{part.strip()}”不是营业时间，请写成 24x7 或 "09:00-12:00, 13:00-18:00" 这样。')
        spans.append((int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])))
    for (opens, closes), after in zip(spans, [*spans[1:], (1440, 1441)], strict=True):
        if not opens < closes <= after[0] or closes > 1440:
            raise ValueError(f"营业时间“{text}”前后颠倒或重叠，请按先后写在 00:00 到 24:00 之间，过午夜的分成两段。")
    return tuple(spans)


def nearest(word: str, known: list[str]) -> str:
    """Say which of the known words was probably meant, else which there are."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"是不是想写“{near[0]}”" if near else f"可写：{'、'.join(known)}"


Amount = Annotated[Decimal, BeforeValidator(_amount), PlainSerializer(lambda v: f"{v:.2f}")]
WallLimit = Annotated[Limit, BeforeValidator(read_limit), AfterValidator(_wall_limit), PlainSerializer(str)]
StaffId = Annotated[str, AfterValidator(_staff_id)]
ZoneName = Annotated[str, AfterValidator(_zone_name)]
Currency = Annotated[str, AfterValidator(_currency)]
RightText = Annotated[str, AfterValidator(_right)]
ServiceHours = Annotated[str, AfterValidator(_service_hours)]
QuietHours = Annotated[str, AfterValidator(_quiet)]
