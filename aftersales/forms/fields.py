"""
The kinds of field a form is made of.

A kind says three things at once, so that they cannot drift apart: how an answer is read in Python, how it is drawn
and limited in the JSON schema (which Prefect's server enforces before a run resumes), and how the limit is told in
Chinese (`rule`), because the server's own refusal is English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from aftersales.words import FEN, UNSEEN, Named

Options = Mapping[str, Sequence[str] | Mapping[str, str]]
"""What a drop-down offers, by field name: labels, or code → label."""

MONEY = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
MOST_ROWS = 500
MOST_UNITS = 999_999
# Tab and line feed are text; every other control character is refused (one NUL spoils a whole commit, and JSONB).
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f"
_HAS_CONTROL = re.compile(f"[{_CONTROL}]")


class Kind:
    """What one field holds."""

    free = False
    """True for free text, in which people write phone numbers: steps scrub it before it is stored (GEN-10)."""
    is_drop_down = False
    """True where the form shows what may be chosen, so that the description need not."""

    @property
    def rule(self) -> str:
        """What to write, in Chinese, as said in the field's description and in every refusal."""
        raise NotImplementedError

    def read(self, value: Any, offered: Mapping[str, str] | None) -> Any:
        """Turn an answer into its stored value. Raises ValueError with the sentence that says what to write."""
        raise NotImplementedError

    def draw(self, offered: Mapping[str, str] | None) -> dict[str, Any]:
        """Describe the field as JSON schema."""
        raise NotImplementedError

    def show(self, value: Any, offered: Mapping[str, str] | None) -> Any:
        """Turn a stored value into what the form shows; None when the form cannot show it."""
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, info: ValidationInfo) -> Any:
            options = (info.context or {}).get("options", {})
            return self.read(value, offer(self, options.get(info.field_name)))

        return core_schema.with_info_plain_validator_function(read)


def offer(kind: Kind, options: Sequence[str] | Mapping[str, str] | None) -> dict[str, str] | None:
    """Bring what a drop-down offers into the form code → label."""
    if options is None:
        return None
    if isinstance(options, Mapping):
        return {str(code): label for code, label in options.items()}
    return {kind.code(label) if isinstance(kind, Option) else label: label for label in options}


def clean(value: Any) -> str:
    """Trim a text and refuse what no keyboard writes. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("请填写文字")
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if _HAS_CONTROL.search(text):
        raise ValueError("含有不可见的控制字符，请删去后重填")
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: cannot be stored
        raise ValueError("含有无法保存的字符，请删去后重填") from None
    return text


def seen(text: str) -> str:
    """What people see of a text: blanks around it, and characters without any width, are nothing."""
    return re.sub(f"[{UNSEEN}]", "", text).strip()


@dataclass(frozen=True)
class Text(Kind):
    """Free text of one or several lines."""

    most: int = 500
    least: int = 0
    free = True

    @property
    def rule(self) -> str:
        size = f"{self.least}～{self.most} 字" if self.least else f"最多 {self.most} 字"
        return f"{size}，不含控制字符"

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> str:
        text = seen(clean(value))
        if not self.least <= len(text) <= self.most:
            raise ValueError(f"请填写{self.rule}")
        return text

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.most, "pattern": self._pattern(self.least)}

    def demanded(self) -> dict[str, Any]:
        """Describe the field where a rule makes it required."""
        return {"pattern": self._pattern(max(1, self.least))}

    @staticmethod
    def _pattern(least: int) -> str:
        # What nobody sees does not count, as in `read`: otherwise two spaces would be a reason.
        allowed, solid = f"[^{_CONTROL}]", rf"[^\s{_CONTROL}{UNSEEN}]"
        if least == 0:
            return f"^{allowed}*$"
        if least == 1:
            return f"^{allowed}*{solid}{allowed}*$"
        return rf"^\s*{solid}{allowed}{{{least - 2},}}{solid}\s*$"


@dataclass(frozen=True)
class Code(Kind):
    """Text of one shape: a number of an order, a case, a parcel."""

    shape: str
    rule_: str
    most: int = 64
    optional: bool = False
    upper: bool = False

    @property
    def rule(self) -> str:
        return self.rule_

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> str:
        text = clean(value)
        if self.optional and not text:
            return ""
        if not self.fits(text):
            raise ValueError(f"请填写{self.rule}")
        return text.upper() if self.upper else text

    def fits(self, text: str) -> bool:
        """Whether a text is of this shape, as it is."""
        return len(text) <= self.most and re.fullmatch(self.shape, text) is not None

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        shape = f"({self.shape})?" if self.optional else f"({self.shape})"
        return {"type": "string", "maxLength": self.most, "pattern": rf"^\s*{shape}\s*$"}

    def demanded(self) -> dict[str, Any]:
        """Describe the field where a rule makes it required."""
        return {"pattern": rf"^\s*({self.shape})\s*$"}


@dataclass(frozen=True)
class Money(Kind):
    """
    An amount in CNY, written as text and a Decimal at once (MON-16).

    A JSON number could not refuse 1.234 without refusing 19.99 too.
    """

    optional: bool = False

    @property
    def rule(self) -> str:
        return "金额（元），不能为负，最多两位小数，如 19.99"

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> Decimal | None:
        if isinstance(value, Decimal) and value.is_finite():
            value = f"{value:f}"
        text = clean(value) if isinstance(value, str) else ""
        if self.optional and isinstance(value, str) and not text:
            return None
        if not re.fullmatch(MONEY, text):
            raise ValueError(f"请填写{self.rule}")
        return Decimal(text).quantize(FEN)

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"type": "string", "maxLength": 12, "pattern": f"^$|{MONEY}" if self.optional else MONEY}

    def demanded(self) -> dict[str, Any]:
        """Describe the field where a rule makes it required."""
        return {"pattern": MONEY}

    def show(self, value: Any, offered: Mapping[str, str] | None = None) -> str:
        amount = self.read(value)
        return "" if amount is None else f"{amount:.2f}"


@dataclass(frozen=True)
class Count(Kind):
    """A number of pieces, at least one."""

    @property
    def rule(self) -> str:
        return "整数，至少为 1"

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> int:
        if isinstance(value, float) and value.is_integer():  # JSON knows one kind of number
            value = int(value)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value.strip()):  # the command line knows only text
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_UNITS:
            raise ValueError(f"请填写{self.rule}")
        return value

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1, "maximum": MOST_UNITS}


@dataclass(frozen=True)
class Choice(Kind):
    """One of an enum's members, chosen by its Chinese name. `unchanged` names the choice that leaves things alone."""

    names: type[Named]
    unchanged: str = ""
    is_drop_down = True

    @property
    def labels(self) -> list[str]:
        """What the drop-down shows."""
        return ([self.unchanged] if self.unchanged else []) + [member.label for member in self.names]

    @property
    def rule(self) -> str:
        return f"选择：{'、'.join(self.labels)}"

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> Named | None:
        text = clean(value)
        if self.unchanged and text in ("", self.unchanged):
            return None
        try:
            return self.names.read(text)
        except ValueError:
            raise ValueError(f"请{self.rule}") from None

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"type": "string", "enum": self.labels}

    def demanded(self) -> dict[str, Any]:
        """Describe the field where a rule makes it required."""
        return {"enum": [member.label for member in self.names]}

    def show(self, value: Any, offered: Mapping[str, str] | None = None) -> str:
        member = self.read(value or "")
        return self.unchanged if member is None else member.label


@dataclass(frozen=True)
class Option(Kind):
    """
    One of what is known only when the form is drawn: a member of staff, a line, a reason.

    The stored value is the code: the first word of `C07 王小明`, the label itself where options have no codes.
    """

    what: str = ""
    unchanged: str = ""
    is_drop_down = True

    @property
    def rule(self) -> str:
        return self.what or "从下拉框中选择"

    def code(self, label: str) -> str:
        """Find the code in a label."""
        return label

    def read(self, value: Any, offered: Mapping[str, str] | None) -> Any:
        text = clean(value)
        if self.unchanged and text in ("", self.unchanged):
            return ""
        if offered is None:
            if not text or len(text) > 200:
                raise ValueError(f"请{self.rule}")
            return self.code(text)
        for code, label in offered.items():
            if text in (code, label):
                return code
        if (code := self.code(text)) in offered and text == code:
            return code
        raise ValueError(f"请选择：{'、'.join(offered.values()) or '（目前没有可选项）'}")

    def draw(self, offered: Mapping[str, str] | None) -> dict[str, Any]:
        if offered is None:
            return {"type": "string", "minLength": 0 if self.unchanged else 1, "maxLength": 200}
        return {"type": "string", "enum": ([self.unchanged] if self.unchanged else []) + list(offered.values())}

    def show(self, value: Any, offered: Mapping[str, str] | None) -> Any:
        try:
            code = self.read(str(value), offered)
        except ValueError:
            return None
        return self.unchanged if code == "" else (offered or {}).get(str(code), str(value))


@dataclass(frozen=True)
class StaffOption(Option):
    """A member of staff, `C07 王小明`; stored as `C07`."""

    def code(self, label: str) -> str:
        return label.split(maxsplit=1)[0] if label.strip() else label


@dataclass(frozen=True)
class LineOption(Option):
    """A line of the order, `第1行 TS-01 纯棉T恤`; stored as the line number."""

    def code(self, label: str) -> str:
        found = re.match(r"第?\s*([0-9]{1,6})(\s*行|$)", label.strip())
        return str(int(found[1])) if found else label

    def read(self, value: Any, offered: Mapping[str, str] | None) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        short = clean(value)
        if re.fullmatch(r"第\s*[0-9]{1,6}\s*行", short):  # `第1行` alone names the line too
            short = self.code(short)
        code = super().read(short, offered)
        if not code.isascii() or not code.isdigit():
            raise ValueError(f"请{self.rule}")
        return int(code)


@dataclass(frozen=True)
class VisitOption(Option):
    """A visit of a list, `17 D1 李** 新购回访`; stored as its number. Which ones are left is asked when it is recorded."""

    def code(self, label: str) -> str:
        return label.split(maxsplit=1)[0] if label.strip() else label

    def read(self, value: Any, offered: Mapping[str, str] | None) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        # what the form has shown may have been recorded since: whoever records it says so, and by whom
        code = str(super().read(value, None))
        if not code.isascii() or not code.isdigit() or len(code) > 18:
            raise ValueError("请从下拉框中选择回访对象，或填写回访编号，如 17")
        return code


@dataclass(frozen=True)
class Texts(Kind):
    """A list of free texts; empty ones are left out."""

    each: Text = field(default_factory=Text)
    most: int = 20
    free = True

    @property
    def rule(self) -> str:
        return f"最多 {self.most} 条，每条{self.each.rule}，空行请删除"

    def read(self, value: Any, offered: Mapping[str, str] | None = None) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError("请填写成列表")
        if len(value) > self.most:
            raise ValueError(f"请填写{self.rule}")
        return tuple(dict.fromkeys(text for item in value if item is not None and (text := self.each.read(item))))

    def draw(self, offered: Mapping[str, str] | None = None) -> dict[str, Any]:
        return {"type": "array", "items": self.each.draw(), "maxItems": self.most}

    def show(self, value: Any, offered: Mapping[str, str] | None = None) -> list[str]:
        return list(value)


@dataclass(frozen=True)
class Rows:
    """A list of rows, each a small model of its own; no Kind, for pydantic reads the rows one by one."""

    least: int = 0
    most: int = MOST_ROWS

    @property
    def rule(self) -> str:
        """What to write, in Chinese."""
        return "至少一行，空行请删除" if self.least else "空行请删除"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def sized(value: Any) -> Any:
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise ValueError("请填写成列表")
            rows = tuple(row for row in value if row is not None)
            if not self.least <= len(rows) <= self.most:
                raise ValueError("请至少填写一行" if len(rows) < self.least else f"最多 {self.most} 行")
            return rows

        return core_schema.no_info_before_validator_function(sized, handler(source))
