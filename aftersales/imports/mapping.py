"""
The shape of `config/imports/*.yaml`: what another system calls the things we know (issue 2, part 3).

A mapping is data: column names, defaults and lists of codes. It holds no conditions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from aftersales import terms
from aftersales.terms import Strict, Text
from aftersales.words import Unable

FOLDER = "imports"

Word = Literal[
    "order_no",
    "line_no",
    "channel",
    "customer_no",
    "name",
    "phone",
    "email",
    "region",
    "ordered_at",
    "delivered_at",
    "sku",
    "product",
    "category",
    "quantity",
    "unit_price",
    "line_discount",
    "order_discount",
    "freight",
    "insured_freight",
    "payment_route",
]
WORDS: tuple[Word, ...] = get_args(Word)

# Without these there is no order; the first five are never the same for a whole file.
NEEDED: tuple[Word, ...] = ("order_no", "sku", "quantity", "unit_price", "ordered_at", "channel", "payment_route")
PER_ROW = frozenset(NEEDED[:5]) | {"line_no"}


class ReturnsMapping(Strict):
    """What a file of returns does not tell."""

    reason: Text
    settle: dict[str, Text] = Field(default_factory=dict)


class Mapping(Strict):
    """One file of `config/imports/`."""

    label: Text
    columns: dict[Word, Text]
    defaults: dict[Word, Text] = Field(default_factory=dict)
    strip: dict[Word, Text] = Field(default_factory=dict)
    order_time: Literal["same", "earliest"] = "same"
    delivered_after_days: Annotated[int, Field(ge=0, le=365)] | None = None
    freight: list[Text] = Field(default_factory=list)
    not_goods: list[Text] = Field(default_factory=list)
    skip_not_positive: bool = False
    returns_prefix: str = ""
    # who passes the gates of a return that is settled while it is imported, and why the goods came back
    returns: ReturnsMapping | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Mapping:
        for word in NEEDED:
            if word not in self.columns and word not in self.defaults:
                where = "columns" if word in PER_ROW else "columns 或 defaults"
                raise ValueError(f"没有说明 {word} 从哪里来，请在 {where} 里写上它。")
        for word in self.defaults:
            if word in self.columns:
                raise ValueError(f"{word} 同时写在 columns 和 defaults 里，请只留一处。")
            if word in PER_ROW:
                raise ValueError(f"{word} 每行不同，不能写在 defaults 里，请写到 columns 里。")
        if self.delivered_after_days is not None and "delivered_at" in self.columns:
            raise ValueError("delivered_at 已有列，不能再写 delivered_after_days，请只留一处。")
        return self

    def is_freight(self, sku: str) -> bool:
        """Tell whether a row with this code is the order's freight."""
        return sku in self.freight

    def is_goods(self, sku: str) -> bool:
        """Tell whether a row with this code is about goods; `gift_*` in the list stands for any ending."""
        return not any(
            sku.startswith(code[:-1]) if code.endswith("*") else sku == code  # a code is matched as written: m is not M
            for code in self.not_goods
        )


def names(folder: Path = terms.CONFIG) -> list[str]:
    """List the mappings there are. Raises Unable where there can be none."""
    if not (folder / FOLDER).is_dir():
        raise Unable(f"这里不是项目目录（没有 {folder / FOLDER} 文件夹），请先 cd 到项目根目录再运行。")
    return sorted(path.stem for path in (folder / FOLDER).glob("*.yaml"))


def load(name: str, folder: Path = terms.CONFIG) -> Mapping:
    """
    Read a mapping by its name.

    Raises Unable when there is none of that name, TermsError with every mistake in it.
    """
    if not re.fullmatch(r"[\w-]{1,64}", name) or name not in names(folder):
        there = "、".join(names(folder)) or "（没有）"
        raise Unable(f"没有映射“{name}”，可用的有：{there}；新的映射写在 {folder / FOLDER} 里。")
    return terms.read(Mapping, folder / FOLDER / f"{name}.yaml")
