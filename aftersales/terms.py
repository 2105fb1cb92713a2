"""
The shape of `config/*.yaml`, and the only code that reads it (GEN-07).

Strict models: unknown keys, bare numbers and wrong units fail.
`load` finds every mistake in every file at once; each is one sentence with file, line, key and what to write instead.
A case keeps the terms it was opened under, found again by the hash of their content (`fingerprint`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from hashlib import sha256
from inspect import isclass
from pathlib import Path
from string import Formatter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
)

from aftersales import followup_terms
from aftersales.followup_terms import Followup
from aftersales.survey_terms import Survey
from aftersales.term_values import Clock, Code, LimitText, Promised, Strict, Text, minutes, read_limit
from aftersales.words import (
    FOLLOWING_UP,
    LADDER_NOTICE,
    NOTICES,
    Fault,
    Limit,
    Right,
    Staff,
    Stage,
    Unable,
    VisitKind,
    trouble,
)

CONFIG = Path("config")

FILES = (
    "house.yaml",
    "staff.yaml",
    "returns.yaml",
    "notices.yaml",
    "escalation.yaml",
    "followup.yaml",
    "survey.yaml",
    "selfservice.yaml",
)

# what AMB-09 and AMB-20 allow, but nothing does yet: better refused than silently without effect
NOT_YET = (("review_on_timeout", "auto_approve", "escalate"), ("choose_route", True, "false"))

# the stages of a return that wait for somebody: each needs a promise
WAITING = tuple(
    stage for stage in Stage if not stage.is_over and stage is not Stage.OPENED and stage not in FOLLOWING_UP
)

# what has a ladder of notices: those stages, and the limit of the whole return
CLIMBING = (*(stage.value for stage in WAITING), "outer")

# rights without which a case would stop for ever at a form with nobody to choose
NEEDED_RIGHTS = (
    Right.APPLY,
    Right.REVIEW,
    Right.PICKUP,
    Right.RECEIVE,
    Right.INSPECT,
    Right.APPROVE_EXCEPTION,
    Right.COUNTERSIGN,
    Right.REFUND,
    Right.VISIT,
    Right.REVISIT,
    Right.SUPERVISE,
)


# --- values ---------------------------------------------------------------------------------------------------------


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
        raise ValueError(f"没有权限“{value}”，{_nearest(value, known)}。")
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
    quiet_hours(value)
    return value


def quiet_hours(text: str) -> tuple[int, int]:
    """
    Read `22:00-08:00` into minutes of the day; the end may lie on the next day.

    Raises ValueError with the sentence that tells how to write it.
    """
    begins, dash, ends = (part.strip() for part in text.partition("-"))
    if not dash:
        raise ValueError(f'“{text}”不是静默时段，请写成 "22:00-08:00" 这样，可以过午夜。')
    if begins == ends:
        raise ValueError(f'静默时段“{text}”的起止相同，请写成 "22:00-08:00" 这样；不需要静默时写 null。')
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


def _nearest(word: str, known: list[str]) -> str:
    """Say which of the known words was probably meant, else which there are."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"是不是想写“{near[0]}”" if near else f"可写：{'、'.join(known)}"


Amount = Annotated[Decimal, BeforeValidator(_amount), PlainSerializer(lambda v: f"{v:.2f}")]
WallLimit = Annotated[Limit, BeforeValidator(read_limit), AfterValidator(_wall_limit), PlainSerializer(str)]
StaffId = Annotated[str, AfterValidator(_staff_id)]


# --- the files ------------------------------------------------------------------------------------------------------


class Department(Strict):
    """A department: its Chinese name and the staff id of its head."""

    name: Text
    head: Text


class House(Strict):
    """The house: language, time, departments (GEN-01 to GEN-05)."""

    language: Literal["zh", "en"]
    timezone: Annotated[str, AfterValidator(_zone_name)]
    currency: Annotated[str, AfterValidator(_currency)]
    wd_deadline: Literal["end_of_day", "same_time"]
    makeup_days_count: bool
    service_hours: Annotated[str, AfterValidator(_service_hours)]
    departments: dict[Code, Department]
    aftersales_manager: Text


class Person(Strict):
    """One line of `staff.yaml`."""

    id: StaffId
    name: Text
    department: Text
    team: str = ""
    role: Text
    rights: list[Annotated[str, AfterValidator(_right)]]
    refund_limit: Amount | None = None


class StaffList(Strict):
    """`staff.yaml`."""

    staff: list[Person]


class Reason(Strict):
    """A reason a customer may give: its Chinese label, whose fault it is, whether evidence is asked for."""

    label: Text
    fault: Literal["seller", "customer"]
    evidence: bool = False


class ChannelRules(Strict):
    """What a channel's own platform rules put in the place of the shop's (POL-07); what is left out stays the shop's."""

    free_until_day: int | None = Field(default=None, ge=0)
    freight_until_day: int | None = Field(default=None, ge=0)
    after_last_day: Literal["manual", "refuse", "charge"] | None = None
    pickup_freight: Amount | None = None
    late_freight: Amount | None = None
    storage_per_day: Amount | None = None
    review: LimitText | None = None


class Returns(Strict):
    """`returns.yaml`: windows, owners, fees, reasons and switches of a return (POL, RET, MON, AMB)."""

    stages: dict[str, Promised]
    outer: Promised
    revisit: Promised
    refund_bound: LimitText
    review_on_timeout: Literal["escalate", "auto_approve"]
    age_counts_from: Literal["receipt", "purchase"]
    free_until_day: int = Field(ge=0)
    freight_until_day: int = Field(ge=0)
    after_last_day: Literal["manual", "refuse", "charge"]
    pickup_freight: Amount
    late_freight: Amount
    late_freight_when_self_shipped: bool
    storage_per_day: Amount
    selfship_freight_limit: Amount
    second_approval_above: Amount | None
    payment_routes: list[Text]
    choose_route: bool
    partial_refunds: int = Field(ge=0)
    refund_days: int = Field(ge=0)
    selfship_grace: LimitText
    question_reminder: LimitText
    quality_sample: int = Field(ge=0, le=100)
    reasons: dict[Code, Reason]
    categories: dict[str, Literal["standard", "unopened", "manual"]]
    channels: dict[str, ChannelRules] = Field(default_factory=dict)

    def on(self, channel: str) -> Returns:
        """The terms of a channel: the shop's, with what the channel's platform rules replace (POL-07)."""
        rules = self.channels.get(channel)
        if rules is None:
            return self
        # the values themselves: a dump would give amounts and limits as text
        own = {name: value for name in ChannelRules.model_fields if (value := getattr(rules, name)) is not None}
        if limit := own.pop("review", None):
            own["stages"] = {**self.stages, "review": self.stages["review"].model_copy(update={"limit": limit})}
        return self.model_copy(update=own)

    def fault(self, reason: str) -> Fault:
        """Whose fault a reason is."""
        return Fault(self.reasons[reason].fault)


class Calendar(Strict):
    """A year's days off with their names, and the weekend days that are worked instead (GEN-02, AMB-11)."""

    year: int
    days_off: dict[date, Text]
    makeup_workdays: dict[date, Text]


class Sending(Strict):
    """How notices are sent: what failed is tried again, each time after twice as long, until it is given up."""

    retry_after: WallLimit
    retry_at_most: WallLimit
    give_up_after: WallLimit
    digest_above: int = Field(ge=1)
    # by department, or `customer`; staff keep the hours of their department
    quiet: dict[str, Annotated[str, AfterValidator(_quiet)] | None]


class Notices(Strict):
    """`notices.yaml`: how notices are sent, and after how long one is no longer worth sending (NUM-224); null: never."""

    sending: Sending
    expires: dict[str, LimitText | None]


class Notice(Strict):
    """A notice in one language: subject, body, a shorter text for SMS, and after how long it is not worth sending."""

    subject: str
    body: str
    short: str = ""
    expires: LimitText | None = None

    def render(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Fill in the placeholders. Raises KeyError for one that is not given."""
        return self.subject.format_map(values), self.body.format_map(values)

    def render_short(self, values: Mapping[str, str]) -> str:
        """Fill in the placeholders of the text for SMS; empty when the body is short enough."""
        return self.short.format_map(values)


class Reminder(Strict):
    """When whoever has something is reminded of it: in per cent of a window of time, or at an hour of its last day."""

    notice: Text
    rule: Text
    of_hours: int = Field(ge=1, le=99)
    on_last_day: Clock


class Rung(Strict):
    """One rung of a ladder: how long after the window has passed, who is told, and by which notice."""

    name: Code
    after: LimitText | None = None
    rule: Text
    notice: Text
    tell: list[Literal["owner", "head", "manager", "customer"]] = Field(min_length=1)


class Escalation(Strict):
    """`escalation.yaml`: who is told before and after a window passes (ESC-04, ESC-05, ESC-08, ESC-09)."""

    reminder: Reminder
    ladders: dict[Code, list[Rung]]
    returns: dict[str, str | None]
    followup: dict[str, str | None]

    @property
    def notices(self) -> set[str]:
        """Every notice that time alone tells."""
        return {self.reminder.notice, *(rung.notice for rungs in self.ladders.values() for rung in rungs)}

    def ladder(self, stage: str) -> list[Rung] | None:
        """The rungs of a stage; None where nobody of the house is late."""
        name = self.returns.get(stage) or self.followup.get(stage)
        return self.ladders[name] if name else None


class Allowance(Strict):
    """How often somebody may do something in so long."""

    at_most: int = Field(ge=1)
    within: WallLimit


class Photos(Strict):
    """What a customer may hand in as photos: how many, how large, and how large we keep them."""

    at_most: int = Field(ge=1, le=20)
    megabytes: int = Field(ge=1, le=20)
    megapixels: int = Field(ge=1, le=100)
    longest_side: int = Field(ge=400, le=8000)


class English(Strict):
    """What the English page calls the words of `returns.yaml`; what is not named is shown as it is there."""

    reasons: dict[Code, Text] = Field(default_factory=dict)
    payment_routes: dict[str, Text] = Field(default_factory=dict)


class SelfService(Strict):
    """`selfservice.yaml`: what a customer may see and do on their page (SLF-01 to SLF-03, AMB-47)."""

    require_both: bool
    session: WallLimit
    searches_per_address: Allowance
    searches_per_order: Allowance
    applications_per_order: Allowance
    photos: Photos
    english: English


class Terms(Strict):
    """Everything a case is judged by, and what is told about it."""

    house: House
    staff_list: StaffList
    returns: Returns
    calendars: dict[int, Calendar]
    notices: dict[str, Notice] = Field(default_factory=dict)
    sending: Sending
    escalation: Escalation
    followup: Followup
    survey: Survey
    selfservice: SelfService

    def promised(self, gate: str, *, channel: str = "") -> Promised:
        """What is promised at a gate, by the rules of a channel where it has some of its own (POL-07)."""
        return self.followup.stages.get(gate) or self.returns.on(channel).stages[gate]

    def staff(self) -> Mapping[str, Staff]:
        """Everybody by staff id."""
        return {
            p.id: Staff(
                p.id, p.name, p.department, p.role, p.team, frozenset(Right(r) for r in p.rights), p.refund_limit
            )
            for p in self.staff_list.staff
        }

    def who_may(self, right: Right, department: str | None = None) -> list[Staff]:
        """Those who have a right, in a department when one is named."""
        return [s for s in self.staff().values() if right in s.rights and department in (None, s.department)]


# --- the terms of a case --------------------------------------------------------------------------------------------

# who works here and in which language we speak does not change how a case is judged
NOT_JUDGING = {"language", "departments", "aftersales_manager"}


def dump(terms: Terms) -> dict[str, Any]:
    """
    Give the part of the terms that a case is judged by, as JSON: the house's rules and `returns.yaml` (GEN-07).

    Staff, departments and language are left out: a case opened last week is decided by today's people.
    Calendars are left out too: when a year's data arrives, provisional due times are counted again.
    """
    return {
        "house": terms.house.model_dump(mode="json", exclude=NOT_JUDGING),
        "returns": terms.returns.model_dump(mode="json"),
    }


def fingerprint(terms: Terms) -> str:
    """Tell the version of the terms: the SHA-256 of what `dump` gives, as canonical JSON (GEN-07)."""
    return sha256(
        json.dumps(dump(terms), sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


def restore(document: Mapping[str, Any], *, live: Terms) -> Terms:
    """
    Read stored terms again: the rules of then, with the people, language and calendars of now (GEN-07).

    A key or stage that did not exist when the document was stored has today's value, one that no longer exists is
    left out, so that a release that adds or drops a term does not brick the cases opened before it.
    """
    house = live.house.model_dump(mode="json")
    returns = live.returns.model_dump(mode="json")
    stored = {k: v for k, v in document["returns"].items() if k in returns}
    stored["stages"] = returns["stages"] | {k: v for k, v in stored["stages"].items() if k in returns["stages"]}
    return Terms(
        house=House.model_validate(house | {k: v for k, v in document["house"].items() if k in house}),
        staff_list=live.staff_list,
        returns=Returns.model_validate(returns | stored),
        calendars=live.calendars,
        notices=live.notices,
        sending=live.sending,
        escalation=live.escalation,
        followup=live.followup,
        survey=live.survey,
        selfservice=live.selfservice,
    )


# --- mistakes -------------------------------------------------------------------------------------------------------


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
class _Document:
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
            inside = _inside(here, step)
            if isinstance(here, list) and isinstance(step, int):
                name = inside.get("id") if isinstance(inside, dict) else None
                text += f"[{name if isinstance(name, str) else step + 1}]"
            else:
                text += f".{step}" if text else str(step)
            here = inside
        return text

    def wrong(self, path: Place, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(self.file, self.line(path), self.key(path), text))


def _inside(value: Any, step: Key) -> Any:
    """Take a step into a table or list; None where there is nothing."""
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _table(value: Any, *path: Key) -> dict[Any, Any]:
    """Take the table at a path; an empty one where there is none, so that a cross check never stumbles."""
    for step in path:
        value = _inside(value, step)
    return value if isinstance(value, dict) else {}


# --- reading --------------------------------------------------------------------------------------------------------


def load(folder: Path = CONFIG) -> Terms:
    """
    Read the terms: the files of `FILES`, and `calendars/*.yaml`.

    Raises TermsError with every mistake of every file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TermsError([Mistake(str(folder), 0, "", "没有这个文件夹，请在项目的根目录运行，那里有 config/。")])
    documents = [_read(folder / name) for name in FILES]
    house_file, staff_file, returns_file, notices_file, escalation_file, *others = documents
    followup_file, survey_file, selfservice_file = others
    years = [_read(path) for path in sorted((folder / "calendars").glob("*.y*ml"))]

    house = _fit(House, house_file)
    staff = _fit(StaffList, staff_file)
    returns = _fit(Returns, returns_file)
    told = _fit(Notices, notices_file)
    escalation = _fit(Escalation, escalation_file)
    followup = _fit(Followup, followup_file)
    survey = _fit(Survey, survey_file)
    selfservice = _fit(SelfService, selfservice_file)
    calendars = [_fit(Calendar, year) for year in years]
    # on the plain values, so that a mistake in one key does not hide those that need two
    _check_people(house_file, staff_file)
    _check_countersigners(staff_file, returns_file)
    _check_returns(returns_file, house_file)
    _check_channels(returns_file)
    _check_survey(survey_file, house_file)
    _check_ladders(escalation_file, notices_file)
    _check_quiet(notices_file, house_file)
    _check_selfservice(selfservice_file, returns_file)
    _check_followup(followup_file, house_file)
    for year in years:
        _check_calendar(year)
    language = house.language if house else "zh"
    notices = _notices(folder / "notices", language, told, notices_file) if told else {}

    if mistakes := [
        m for document in [*documents, *years] for m in sorted(document.mistakes, key=lambda mistake: mistake.line)
    ]:
        raise TermsError(mistakes)
    # what did not fit has left a mistake
    assert house and staff and returns and told and escalation and followup and survey and selfservice
    return Terms(
        house=house,
        staff_list=staff,
        returns=returns,
        calendars={c.year: c for c in calendars if c},
        notices=notices,
        sending=told.sending,
        escalation=escalation,
        followup=followup,
        survey=survey,
        selfservice=selfservice,
    )


def _notices(folder: Path, language: str, told: Notices, document: _Document) -> dict[str, Notice]:
    """
    Read the words of every notice: `zh/NTC-01.txt`; the first line is the subject, what follows `---` the short text.

    All languages are looked at, so that another choice of language finds no mistake.
    """
    for name in NOTICES:
        if name not in told.expires:
            document.wrong(
                ("expires",), f"缺少通知“{name}”，请补上一行 {name}: 24 h（多久以后不必再发；null 为总要发）。"
            )
    found = {}
    languages = (
        {language, *(each.name for each in folder.iterdir() if each.is_dir())} if folder.is_dir() else {language}
    )
    for each in sorted(languages):
        for name, expires in told.expires.items():
            words = _words(folder / each / f"{name}.txt", name, document)
            if words and each == language:
                found[name] = words.model_copy(update={"expires": expires})
    return found


def _words(path: Path, name: str, document: _Document) -> Notice | None:
    """Read one template; what is wrong with it is noted at its line in `notices.yaml`."""
    try:
        subject, _, rest = path.read_text("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        document.wrong(("expires", name), f"读不到通知模板 {path}，请补上该文件（UTF-8，第一行为标题）。")
        return None
    body, line, short = rest.partition("\n---\n")
    if not subject.strip() or not body.strip() or (line and not short.strip()):
        document.wrong(
            ("expires", name),
            f"通知模板 {path} 不完整，第一行写标题，其后写正文；有短信文字的，写在单独一行 --- 之后。",
        )
        return None
    try:
        fields = [part[1:] for part in Formatter().parse(subject + rest) if part[1] is not None]
    except ValueError:
        document.wrong(("expires", name), f"通知模板 {path} 的花括号不成对，请写成 {{case_no}} 这样。")
        return None
    known = sorted(NOTICES.get(name, LADDER_NOTICE))
    for field_name, spec, conversion in fields:
        if field_name not in known or spec or conversion:
            near = _nearest(f"{{{field_name}}}", [f"{{{each}}}" for each in known])
            document.wrong(("expires", name), f"通知模板 {path} 的 {{{field_name}}} 没有内容可填，{near}。")
            return None
    return Notice(subject=subject.strip(), body=body.strip(), short=short.strip())


def read(model: type[Model], path: Path) -> Model:
    """
    Read one file of `config/` that stands apart from the terms, such as a mapping of an import.

    Raises TermsError with every mistake in it.
    """
    document = _read(path)
    fitted = _fit(model, document)
    if document.mistakes or fitted is None:
        raise TermsError(document.mistakes)
    return fitted


def _read(path: Path) -> _Document:
    """Read a YAML file into plain values and remember the line of each."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import AliasEvent

    document = _Document(str(path))
    try:
        text = path.read_text("utf-8-sig")
        # an alias may hold itself, or unfold without end
        if "*" in text and (alias := next((e for e in YAML().parse(text) if isinstance(e, AliasEvent)), None)):
            line = alias.start_mark.line + 1
            document.mistakes.append(Mistake(document.file, line, "", "不支持 YAML 的引用（*），请把值直接写出来。"))
            return document
        root = YAML(typ="safe").compose(text)
    except FileNotFoundError:
        document.wrong((), f"没有这个文件，请建立它，样子见项目自带的 config/{path.name}。")
    except UnicodeDecodeError:
        document.wrong((), "不是 UTF-8 编码的文本，请另存为 UTF-8。")
    except OSError as error:
        document.wrong((), f"读不出来（{trouble(error)}），请检查它是不是文件、有没有读取权限。")
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        problem = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).split("\n")[0]
        line = mark.line + 1 if mark else 0
        told = f"YAML 写法不对（{problem}），请检查这一行及上一行的缩进、引号、括号和半角冒号。"
        document.mistakes.append(Mistake(document.file, line, "", told))
    else:
        if root is None:
            document.wrong((), f"文件是空的，请填写，样子见项目自带的 config/{path.name}。")
        else:
            document.data = _plain(root, (), document)
    return document


def _plain(node: Any, path: Place, document: _Document) -> Any:
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


def _fit(model: type[Model], document: _Document) -> Model | None:
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
        data = _inside(data, step)
    return tuple(path)


def _sentence(error: Mapping[str, Any], model: type[Strict], written: str | None) -> str:
    """Say what is wrong and what to write instead; `written` is a scalar as it stands in the file."""
    loc, value = error["loc"], error["input"]
    shown = "一张表" if isinstance(value, dict) else "一个列表" if isinstance(value, list) else f"“{written or value}”"
    match error["type"]:
        case "value_error":  # ours, already a sentence
            return str(error["ctx"]["error"])
        case "missing":
            return f"缺少“{loc[-1]}”，请补上，写成 {loc[-1]}: {_example(_shape(model, loc))}。"
        case "extra_forbidden":
            known = list(_shape(model, loc[:-1]).model_fields)
            return f"没有“{loc[-1]}”这一项，{_nearest(str(loc[-1]), known)}；多余的请删去。"
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
        return f" {_example(shape)}"
    if get_origin(shape) is list:
        return f"列表，如 {_example(shape)}"
    if get_origin(shape) is dict or (isclass(shape) and issubclass(shape, BaseModel)):
        return f"一张表，如 {_example(shape)}"
    if shape is str:
        return "文字"
    names = {bool: "是非", int: "整数", date: "日期", Limit: "时限", Decimal: "金额"}
    return f"{names.get(shape, '')}，如 {_example(shape)}"


def _example(shape: Any) -> str:
    """Show how a value is written."""
    if get_origin(shape) is Literal:
        return " 或 ".join(get_args(shape))
    if get_origin(shape) is list:
        return f"[{_example(_bare(get_args(shape)[0]))}, …]"
    if get_origin(shape) is dict:
        key, value = map(_bare, get_args(shape))
        return f"{{{_example(key)}: {_example(value)}}}"
    if isclass(shape) and issubclass(shape, BaseModel):
        needed = {k: f for k, f in shape.model_fields.items() if f.is_required()}
        return f"{{{', '.join(f'{k}: {_example(_bare(f.annotation))}' for k, f in needed.items())}}}"
    examples = {bool: "true 或 false", int: "7", str: "文字", date: "2026-01-01", Limit: "3 wd", Decimal: '"12.00"'}
    return examples.get(shape, "…")


# --- what two places must agree on ----------------------------------------------------------------------------------


def _check_people(house: _Document, staff: _Document) -> None:
    """Everybody named exists, has a department, one id, and somebody has each right that a case needs (ORG-01 …)."""
    people = [p if isinstance(p, dict) else {} for p in _rows(staff.data, "staff")]
    ids = [p.get("id") for p in people]
    departments = _table(house.data, "departments")

    for place, person in enumerate(people):
        if person.get("id") is not None and person["id"] in ids[:place]:
            first = staff.line(("staff", ids.index(person["id"]), "id"))
            text = f"编号“{person['id']}”与第 {first} 行的员工重复，请换一个编号。"
            staff.wrong(("staff", place, "id"), text)
        department = person.get("department")
        if departments and isinstance(department, str) and department and department not in departments:
            text = f"{_file(house)} 没有部门“{department}”，{_nearest(department, [str(d) for d in departments])}。"
            staff.wrong(("staff", place, "department"), text)

    if not people:  # nobody that is named could be found
        if isinstance(staff.data, dict) and staff.data.get("staff") == []:
            staff.wrong(("staff",), f"没有员工，请至少写一名，如 - {_example(Person)}。")
        return
    named: list[tuple[Place, Any]] = [
        (("departments", code, "head"), _table(d).get("head")) for code, d in departments.items()
    ]
    named += [(("aftersales_manager",), _inside(house.data, "aftersales_manager"))]
    for path, person_id in named:
        if isinstance(person_id, str) and person_id and person_id not in ids:
            text = f"{_file(staff)} 没有编号为“{person_id}”的员工，请写已有的编号，或先在那里加上。"
            house.wrong(path, text)
    held = {right for p in people for right in _rows(p, "rights") if isinstance(right, str)}
    for right in NEEDED_RIGHTS:
        if right.value not in held:
            text = f"没有人有“{right.label}”的权限，请至少给一名员工的 rights 加上 {right.value}。"
            staff.wrong(("staff",), text)


def _check_countersigners(staff: _Document, returns: _Document) -> None:
    """Whoever approves does not countersign: one person with both rights alone would stop a case for ever (RFD-02)."""
    if _inside(returns.data, "second_approval_above") is None:
        return
    owner = _table(returns.data, "stages", "countersign").get("owner")
    people = [p for p in _rows(staff.data, "staff") if isinstance(p, dict) and p.get("department") == owner]
    agreeing = [p for p in people if Right.COUNTERSIGN.value in _rows(p, "rights")]
    approving = {Right.REVIEW.value, Right.APPROVE_EXCEPTION.value}
    if len(agreeing) == 1 and approving & {right for right in _rows(agreeing[0], "rights") if isinstance(right, str)}:
        text = (
            f"只有 {agreeing[0].get('id')} 一人能复核退款，而此人也能审批：审批过的单就没有人复核了，"
            f"请给 {owner} 的另一名员工的 rights 加上 {Right.COUNTERSIGN.value}。"
        )
        staff.wrong(("staff",), text)


def _check_returns(returns: _Document, house: _Document) -> None:
    """Each waiting stage has a promise, each promise an owner, the age bands follow each other (AMB-15)."""
    stages = _table(returns.data, "stages")
    _check_stages(returns, house, "退货", WAITING, (("outer",), ("revisit",)))

    closes, reminds = _table(stages, "question").get("limit"), _inside(returns.data, "question_reminder")
    with suppress(ValueError):  # what is no limit is told elsewhere
        ends, first = Limit.parse(str(closes)), Limit.parse(str(reminds))
        if ends.unit is first.unit and first.amount >= ends.amount:
            text = f"{first} 不短于 stages.question 的 {ends}，请写更短的时间：先提醒客户，后结案。"
            returns.wrong(("question_reminder",), text)

    free, freight = _inside(returns.data, "free_until_day"), _inside(returns.data, "freight_until_day")
    if type(free) is int and type(freight) is int and not free < freight:
        text = f"{freight} 不大于 free_until_day 的 {free}，请写更大的天数，如 {free + 23}。"
        returns.wrong(("freight_until_day",), text)

    labels: dict[str, Key] = {}
    for code, reason in _table(returns.data, "reasons").items():
        label = _table(reason).get("label")
        if isinstance(label, str) and labels.setdefault(label, code) != code:
            text = f"名称“{label}”与 {labels[label]} 的相同，请换一个，否则表单里分不清。"
            returns.wrong(("reasons", code, "label"), text)
    for key, value, instead in NOT_YET:
        if _inside(returns.data, key) == value:
            returns.wrong((key,), f"{str(value).lower()} 目前还不支持，请写 {instead}。")
    for key, what in (("reasons", "退货原因"), ("payment_routes", "付款方式")):
        if _inside(returns.data, key) in ({}, []):
            returns.wrong((key,), f"一个{what}也没有，请至少写一个。")


def _check_survey(survey: _Document, house: _Document) -> None:
    """Whoever asks by phone is a department that there is."""
    departments = _table(house.data, "departments")
    owner = _table(survey.data).get("owner")
    if departments and isinstance(owner, str) and owner and owner not in departments:
        text = f"{_file(house)} 没有部门“{owner}”，{_nearest(owner, [str(d) for d in departments])}。"
        survey.wrong(("owner",), text)


def _check_stages(
    document: _Document, house: _Document, process: str, waiting: Sequence[Stage], others: Sequence[Place] = ()
) -> None:
    """Each waiting stage of a process has a promise, each promise (`others` too) an owner that there is."""
    departments = _table(house.data, "departments")
    stages = _table(document.data, "stages")
    known = [stage.value for stage in waiting]
    for code in stages:
        if code not in known:
            document.wrong(("stages", code), f"{process}没有环节“{code}”，{_nearest(str(code), known)}。")
    for stage in waiting if stages else ():
        if stage.value not in stages:
            owner = next(iter(departments), "aftersales")
            text = f"环节“{stage.label}”没有时限，请补上 {stage.value}: {{limit: 1 wd, owner: {owner}, rule: …}}。"
            document.wrong(("stages",), text)
    promises: list[Place] = [*(("stages", code) for code in stages), *others]
    for path in promises:
        owner = _table(document.data, *path).get("owner")
        if departments and isinstance(owner, str) and owner and owner not in departments:
            text = f"{_file(house)} 没有部门“{owner}”，{_nearest(owner, [str(d) for d in departments])}。"
            document.wrong((*path, "owner"), text)


def _check_channels(returns: _Document) -> None:
    """A channel's two days must be in order together with those it leaves to the shop."""
    shop = _table(returns.data)
    for channel, rules in _table(returns.data, "channels").items():
        own = _table(rules)
        free, freight = (own.get(name, shop.get(name)) for name in ("free_until_day", "freight_until_day"))
        if isinstance(free, int) and isinstance(freight, int) and free >= freight:
            returns.wrong(
                ("channels", channel),
                f"free_until_day（{free}）要小于 freight_until_day（{freight}），请改正其中一个（未写的沿用店铺的值）。",
            )


def _check_ladders(escalation: _Document, notices: _Document) -> None:
    """Each stage has a ladder or none on purpose, each ladder begins at the breach, each notice has its words."""
    words = [str(name) for name in _table(notices.data, "expires")]
    ladders = _table(escalation.data, "ladders")
    told: list[Place] = [("reminder", "notice")]
    for code in ladders:
        rungs = _rows(ladders, code)
        told += [("ladders", code, place, "notice") for place in range(len(rungs))]
        names = [_inside(rung, "name") for rung in rungs]
        for place, name in enumerate(names):
            if isinstance(name, str) and name in names[:place]:
                escalation.wrong(("ladders", code, place, "name"), f"名称“{name}”在这个阶梯里重复，请换一个。")
        if isinstance(ladders[code], list) and (not rungs or _inside(rungs[0], "after") is not None):
            text = "第一级应当在超时那一刻，请把它写在最前面，不写 after。"
            escalation.wrong(("ladders", code), text)
    for path in told:
        notice: Any = escalation.data
        for step in path:
            notice = _inside(notice, step)
        if words and isinstance(notice, str) and notice and notice not in words:
            escalation.wrong(path, f"{_file(notices)} 没有通知“{notice}”，{_nearest(notice, words)}。")
    for process, label, climbing in (("returns", "退货", CLIMBING), ("followup", "回访", FOLLOWING_UP)):
        known = [str(stage) for stage in climbing]
        stages = _table(escalation.data, process)
        for stage, name in stages.items():
            if stage not in known:
                escalation.wrong((process, stage), f"{label}没有环节“{stage}”，{_nearest(str(stage), known)}。")
            if isinstance(name, str) and ladders and name not in ladders:
                text = f"没有阶梯“{name}”，{_nearest(name, [str(code) for code in ladders])}；不用催办的环节写 null。"
                escalation.wrong((process, stage), text)
        for code in known if stages else ():
            if code not in stages:
                escalation.wrong((process,), f"环节“{code}”没有写用哪个阶梯，请补上；不用催办的写 {code}: null。")


def _check_quiet(notices: _Document, house: _Document) -> None:
    """Quiet hours belong to departments that there are, or to customers."""
    known = ["customer", *(str(code) for code in _table(house.data, "departments"))]
    for code in _table(notices.data, "sending", "quiet"):
        if len(known) > 1 and code not in known:
            notices.wrong(("sending", "quiet", code), f"没有部门“{code}”，{_nearest(str(code), known)}。")


def _check_selfservice(selfservice: _Document, returns: _Document) -> None:
    """Both must match, and what has an English name is there (AMB-47)."""
    if _inside(selfservice.data, "require_both") is False:
        text = "false 目前还不支持，请写 true：订单号和手机号都相符才能查询。"
        selfservice.wrong(("require_both",), text)
    known = [str(code) for code in _table(returns.data, "reasons")]
    for code in _table(selfservice.data, "english", "reasons"):
        if known and code not in known:
            text = f"{_file(returns)} 没有退货原因“{code}”，{_nearest(str(code), known)}。"
            selfservice.wrong(("english", "reasons", code), text)


def _check_followup(followup: _Document, house: _Document) -> None:
    """Each kind of visit is there with its distance, each owner is a department (FUP-01 to FUP-09)."""
    departments = _table(house.data, "departments")
    known = [kind.value for kind in VisitKind]
    for table, codes, what in (("kinds", known, "回访"), ("stages", list(followup_terms.STAGES), "环节")):
        named = _table(followup.data, table)
        for code in named:
            owner = _table(named, code).get("owner")
            if code not in codes:
                followup.wrong((table, code), f"没有{what}“{code}”，{_nearest(str(code), codes)}。")
            if departments and isinstance(owner, str) and owner and owner not in departments:
                text = f"{_file(house)} 没有部门“{owner}”，{_nearest(owner, [str(d) for d in departments])}。"
                followup.wrong((table, code, "owner"), text)
        for code in codes:
            if named and code not in named:
                like = "is_on: true, " if table == "kinds" else "limit: 1 wd, "
                owner = next(iter(departments), "customer_service")
                text = f"缺少{what}“{code}”，请补上 {code}: {{{like}owner: {owner}, rule: …}}。"
                followup.wrong((table,), text)
    for code, kind in _table(followup.data, "kinds").items():
        if code in known and isinstance(kind, dict):
            _check_distance(followup, ("kinds", code), kind, is_whole=True)
    for channel, kinds in _table(followup.data, "channels").items():
        for code, kind in _table(kinds).items():
            if code not in known:
                followup.wrong(("channels", channel, code), f"没有回访“{code}”，{_nearest(str(code), known)}。")
            elif isinstance(kind, dict):
                _check_distance(followup, ("channels", channel, code), kind, is_whole=False)


def _check_distance(followup: _Document, place: Place, kind: Mapping[Key, Any], *, is_whole: bool) -> None:
    """A visit in use returns by months, that of a return is due as returns.yaml says, any other so long after."""
    code = VisitKind(place[-1])
    takes = "months" if code is VisitKind.USE else "" if code in followup_terms.OWN else "after"
    for key, like in (("months", "1"), ("after", "7 d")):
        if key in kind and key != takes:
            instead = f"改写 {takes}" if takes else "期限写在 returns.yaml 的 revisit"
            followup.wrong((*place, key), f"{code.label}不用 {key}，请删去，{instead}。")
        elif is_whole and key == takes and key not in kind:
            followup.wrong(place, f"{code.label}没有写多久，请补上 {key}: {like}。")


def _check_calendar(calendar: _Document) -> None:
    """A calendar's name is its year, its dates are of that year, its make-up workdays are weekend days (AMB-11)."""
    name = Path(calendar.file)
    if not re.fullmatch(r"[0-9]{4}\.yaml", name.name):
        calendar.mistakes.append(Mistake(calendar.file, 0, "", "文件名应当是四位年份，请改名为 2026.yaml 这样。"))
        return
    year = _inside(calendar.data, "year")
    if type(year) is int and str(year) != name.stem:
        calendar.wrong(("year",), f"{year} 与文件名的年份不同，请写成 {name.stem}，或给文件改名。")
    days_off, makeup = _table(calendar.data, "days_off"), _table(calendar.data, "makeup_workdays")
    for key, days in (("days_off", days_off), ("makeup_workdays", makeup)):
        for day in days:
            if isinstance(day, date) and str(day.year) != name.stem:
                calendar.wrong((key, day), f"{day} 不在 {name.stem} 年，请移到 {day.year}.yaml，或改正日期。")
    for day in makeup:
        if isinstance(day, date) and day.weekday() < 5:
            calendar.wrong(("makeup_workdays", day), f"{day} 不是周六或周日，本来就上班，请删去或改正日期。")
        if day in days_off:
            first = calendar.line(("days_off", day))
            calendar.wrong(("makeup_workdays", day), f"{day} 在第 {first} 行又是放假日，请只留一处。")


def _rows(value: Any, key: str) -> list[Any]:
    """Take the list under a key; an empty one where there is none."""
    found = _inside(value, key)
    return found if isinstance(found, list) else []


def _file(document: _Document) -> str:
    """Name a file as people do."""
    return Path(document.file).name
