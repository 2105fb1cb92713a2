"""
The vocabulary every room speaks: enums and small frozen values.

Nothing here knows the world, the terms or the database.
Chinese names stand beside the codes (GLOSSARY.md); codes are what is stored, names are what people read.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

# characters that nobody sees and that still count: zero width, direction marks, soft hyphen (a class of a pattern)
UNSEEN = r"\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"

FEN = Decimal("0.01")
ZERO = Decimal("0.00")


_TROUBLE = {
    errno.ENOENT: "没有这个文件或文件夹",
    errno.EISDIR: "是文件夹",
    errno.ENOTDIR: "路径中有一段不是文件夹",
    errno.EACCES: "没有权限",
    errno.EPERM: "没有权限",
    errno.EROFS: "磁盘只读",
    errno.ENOSPC: "磁盘已满",
    errno.ENAMETOOLONG: "名称太长",
}


def trouble(error: OSError) -> str:
    """Say in Chinese why a file could not be used."""
    return _TROUBLE.get(error.errno or 0, str(error.strerror))


class Named(StrEnum):
    """An enum whose members carry the Chinese name that people read: `REVIEW = "review", "待审核"`."""

    label: str

    def __new__(cls, code: str, label: str = "") -> Named:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label = label
        return member

    @classmethod
    def read(cls, text: str) -> Named:
        """Find the member by its code or by its Chinese name. Raises ValueError when there is none."""
        for member in cls:
            if text in (member.value, member.label):
                return member
        raise ValueError(f"“{text}”不在可选值中，请填写：{'、'.join(m.label for m in cls)}。")


class Unit(Named):
    """What a limit is counted in (GEN-03): the five are never converted into each other."""

    MINUTE = "min", "分钟"
    HOUR = "h", "小时"
    WORKING_DAY = "wd", "个工作日"
    DAY = "d", "天"
    SERVICE_HOUR = "sh", "个服务小时"


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a stage may take: an amount and its unit, written `24 h`, `3 wd`, `7 d`, `30 min`, `4 sh` (GEN-03)."""

    amount: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read `3 wd`. Raises ValueError with the sentence that tells how to write it."""
        found = re.fullmatch(r"\s*([0-9]{1,5})\s*(min|h|wd|d|sh)\s*", text)
        if not found or int(found[1]) == 0:
            raise ValueError(
                f"“{text}”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）。"
            )
        return cls(int(found[1]), Unit(found[2]))

    def __str__(self) -> str:
        return f"{self.amount} {self.unit.value}"

    @property
    def length(self) -> timedelta:
        """How long a limit of the wall clock is. Raises KeyError for one that counts days."""
        return self.amount * {Unit.MINUTE: timedelta(minutes=1), Unit.HOUR: timedelta(hours=1)}[self.unit]

    @property
    def words(self) -> str:
        """The limit as people read it: `3 个工作日`."""
        return f"{self.amount} {self.unit.label}"


@dataclass(frozen=True, slots=True)
class SkippedDay:
    """A day that did not count, and why: the day off's name, else 周末."""

    on: date
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """When a limit ends and why. `due_at` is exclusive and in house time; `missing` are the years without a calendar."""

    start_at: datetime
    limit: Limit
    due_at: datetime
    skipped: tuple[SkippedDay, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def provisional(self) -> bool:
        """True when a day in a year without calendar data was counted Monday to Friday (暂定)."""
        return bool(self.missing)


class AgeBand(Named):
    """The age of a purchase (POL-02 to POL-04)."""

    A = "A", "A 段（无理由期）"
    B = "B", "B 段（承担运费）"
    C = "C", "C 段（人工决定）"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer with its reason; the reason ends in notices and in the audit."""

    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One amount with its rule id. Deductions are negative."""

    rule: str
    label: str
    amount: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a return pays: lines that sum to the total, the age band, and the reasons why a person must decide."""

    age_band: AgeBand | None
    lines: tuple[Line, ...]
    needs_person: tuple[str, ...] = ()

    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.amount for line in self.lines), ZERO)


class Shipping(Named):
    """How the goods travel back (RET-05)."""

    PICKUP = "pickup", "上门取件"
    SELF = "self", "自行寄回"


class Grade(Named):
    """In what state the warehouse finds a unit."""

    SELLABLE = "sellable", "可再销售"
    UNSELLABLE = "unsellable", "不可再销售"
    WRONG = "wrong", "非本单商品"


class Fault(Named):
    """Whose fault a return is: it decides who pays (MON-01, MON-02, MON-17)."""

    SELLER = "seller", "卖家原因"
    CUSTOMER = "customer", "买家原因"


class Right(Named):
    """What a member of staff may do. A gate names the right it asks for."""

    APPLY = "apply", "提交申请"
    REVIEW = "review", "审核申请"
    PICKUP = "pickup", "登记取件"
    RECEIVE = "receive", "登记收货"
    INSPECT = "inspect", "验收"
    APPROVE_EXCEPTION = "approve_exception", "审批例外"
    COUNTERSIGN = "countersign", "复核退款"
    REFUND = "refund", "确认退款"
    CANCEL = "cancel", "取消售后单"
    EXTEND = "extend", "延期"
    VISIT = "visit", "回访"
    REVISIT = "revisit", "二次回访"
    SUPERVISE = "supervise", "主管回访"
    VIEW_CONTACT = "view_contact", "查看联系方式"


class Process(Named):
    """What a case is: each process but the complaint and the regular survey is a story of its own in flows/."""

    RETURNS = "returns", "退货"
    COMPLAINT = "complaint", "投诉"
    REVISIT = "revisit", "二次回访"
    VISITS = "visits", "回访"
    SURVEY = "survey", "定期调查"

    def names(self, case_no: str) -> str:
        """Name a case of it in a sentence: `售后单 RT-20261122-0007`, `定期调查 DC-20261201-0001`."""
        return f"{'售后单' if self is Process.RETURNS else self.label} {case_no}"


class Stage(Named):
    """Where a case stands: the gate it waits at, or how it ended. The name is shown in the run list."""

    OPENED = "opened", "新申请"
    REVIEW = "review", "待审核"
    QUESTION = "question", "待客户答复"
    CORRECTION = "correction", "待补正"
    EXCEPTION = "exception", "待例外审批"
    PICKUP = "pickup", "待取件"
    RECEIPT = "receipt", "待收货"
    TRACING = "tracing", "待查件"
    INSPECTION = "inspection", "待验收"
    RESOLUTION = "resolution", "待处理决定"
    SENDBACK = "sendback", "待寄回"
    COUNTERSIGN = "countersign", "待复核"
    RELEASE = "release", "待放款"
    REFUND = "refund", "待退款"
    REIMBURSEMENT = "reimbursement", "待补运费"
    VISIT = "visit", "待回访"
    REVISIT = "revisit", "待二次回访"
    SUPERVISOR = "supervisor", "待主管回访"
    CLOSED = "closed", "已完成"
    REJECTED = "rejected", "已驳回"
    CANCELLED = "cancelled", "已取消"

    @property
    def is_over(self) -> bool:
        """True when the case has ended."""
        return self in (Stage.CLOSED, Stage.REJECTED, Stage.CANCELLED)


# the stages of following up: everything else that waits for somebody is a stage of a return
FOLLOWING_UP = (Stage.VISIT, Stage.REVISIT, Stage.SUPERVISOR)


class Heard(Named):
    """What came of calling a dissatisfied customer again (SVY-05, FUP-12)."""

    SATISFIED = "satisfied", "客户满意"
    DISSATISFIED = "dissatisfied", "仍不满意"
    UNREACHED = "unreached", "未联系上"


class Visited(Named):
    """How far a visit has come."""

    PLANNED = "planned", "待列入清单"
    LISTED = "listed", "待回访"
    DONE = "done", "已回访"
    DROPPED = "dropped", "已取消"


class Outcome(Named):
    """What came of a visit (FUP-12)."""

    REACHED = "reached", "已联系上"
    NOT_REACHED = "not_reached", "未联系上"
    PROBLEM = "problem", "发现问题"
    OPTED_OUT = "opted_out", "不再回访"


class Feedback(Named):
    """What a customer's words are about (FUP-13, 反馈类型)."""

    QUALITY = "quality", "产品质量"
    LOGISTICS = "logistics", "物流配送"
    SERVICE = "service", "客服服务"
    USAGE = "usage", "使用方法"
    PRICE = "price", "价格与活动"
    SUGGESTION = "suggestion", "改进建议"
    PRAISE = "praise", "表扬"
    OTHER = "other", "其他"


class Effect(Named):
    """What the measure has brought, as the customer sees it (FUP-13, 效果评估)."""

    SOLVED = "solved", "已解决"
    PARTLY = "partly", "部分解决"
    UNSOLVED = "unsolved", "没有解决"


class Scale(Named):
    """On what scale a question is answered (AMB-31); an answer is kept as it was given."""

    STARS5 = "stars5", "五星"
    POINTS5 = "points5", "5 分制"
    POINTS10 = "points10", "10 分制"
    NPS = "nps", "推荐度（0 到 10）"
    YES_NO = "yes_no", "是或否"
    TEXT = "text", "文字"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer there is, the worst first; none for free text."""
        match self:
            case Scale.STARS5 | Scale.POINTS5:
                return tuple(map(str, range(1, 6)))
            case Scale.POINTS10:
                return tuple(map(str, range(1, 11)))
            case Scale.NPS:
                return tuple(map(str, range(11)))
            case Scale.YES_NO:
                return ("no", "yes")
        return ()


class Surveyed(Named):
    """Where the survey about an ended case stands (SVY-01, P-22)."""

    WAITING = "waiting", "待发送"
    SENT = "sent", "待客户评价"
    ANSWERED = "answered", "已评价"
    EXPIRED = "expired", "未评价"
    SKIPPED = "skipped", "不调查"


class Urgency(Named):
    """How pressing what a case owes is: a tag of its run, and a word on the boards (ESC-04, ESC-05)."""

    SOON = "soon", "即将超时"
    LATE = "late", "超时"


class Applied(Named):
    """What became of an application that no member of staff typed (RET-01)."""

    TAKING = "taking", "受理中"
    OPENED = "opened", "已受理"
    REFUSED = "refused", "未受理"


class Way(Named):
    """The way by which such an application came, and whom the journal names for it."""

    PAGE = "page", "自助页面"
    API = "api", "店铺系统接口"

    @property
    def actor(self) -> str:
        """Who acted, as the journal writes it down."""
        return "customer" if self is Way.PAGE else "shop"


class VisitKind(Named):
    """Why a customer is visited; of several due at once the first named here leads (FUP-01 to FUP-11)."""

    UNSOLVED = "unsolved", "未解决回访"
    COMPLAINT = "complaint", "投诉回访"
    RETURN = "return", "退换货回访"
    SOLVED = "solved", "解决后回访"
    PURCHASE = "purchase", "新购回访"
    USE = "use", "使用回访"


class LeftOut(Named):
    """Why a visit that has come is not made this time, or not at all (FUP-11)."""

    OPEN_CASE = "open_case", "有未办完的售后单，办完后再排"
    TOO_OFTEN = "too_often", "本月已达联系次数上限"
    SEEN_TODAY = "seen_today", "当天已联系过"
    NOBODY = "nobody", "没有人在岗"
    MERGED = "merged", "并入同一客户的另一次回访"
    OPTED_OUT = "opted_out", "客户不愿被回访"
    RETURNED = "returned", "商品已全部退回"
    OFF = "off", "这种回访已停用"
    TOO_LATE = "too_late", "过期太久，不再回访"

    @property
    def is_final(self) -> bool:
        """True when it is not looked at again."""
        return self not in (LeftOut.OPEN_CASE, LeftOut.TOO_OFTEN, LeftOut.SEEN_TODAY, LeftOut.NOBODY)


def matter(stage: str) -> str:
    """Name what is owed at a stage, as people read it: `验收`; the limit of the whole case is `整单`."""
    return "整单" if stage == "outer" else Stage(stage).label.removeprefix("待")


class Event(Named):
    """What the world may tell a case."""

    PARCEL_PICKED_UP = "parcel.picked_up", "已取件"
    PARCEL_RECEIVED = "parcel.received", "已收货"
    PARCEL_LOST = "parcel.lost", "包裹丢失"
    PARCEL_SENT_BACK = "parcel.sent_back", "已寄回客户"
    REFUND_SENT = "refund.sent", "已退款"
    REFUND_FAILED = "refund.failed", "退款失败"
    FREIGHT_REIMBURSED = "freight.reimbursed", "已补运费"
    CASE_CANCELLED = "case.cancelled", "已取消"


# what a case at this stage takes; anything else waits in the inbox. What has arrived was picked up, or found. (RET-17: a
# cancellation is heard at every stage, and refused once the goods are there.)
AWAITED: dict[Stage, tuple[Event, ...]] = {
    stage: (
        Event.CASE_CANCELLED,
        *{
            Stage.PICKUP: (Event.PARCEL_PICKED_UP, Event.PARCEL_RECEIVED),
            Stage.RECEIPT: (Event.PARCEL_RECEIVED, Event.PARCEL_LOST),
            Stage.TRACING: (Event.PARCEL_RECEIVED,),
            Stage.SENDBACK: (Event.PARCEL_SENT_BACK,),
            Stage.REFUND: (Event.REFUND_SENT, Event.REFUND_FAILED),
            Stage.REIMBURSEMENT: (Event.FREIGHT_REIMBURSED,),
        }.get(stage, ()),
    )
    for stage in Stage
    if not stage.is_over
}


# --- notices --------------------------------------------------------------------------------------------------------

# what every notice about a case may name
_ANY = frozenset({"case_no", "order_no"})
# what a notice that time alone tells may name
LADDER_NOTICE = _ANY | {"stage", "owner", "due", "late", "missed", "years"}
# who reads the ladders' own notices: the customer, or the staff; what a shop adds is for whoever it is told first
LADDER_READERS = {"ESC-05": "staff", "NTC-10": "staff", "NTC-15": "staff", "NTC-24": "staff", "ESC-08": "customer"}
# what is written without a file of words: to a department, to a person, many in one
UNWRITTEN = DESK, STAFF, DIGEST = ("DESK", "STAFF", "DIGEST")
# the actor of what was done with Prefect's own buttons: nobody knows by whom
PREFECT = "desk"
# what the code calls the rung before the breach, and the one from where a year without calendar is needed
REMINDER = "reminder"
PROVISIONAL = "provisional"
# what each notice of a return may name besides; the words are in config/notices (NTC-01 to NTC-19)
NOTICES = {
    "NTC-01": _ANY | {"due", "total"},
    "NTC-02": _ANY | {"next"},
    "NTC-03": _ANY | {"reason", "guidance"},
    "NTC-04": _ANY | {"subject", "next"},
    "NTC-05": _ANY | {"result", "cause", "lines", "total", "bound"},
    "NTC-06": _ANY | {"subject", "text"},
    "NTC-07": _ANY | {"amount", "route"},
    "NTC-08": _ANY | {"amount"},
    "NTC-09": _ANY | {"cause"},
    "NTC-11": _ANY | {"reason", "stage", "due", "was"},
    "NTC-17": _ANY | {"question", "due"},
    "NTC-18": _ANY | {"question", "due"},
    "NTC-19": _ANY | {"stage"},
    "NTC-20": _ANY | {"link", "open"},
    "SVY-04": _ANY | {"link", "open"},
    "SVY-07": _ANY | {"link", "until"},
}


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of staff as the terms know them: rights, and the highest refund they may confirm (None: no limit)."""

    id: str
    name: str
    department: str
    role: str
    team: str = ""
    rights: frozenset[Right] = field(default_factory=frozenset)
    refund_limit: Decimal | None = None

    @property
    def choice(self) -> str:
        """As shown in drop-downs: `C07 王小明`."""
        return f"{self.id} {self.name}"


# --- facts of an order, as rules see them -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Units:
    """A run of units of one order line, numbered from 0: `first` included, `end` excluded."""

    first: int
    end: int

    @property
    def count(self) -> int:
        """How many units."""
        return self.end - self.first


@dataclass(frozen=True, slots=True)
class Holder:
    """A case that has units of a line: how many, and whether they have come back for good."""

    case_no: str
    quantity: int
    is_settled: bool = False


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of an order: what was bought, what was paid for it after all discounts, and which units are taken."""

    line_no: int
    sku: str
    name: str
    category: str
    quantity: int
    paid: Decimal
    delivered_at: datetime | None
    is_gift: bool = False
    opened: bool | None = None
    variant: str = ""
    taken: tuple[Units, ...] = ()
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """The facts of an order that rules need: `refunded` is what already went back, in so many `refunds`."""

    order_no: str
    channel: str
    ordered_at: datetime
    lines: tuple[OrderLine, ...]
    freight: Decimal
    insured_freight: Decimal
    payment_route: str
    paid: Decimal
    refunded: Decimal = ZERO
    refunds: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Units of one line that a return is about; which ones is settled by the ledger (the lowest free first)."""

    line_no: int
    units: tuple[Units, ...]

    @property
    def quantity(self) -> int:
        """How many units."""
        return sum(run.count for run in self.units)


class Unable(Exception):
    """Something cannot be done; the message is one Chinese sentence: what, where, and what to do instead."""
