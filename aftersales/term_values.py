"""
How values of the terms are written: limits, texts, codes, times of day, promises.

The shape of `config/*.yaml` (`aftersales.terms`) is built from them, file by file.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from aftersales.words import Limit


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
