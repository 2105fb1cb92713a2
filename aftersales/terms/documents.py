"""A file of `config/` as it was read: plain values, the line of each, and what is wrong in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from inspect import isclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from aftersales.terms.values import Strict, nearest
from aftersales.words import Limit, Unable, trouble


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in `config/`: where, and one sentence that tells what to write instead. Line 0: the whole file."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file} 第 {self.line} 行" if self.line else self.file
        return f"{where}{' ' if self.key else ''}{self.key}：{self.text}"


class TermsError(Unable):
    """The terms cannot be used: every mistake of every file at once."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join([f"规则文件有 {len(mistakes)} 处错误，请改正后再试：", *map(str, mistakes)]))


Model = TypeVar("Model", bound=Strict)
Key = Any  # a key as YAML reads it: text, number or date
Place = tuple[Key, ...]


@dataclass(slots=True)
class Document:
    """A file as it was read: plain values, the line and the writing of each of them, and what was already wrong."""

    file: str
    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def line(self, path: Place) -> int:
        """Tell the line of a key, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def key(self, path: Place) -> str:
        """Write a path as people do: `stages.review.limit`, `staff[C07].rights[2]`; places in lists count from 1."""
        text, here = "", self.data
        for step in path:
            found = inside(here, step)
            if isinstance(here, list) and isinstance(step, int):
                name = found.get("id") if isinstance(found, dict) else None
                text += f"[{name if isinstance(name, str) else step + 1}]"
            else:
                text += f".{step}" if text else str(step)
            here = found
        return text

    def wrong(self, path: Place, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(self.file, self.line(path), self.key(path), text))


def inside(value: Any, step: Key) -> Any:
    """Take a step into a table or list; None where there is nothing."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def table_at(value: Any, *path: Key) -> dict[Any, Any]:
    """Take the table at a path; an empty one where there is none, so that a cross check never stumbles."""
    for step in path:
        value = inside(value, step)
    return value if isinstance(value, dict) else {}


def rows_at(value: Any, key: str) -> list[Any]:
    """Take the list under a key; an empty one where there is none."""
    found = inside(value, key)
    return found if isinstance(found, list) else []


def file_name(document: Document) -> str:
    """Name a file as people do."""
    return Path(document.file).name


# --- reading ---------------------------------------------------------------------------------------------------------


def parse(path: Path) -> Document:
    """Read a YAML file into plain values and remember the line of each."""
    document = Document(str(path))
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        document.wrong((), f"没有这个文件，请建立它，样子见项目自带的 config/{path.name}。")
    except UnicodeDecodeError:
        document.wrong((), "不是 UTF-8 编码的文本，请另存为 UTF-8。")
    except OSError as error:
        document.wrong((), f"读不出来（{trouble(error)}），请检查它是不是文件、有没有读取权限。")
    else:
        told = _parsed(text)
        document.data, document.lines, document.written = told.data, told.lines, told.written
        document.mistakes += [replace(mistake, file=document.file) for mistake in told.mistakes]
        if told.data is None and not told.mistakes:
            document.wrong((), f"文件是空的，请填写，样子见项目自带的 config/{path.name}。")
    return document


# the years' calendars hardly change, and are read each time that terms are
@lru_cache(maxsize=256)
def _parsed(text: str) -> Document:
    """Read YAML, of whatever file; nobody changes what this gives."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent

    document = Document("")
    try:
        # an alias may hold itself, or unfold without end
        if "*" in text and (alias := next((e for e in YAML().parse(text) if isinstance(e, AliasEvent)), None)):
            line = alias.start_mark.line + 1
            document.mistakes.append(Mistake("", line, "", "不支持 YAML 的引用（*），请把值直接写出来。"))
            return document
        root = YAML(typ="safe").compose(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).split("\n")[0]
        line = mark.line + 1 if mark else 0
        told = f"YAML 写法不对（{problem}），请检查这一行及上一行的缩进、引号、括号和半角冒号。"
        document.mistakes.append(Mistake("", line, "", told))
    else:
        if root is not None:
            document.data = _plain(root, (), document)
    return document


def _plain(node: Any, path: Place, document: Document) -> Any:
    """Turn a YAML node into plain values; a key written twice is a mistake, not a silent overwriting."""
    document.lines.setdefault(path, node.start_mark.line + 1)
    if node.id == "mapping":
        table: dict[Any, Any] = {}
        twice: list[tuple[Key, int]] = []
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            if key in table:
                twice.append((key, key_node.start_mark.line + 1))
                continue
            here = (*path, key)
            document.lines[here] = key_node.start_mark.line + 1
            table[key] = _plain(value_node, here, document)
        for key, line in twice:
            first = document.lines[(*path, key)]
            where = ".".join(str(step) for step in (*path, key))
            document.mistakes.append(
                Mistake(document.file, line, where, f"“{key}”在第 {first} 行已经写过，请只留一处。")
            )
        return table
    if node.id == "sequence":
        return [_plain(item, (*path, place), document) for place, item in enumerate(node.value)]
    document.written[path] = node.value
    return _scalar(node)


def _scalar(node: Any) -> Any:
    """Read a YAML scalar by its tag; what does not read as its tag says stays text and is refused by the model."""
    if node.id != "scalar":
        return str(node.value)
    text = node.value
    try:
        match node.tag.rsplit(":", 1)[-1]:
            case "int":
                return int(text.replace("_", ""))
            case "float":
                return float(text.replace("_", ""))
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
            case "timestamp":
                return date.fromisoformat(text)
    except ValueError:
        pass
    return text


# --- what pydantic says, in a sentence ------------------------------------------------------------------------------


def fit(model: type[Model], document: Document) -> Model | None:
    """Fit a document to its model; note every error as a sentence."""
    if document.data is None:
        if not document.mistakes:
            document.wrong((), "没有内容，请填写。")
        return None
    if not isinstance(document.data, dict):
        document.wrong(
            (), f"应当是一张表，每行写成“键: 值”（半角冒号加空格），如 {next(iter(model.model_fields))}: …。"
        )
        return None
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for one in error.errors():
            place = _place(one["loc"], document.data)
            written = None if "[key]" in one["loc"] else document.written.get(place)
            document.wrong(place, _sentence(one, model, written))
        return None


def _place(loc: tuple[int | str, ...], data: Any) -> Place:
    """Find the path that pydantic means: it writes a date key by its repr, and marks a wrong key by one more step."""
    path: list[Key] = []
    for step in loc:
        if step == "[key]":
            break
        if isinstance(data, dict) and step not in data:
            step = next((key for key in data if step in (str(key), repr(key))), step)
        path.append(step)
        data = inside(data, step)
    return tuple(path)


def _sentence(error: Mapping[str, Any], model: type[Strict], written: str | None) -> str:
    """Say what is wrong and what to write instead; `written` is a scalar as it stands in the file."""
    loc, value = error["loc"], error["input"]
    shown = "一张表" if isinstance(value, dict) else "一个列表" if isinstance(value, list) else f"“{written or value}”"
    match error["type"]:
        case "value_error":  # ours, already a sentence
            return str(error["ctx"]["error"])
        case "missing":
            return f"缺少“{loc[-1]}”，请补上，写成 {loc[-1]}: {example(_shape(model, loc))}。"
        case "extra_forbidden":
            known = list(_shape(model, loc[:-1]).model_fields)
            return f"没有“{loc[-1]}”这一项，{nearest(str(loc[-1]), known)}；多余的请删去。"
        case "literal_error":
            allowed = get_args(_shape(model, loc))
            near = get_close_matches(str(value), allowed, n=1)
            return f"{shown}不在可选值中，请写成 {' 或 '.join(near or allowed)}。"
        case "greater_than_equal":
            return f"{value} 太小，请写成不小于 {error['ctx']['ge']} 的整数。"
        case "less_than_equal":
            return f"{value} 太大，请写成不大于 {error['ctx']['le']} 的整数。"
    shape = _shape(model, loc)
    if value is None:
        return f"没有填值，请写成{_expected(shape)}。"
    if shape is str and not isinstance(value, dict | list):
        return f'{shown}会被读成数字、日期或是非，请加引号写成 "{written or value}"。'
    return f"{shown}用在这里不对，请写成{_expected(shape)}。"


def _shape(model: type[Strict], loc: tuple[int | str, ...]) -> Any:
    """Find what the models want at a place."""
    shape: Any = model
    for step in loc:
        if isclass(shape) and issubclass(shape, BaseModel):
            field_info = shape.model_fields.get(str(step))
            shape = field_info.annotation if field_info else None
        elif get_origin(shape) is dict:
            wrong_key = loc[-1] == "[key]" and step == loc[-2]
            shape = get_args(shape)[0 if wrong_key else 1]
        elif get_origin(shape) is list:
            shape = get_args(shape)[0]
        shape = _bare(shape)
    return shape


def _bare(shape: Any) -> Any:
    """Take a type out of its annotations and of “or nothing”."""
    if get_origin(shape) is Annotated:
        return _bare(get_args(shape)[0])
    if get_origin(shape) in (Union, UnionType):
        return _bare(next(arg for arg in get_args(shape) if arg is not NoneType))
    return shape


def _expected(shape: Any) -> str:
    """Name what is wanted, with an example."""
    if get_origin(shape) is Literal:
        return f" {example(shape)}"
    if get_origin(shape) is list:
        return f"列表，如 {example(shape)}"
    if get_origin(shape) is dict or (isclass(shape) and issubclass(shape, BaseModel)):
        return f"一张表，如 {example(shape)}"
    if shape is str:
        return "文字"
    names = {bool: "是非", int: "整数", date: "日期", Limit: "时限", Decimal: "金额"}
    return f"{names.get(shape, '')}，如 {example(shape)}"


def example(shape: Any) -> str:
    """Show how a value is written."""
    if get_origin(shape) is Literal:
        return " 或 ".join(get_args(shape))
    if get_origin(shape) is list:
        return f"[{example(_bare(get_args(shape)[0]))}, …]"
    if get_origin(shape) is dict:
        key, value = map(_bare, get_args(shape))
        return f"{{{example(key)}: {example(value)}}}"
    if isclass(shape) and issubclass(shape, BaseModel):
        needed = {k: f for k, f in shape.model_fields.items() if f.is_required()}
        return f"{{{', '.join(f'{k}: {example(_bare(f.annotation))}' for k, f in needed.items())}}}"
    examples = {bool: "true 或 false", int: "7", str: "文字", date: "2026-01-01", Limit: "3 wd", Decimal: '"12.00"'}
    return examples.get(shape, "…")
