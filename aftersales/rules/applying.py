"""
What a customer may apply for on their page, and what is wrong with what they filled in (SLF-03, POL-08).

In codes, a field and a reason each: the page has the words. What the story itself checks is checked there again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aftersales.forms.fields import Text, clean, seen
from aftersales.terms import Photos, Returns
from aftersales.words import Shipping

GOODS, REASON, SHIPPING, REMARK, PHOTOS = "goods", "reason", "shipping", "remark", "photos"
MOST_REMARK = 500


@dataclass(frozen=True, slots=True)
class Goods:
    """A line of an order that can still be returned: how many pieces of it."""

    line_no: int
    sku: str
    name: str
    free: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in: how many of which line, and the rest as it came."""

    quantities: Mapping[int, str]
    reason: str = ""
    shipping: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A field that cannot be taken, and why."""

    field: str
    why: str


def wrong(
    filled: Filled,
    *,
    goods: Sequence[Goods],
    photos: int,
    refused: Sequence[str] = (),
    returns: Returns,
    limits: Photos,
) -> list[Wrong]:
    """
    Say what is wrong with a form, field by field; nothing when it can be sent in.

    `photos` counts those that can be kept, `refused` says why others cannot.
    """
    found: list[Wrong] = []
    counts = _counts(filled, goods)
    if counts is None:
        found.append(Wrong(GOODS, "too_many"))
    elif not counts:
        found.append(Wrong(GOODS, "none"))
    if filled.reason not in returns.reasons:
        found.append(Wrong(REASON, "none"))
    if filled.shipping not in {each.value for each in Shipping}:
        found.append(Wrong(SHIPPING, "none"))
    try:
        if len(seen(clean(filled.remark))) > MOST_REMARK:
            found.append(Wrong(REMARK, "too_long"))
    except ValueError:
        found.append(Wrong(REMARK, "unwritable"))
    found += [Wrong(PHOTOS, why) for why in dict.fromkeys(refused)]
    if photos > limits.at_most:
        found.append(Wrong(PHOTOS, "too_many"))
    elif not photos and not refused and filled.reason in returns.reasons and returns.reasons[filled.reason].evidence:
        found.append(Wrong(PHOTOS, "needed"))
    return found


def request(filled: Filled, *, order_no: str, goods: Sequence[Goods], evidence: Sequence[str]) -> dict[str, Any]:
    """The application that a form without mistakes makes: goods of one number are one item."""
    by_sku = Counter[str]()
    for line_no, count in (_counts(filled, goods) or {}).items():
        by_sku[next(line.sku for line in goods if line.line_no == line_no)] += count
    return {
        "order_no": order_no,
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in by_sku.items()],
        "reason": filled.reason,
        "shipping": filled.shipping,
        "evidence": list(evidence),
        "remark": Text(MOST_REMARK).read(filled.remark),
    }


def _counts(filled: Filled, goods: Sequence[Goods]) -> dict[int, int] | None:
    """How many of each line; None when that is no number, more than there is, or of no line of the order."""
    free = {line.line_no: line.free for line in goods}
    counts: dict[int, int] = {}
    for line_no, text in filled.quantities.items():
        text = text.strip()
        if text in ("", "0"):
            continue
        if not (text.isascii() and text.isdigit() and len(text) <= 6) or int(text) > free.get(line_no, 0):
            return None
        if int(text):
            counts[line_no] = int(text)
    return counts
