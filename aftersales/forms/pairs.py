"""
Answers typed on the command line: `decision=approve missing=发票,照片 items=第1行:2:可再销售:质量问题`.

A field goes by its name or its Chinese title. A comma (`,` or `，`) separates the entries of a list, a colon the
columns of a row, in the form's order; a key may be repeated to add to a list; `\\,` and `\\:` are meant literally.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aftersales.forms.base import Form, Misfilled, fields, row_of
from aftersales.forms.fields import Rows, Texts


def from_pairs(form: type[Form], pairs: Iterable[str]) -> dict[str, Any]:
    """
    Turn `key=value` words into an answer that `read` can check.

    The gate and the operator are not asked for: the command knows the first, `--as` says the second.
    Raises Misfilled.
    """
    known = {name: (found, kind) for name, found, kind in fields(form) if name not in ("gate", "operator")}
    names = {found.title: name for name, (found, _) in known.items()} | {name: name for name in known}
    answer: dict[str, Any] = {}
    for pair in pairs:
        word, equals, value = pair.partition("=")
        word = word.strip()
        if not equals:
            raise Misfilled(f"“{word}”没有写成“项目=内容”，请写成例如 {_example(form)}。")
        if word in ("operator", "操作人"):
            raise Misfilled("操作人请用 --as 工号 指定，不写在项目里。")
        if word not in names:
            allowed = "、".join(f"{name}（{found.title}）" for name, (found, _) in known.items())
            raise Misfilled(f"{form.title}没有“{word}”这一项，可以填写：{allowed}。")
        name = names[word]
        found, kind = known[name]
        if isinstance(kind, Rows):
            answer.setdefault(name, []).extend(_row(found, text) for text in _split(value, ",，") if text)
        elif isinstance(kind, Texts):
            answer.setdefault(name, []).extend(_plain(text) for text in _split(value, ",，") if text)
        elif name in answer:
            raise Misfilled(f"{found.title}写了两次，请只写一次。")
        else:
            answer[name] = value
    return answer


def _row(found: Any, text: str) -> dict[str, str]:
    row = row_of(found)
    titles = [f.title or n for n, f, _ in fields(row)]
    cells = [_plain(cell) for cell in _split(text, ":：")]
    if len(cells) > len(titles):
        raise Misfilled(f"{found.title}的一行有 {len(cells)} 项，应写成：{':'.join(titles)}，行与行之间用逗号分开。")
    return {name: cell for (name, _, _), cell in zip(fields(row), cells, strict=False) if cell}


def _example(form: type[Form]) -> str:
    return next(f"{name}=…（{found.title}）" for name, found, _ in fields(form) if name not in ("gate", "operator"))


def _split(text: str, separators: str) -> list[str]:
    """Cut at separators that no backslash protects; the backslashes stay for the next cut."""
    return [part.strip() for part in re.split(rf"(?<!\\)[{separators}]", text)]


def _plain(text: str) -> str:
    return re.sub(r"\\([,，:：])", r"\1", text)
