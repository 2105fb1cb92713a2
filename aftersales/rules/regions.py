"""
Regions as orders write them, and which of their promises force majeure has touched (GEN-08, AMB-51).

An order knows its region as free text, `浙江省 杭州市`; nothing finer, and no other address, is known of a case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from aftersales.rules import clocks
from aftersales.terms import House
from aftersales.words import Stage, Unable, matter

# what one file writes and another leaves out
_KINDS = re.compile("特别行政区|(壮族|回族|维吾尔)?自治区|省|市")
_APART = re.compile(r"[\s,，、/·;；-]+")
# a 市 of such a name is a city, or a slip; never the whole of the province
_PROVINCES = re.compile(
    "河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾"
    "|内蒙古|广西|西藏|宁夏|新疆"
)
# one character names no region, and would mean half of the country
LEAST = 2


@dataclass(frozen=True, slots=True)
class ForceMajeure:
    """What happened where and when (both days included), and the new last day of what it has touched."""

    regions: tuple[str, ...]
    since: date
    until: date
    to: date
    reason: str
    # only these stages; all when empty
    stages: frozenset[Stage] = frozenset()


def plain(region: str) -> str:
    """A region as it is compared: without 省 and 市, blanks and marks, capitals and wide letters."""
    return _closed(_KINDS.sub("", _even(region)))


def _even(region: str) -> str:
    """A region without marks, capitals and wide letters."""
    return _APART.sub(" ", unicodedata.normalize("NFKC", region).casefold()).strip()


def _closed(text: str) -> str:
    # blanks part the words of `united kingdom`, but not 浙江 杭州 from 浙江杭州
    return re.sub(r"(?<![a-z0-9]) | (?![a-z0-9])", "", text)


def lies_in(region: str, asked: str) -> bool:
    """
    Tell whether a region is, or lies in, the one that is asked for: it begins with its words.

    吉林市 is not 吉林: the order of a city that is called like a province must say that it is a city.
    """
    here, there = plain(region), plain(asked)
    if _PROVINCES.fullmatch(there) and (city := _closed(_even(asked))).endswith("市"):
        return _closed(_even(region)).startswith(city)
    rest = here[len(there) :]
    return len(there) >= LEAST and here.startswith(there) and not re.match(r"[a-z0-9]", rest)


def untouched(
    *, stage: Stage, promise: Mapping[str, Any] | None, force: ForceMajeure, house: House, at: datetime
) -> str:
    """
    Say why a case of the region is not given more time; empty when it is.

    What force majeure has touched are the windows that ran on one of its days: one that began after them, or passed
    before them, is late or in time for reasons of its own.
    """
    if promise is None:
        return "正在办理，现在没有等待的环节"
    if force.stages and stage not in force.stages:
        return f"现在{stage.label}，不在所选环节"
    begins, ends = clocks.span(force.since, force.until, house=house)
    due_at = clocks.in_house(promise["due_at"], house=house)
    moved = {"until": force.to.isoformat(), "reason": force.reason}
    if any(moved.items() <= each.items() for each in promise["trace"]["extensions"]):
        return f"已按同一原因延到这一天：{clocks.spoken(due_at, house=house)}"
    if promise["started_at"] >= ends:
        return f"“{matter(promise['stage'])}”在这段时间之后才开始"
    if due_at <= begins:
        return f"“{matter(promise['stage'])}”在这段时间之前已到期：{clocks.spoken(due_at, house=house)}"
    try:
        due = clocks.told(promise["trace"], house=house)
        clocks.extended(due=due, extension=clocks.Extension(force.to, force.reason), house=house, at=at)
    except Unable as error:
        return str(error).rstrip("。")
    return ""


def named(regions: Collection[str], asked: str) -> list[str]:
    """The regions that lie in the one that is asked for."""
    return sorted(region for region in regions if lies_in(region, asked))
