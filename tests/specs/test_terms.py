"""Every mistake in the terms is found at once, with file, line, key and what to write instead (GEN-07, design §6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aftersales import terms, words
from aftersales.terms import Mistake, Terms, TermsError
from aftersales.terms.checks import NEEDED_RIGHTS
from aftersales.words import Fault, Right

CONFIG = Path(__file__).parents[2] / "config"

HOUSE = """\
language: zh
timezone: Asia/Shanghai
currency: CNY
wd_deadline: end_of_day
makeup_days_count: false
service_hours: 24x7
departments:
  customer_service: {name: 客户服务部, head: C01}
  aftersales:       {name: 售后服务部, head: A01}
aftersales_manager: A01
"""

STAFF = """\
staff:
  - {id: C01, name: 周敏, department: customer_service, role: 负责人, rights: [apply, review, cancel, visit, revisit, supervise]}
  - {id: A01, name: 何静, department: aftersales, role: 售后经理, rights: [approve_exception, countersign, refund]}
  - {id: A02, name: 许诺, department: aftersales, role: 出纳, rights: [refund], refund_limit: "2000.00"}
  - {id: W01, name: 吴芳, department: aftersales, role: 仓库, rights: [pickup, receive, inspect, countersign]}
"""

RETURNS = """\
stages:
  review:     {limit: 24 h, owner: customer_service, rule: RET-02}
  correction: {limit: 7 d, owner: customer_service, rule: RET-04}
  exception:  {limit: 1 wd, owner: aftersales, rule: AMB-17}
  pickup:     {limit: 3 wd, owner: aftersales, rule: RET-05}
  receipt:    {limit: 7 d, owner: aftersales, rule: RET-06}
  inspection: {limit: 1 wd, owner: aftersales, rule: RET-07}
  refund:     {limit: 2 wd, owner: aftersales, rule: RET-09}
  tracing:    {limit: 3 wd, owner: aftersales, rule: RET-06}
  resolution: {limit: 1 wd, owner: aftersales, rule: RET-08}
  sendback:   {limit: 3 wd, owner: aftersales, rule: MON-20}
  countersign: {limit: 1 wd, owner: aftersales, rule: RFD-02}
  release:    {limit: 2 wd, owner: aftersales, rule: RET-09}
  reimbursement: {limit: 2 wd, owner: aftersales, rule: MON-18}
  question:   {limit: 7 d, owner: customer_service, rule: NUM-223}
outer:   {limit: 7 wd, owner: aftersales, rule: RET-10}
revisit: {limit: 7 d, owner: customer_service, rule: FUP-03}
refund_bound: 3 wd
review_on_timeout: escalate
age_counts_from: receipt
free_until_day: 7
freight_until_day: 30
after_last_day: manual
pickup_freight: "12.00"
late_freight: "15.00"
late_freight_when_self_shipped: true
storage_per_day: "1.00"
payment_routes: [支付宝, 微信支付]
choose_route: false
selfship_grace: 7 wd
reasons:
  no_reason: {label: 七天无理由, fault: customer}
  quality:   {label: 质量问题, fault: seller, evidence: true}
categories:
  服装: standard
selfship_freight_limit: "20.00"
second_approval_above: "500.00"
partial_refunds: 50
refund_days: 365
quality_sample: 5
question_reminder: 3 d
"""

CALENDAR = """\
year: 2026
days_off:
  2026-10-01: 国庆节
makeup_workdays:
  2026-10-10: 国庆节
"""

NOTICES = """\
sending: {retry_after: 1 min, retry_at_most: 1 h, give_up_after: 6 h, digest_above: 10, quiet: {customer: "21:00-08:00"}}
expires:
  NTC-01: 24 h
  NTC-07: null
""" + "".join(f"  {name}: 24 h\n" for name in words.NOTICES if name not in ("NTC-01", "NTC-07"))
LADDER = ("ESC-05", "ESC-08", "NTC-10", "NTC-15", "NTC-24")
NOTICES += "".join(f"  {name}: null\n" for name in LADDER)

ESCALATION = """\
reminder: {rule: ESC-05, notice: ESC-05, of_hours: 80, on_last_day: "09:00"}
ladders:
  stage:
    - {name: breach, rule: ESC-04, notice: NTC-10, tell: [owner]}
    - {name: head, rule: ESC-04, notice: NTC-15, tell: [head], after: 1 wd}
returns: {review: stage, question: null, correction: null, exception: stage, pickup: stage, receipt: stage, tracing: stage,
  inspection: stage, resolution: stage, sendback: stage, countersign: stage, release: stage, refund: stage,
  reimbursement: stage, outer: stage}
followup: {visit: stage, revisit: stage, supervisor: null}
provisional: {rule: P-05, notice: NTC-24}
"""

SELFSERVICE = """\
require_both: true
session: 30 min
searches_per_address: {at_most: 60, within: 10 min}
searches_per_order: {at_most: 8, within: 1 h}
searches_per_order_in_all: {at_most: 40, within: 1 h}
applications_per_order: {at_most: 20, within: 24 h}
photos: {at_most: 6, megabytes: 10, megapixels: 50, longest_side: 2400}
english:
  reasons: {quality: Faulty}
"""

FOLLOWUP = """\
at: "02:00"
contacts_a_month: 4
tries: 3
too_late: 14 d
kinds:
  purchase:  {is_on: true, after: 7 d, owner: customer_service, rule: FUP-01}
  use:       {is_on: true, months: 1, owner: customer_service, rule: FUP-02}
  return:    {is_on: true, owner: customer_service, rule: FUP-03}
  complaint: {is_on: true, after: 3 d, owner: customer_service, rule: FUP-07, processes: [complaint]}
  solved:    {is_on: true, after: 7 d, owner: customer_service, rule: FUP-05, processes: [tickets]}
  unsolved:  {is_on: true, after: 2 wd, owner: customer_service, rule: FUP-06}
channels:
  官网: {use: {months: 2}}
stages:
  visit:      {limit: 1 wd, owner: customer_service, rule: FUP-10}
  revisit:    {limit: 24 h, owner: customer_service, rule: SVY-05}
  supervisor: {limit: 1 wd, owner: customer_service, rule: AMB-40}
"""

SURVEY = """\
owner: customer_service
send_after: 3 min
remind_after: 24 h
open_for: 72 h
lock: 7 d
questions:
  - {code: overall, zh: 总体满意度, en: Overall, scale: stars5, dissatisfied: "2"}
  - {code: speed, zh: 速度, en: Speed, scale: points10}
  - {code: other_need, zh: 其他需要, en: Other need, scale: yes_no}
  - {code: comment, zh: 还想说的, en: More, scale: text}
overall: overall
other_need: other_need
regular:
  is_on: true
  customers: 20
  questions: [{code: shop, zh: 本店, en: Shop, scale: stars5, dissatisfied: "1"}]
  overall: shop
  other_need: null
"""

NOTICE = "已收到（{case_no}）\n您好，我们已收到您的申请。\n"

FILES = {
    "house.yaml": HOUSE,
    "staff.yaml": STAFF,
    "returns.yaml": RETURNS,
    "notices.yaml": NOTICES,
    "escalation.yaml": ESCALATION,
    "followup.yaml": FOLLOWUP,
    "selfservice.yaml": SELFSERVICE,
    "survey.yaml": SURVEY,
    **{f"notices/{language}/{name}.txt": NOTICE for language in ("zh", "en") for name in (*words.NOTICES, *LADDER)},
    "calendars/2026.yaml": CALENDAR,
}


class Folder:
    """A small config folder that a test breaks in one place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in ("calendars", "notices/zh", "notices/en"):
            (path / folder).mkdir(parents=True)
        self.repair()

    def repair(self) -> None:
        """Make it right again: one folder serves every test, for writing it anew costs more than the tests."""
        for path in [p for p in self.path.rglob("*.*") if str(p.relative_to(self.path)) not in FILES]:
            path.unlink()
        for name, text in FILES.items():
            path = self.path / name
            if not path.exists() or path.read_bytes() != text.encode():
                path.write_text(text, "utf-8")

    def change(self, name: str, old: str, new: str) -> None:
        """Replace one piece of text in a file."""
        text = (self.path / name).read_text("utf-8")
        assert old in text, f"{old} is not in {name}"
        (self.path / name).write_text(text.replace(old, new, 1), "utf-8")

    def load(self) -> Terms:
        """Read it."""
        return terms.load(self.path)

    def mistakes(self) -> list[Mistake]:
        """What is wrong with it."""
        with pytest.raises(TermsError) as error:
            self.load()
        return [Mistake(str(Path(m.file).relative_to(self.path)), m.line, m.key, m.text) for m in error.value.mistakes]


@pytest.fixture(scope="module")
def right_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("config"))


@pytest.fixture
def folder(right_folder: Folder) -> Iterator[Folder]:
    yield right_folder
    right_folder.repair()


def test_the_small_folder_is_right(folder):
    found = folder.load()

    assert found.house.timezone == "Asia/Shanghai"
    assert str(found.returns.stages["pickup"].limit) == "3 wd"
    assert f"{found.returns.pickup_freight}" == "12.00"
    assert found.calendars[2026].year == 2026


def test_the_shipped_terms_are_right():
    found = terms.load(CONFIG)

    assert sorted(found.calendars) == list(range(2004, 2027))
    assert found.returns.fault("quality") is Fault.SELLER
    assert found.staff()[found.house.aftersales_manager].rights >= {Right.APPROVE_EXCEPTION}
    assert all(found.who_may(right) for right in NEEDED_RIGHTS)


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "key", "text"),
    [
        # the shape
        pytest.param(
            "returns.yaml", "limit: 24 h", "limit: 24", 2, "stages.review.limit",
            "24 没有单位，请写成 24 h（小时）、24 wd（工作日）或 24 d（自然日）。",
            id="GEN-03 a bare number where a limit is needed",
        ),
        pytest.param(
            "returns.yaml", "limit: 24 h", "limit: 24 hours", 2, "stages.review.limit",
            "“24 hours”不是时限，请写成数字加单位，如 30 min（分钟）、24 h（小时）、3 wd（工作日）、7 d（自然日）、4 sh（服务小时）。",
            id="GEN-03 a unit that does not exist",
        ),
        pytest.param(
            "returns.yaml", "selfship_grace: 7 wd", "selfship_grace:", 30, "selfship_grace",
            "没有填值，请写成时限，如 3 wd。",
            id="a key without value",
        ),
        pytest.param(
            "returns.yaml", '"12.00"', "12.00", 24, "pickup_freight",
            '金额 12.00 没有写成加引号的两位小数，请写成 "12.00"。',
            id="money without quotes",
        ),
        pytest.param(
            "returns.yaml", '"12.00"', "12", 24, "pickup_freight",
            '金额 12 没有写成加引号的两位小数，请写成 "12.00"。',
            id="money as a whole number",
        ),
        pytest.param(
            "returns.yaml", '"12.00"', '"12.5"', 24, "pickup_freight",
            '金额“12.5”不是两位小数，请写成 "12.50"。',
            id="money with one decimal",
        ),
        pytest.param(
            "returns.yaml", '"12.00"', '"12.345"', 24, "pickup_freight",
            '金额“12.345”不是两位小数的数，请写成 "12.00" 这样。',
            id="money with three decimals",
        ),
        pytest.param(
            "returns.yaml", '"12.00"', '"-1.00"', 24, "pickup_freight",
            '金额“-1.00”是负数，请写成不小于零的两位小数，如 "12.00"。',
            id="money below zero",
        ),
        pytest.param(
            "staff.yaml", '"2000.00"', "2000", 4, "staff[A02].refund_limit",
            '金额 2000 没有写成加引号的两位小数，请写成 "2000.00"。',
            id="a place in a list is named by its id",
        ),
        pytest.param(
            "returns.yaml", "free_until_day: 7", "free_until_day: 七", 21, "free_until_day",
            "“七”用在这里不对，请写成整数，如 7。",
            id="a word where a number is needed",
        ),
        pytest.param(
            "returns.yaml", "free_until_day: 7", "free_until_day: -1", 21, "free_until_day",
            "-1 太小，请写成不小于 0 的整数。",
            id="a day below zero",
        ),
        pytest.param(
            "house.yaml", "makeup_days_count: false", "makeup_days_count: no", 5, "makeup_days_count",
            "“no”用在这里不对，请写成是非，如 true 或 false。",
            id="AMB-11 no is a word in YAML 1.2",
        ),
        pytest.param(
            "house.yaml", "end_of_day", "end_of_dy", 4, "wd_deadline",
            "“end_of_dy”不在可选值中，请写成 end_of_day。",
            id="AMB-10 a misspelled choice",
        ),
        pytest.param(
            "returns.yaml", "escalate", "approve", 19, "review_on_timeout",
            "“approve”不在可选值中，请写成 auto_approve。",
            id="AMB-09 a choice close to another",
        ),
        pytest.param(
            "returns.yaml", "after_last_day: manual", "after_last_day: xyz", 23, "after_last_day",
            "“xyz”不在可选值中，请写成 manual 或 refuse 或 charge。",
            id="AMB-17 a choice close to none",
        ),
        pytest.param(
            "staff.yaml", "id: C01", "id: 007", 2, "staff[1].id",
            "“007”会被读成数字、日期或是非，请加引号写成 \"007\"。",
            id="a number where a text is needed",
        ),
        pytest.param(
            "staff.yaml", "rights: [refund],", "rights: refund,", 4, "staff[A02].rights",
            "“refund”用在这里不对，请写成列表，如 [文字, …]。",
            id="a word where a list is needed",
        ),
        pytest.param(
            "returns.yaml", "{label: 七天无理由, fault: customer}", "七天无理由", 32, "reasons.no_reason",
            "“七天无理由”用在这里不对，请写成一张表，如 {label: 文字, fault: seller 或 customer}。",
            id="a word where a table is needed",
        ),
        # surveys
        pytest.param(
            "survey.yaml", "scale: stars5", "scale: stars", 7, "questions[1].scale",
            "“stars”不在可选值中，请写成 stars5。",
            id="AMB-31 a scale that is none",
        ),
        pytest.param(
            "survey.yaml", 'dissatisfied: "2"', "dissatisfied: 2", 7, "questions[1].dissatisfied",
            '“2”会被读成数字、日期或是非，请加引号写成 "2"。',
            id="AMB-31 an answer is a text",
        ),
        pytest.param(
            "survey.yaml", 'dissatisfied: "2"', 'dissatisfied: "5"', 7, "questions[1].dissatisfied",
            '“5”不能用，可写："1"、"2"、"3"、"4"（这个答案和比它低的都算不满意）。',
            id="SVY-05 not everybody is dissatisfied",
        ),
        pytest.param(
            "survey.yaml", "scale: text", 'scale: text, dissatisfied: "差"', 10, "questions[4].dissatisfied",
            "文字的题不判断满意，请删去 dissatisfied，或换一种 scale。",
            id="P-25 words decide nothing",
        ),
        pytest.param(
            "survey.yaml", "code: speed", "code: overall", 6, "questions",
            "代码“overall”用了不止一次，请给每题一个自己的 code。",
            id="SVY-03 two questions of one code",
        ),
        pytest.param(
            "survey.yaml", "overall: overall", "overall: total", 11, "overall",
            "没有代码为“total”的题，可写：overall、speed、other_need、comment。",
            id="KPI-09 an overall question that there is not",
        ),
        pytest.param(
            "survey.yaml", "overall: overall", "overall: speed", 11, "overall",
            "“speed”没有写到哪个答案为止算不满意，请给这一题加上 dissatisfied: \"2\" 这样的一项。",
            id="SVY-05 nobody knows who is dissatisfied",
        ),
        pytest.param(
            "survey.yaml", "other_need: other_need", "other_need: speed", 12, "other_need",
            "“speed”不是用“是或否”回答的题，请把它的 scale 写成 yes_no，或换一题。",
            id="SVY-07 another need is a question of yes or no",
        ),
        pytest.param(
            "survey.yaml", "overall: shop", "overall: speed", 17, "regular.overall",
            "没有代码为“speed”的题，可写：shop。",
            id="SVY-04 a question of the other survey",
        ),
        pytest.param(
            "survey.yaml", "customers: 20", "customers: 1001", 15, "regular.customers",
            "1001 太大，请写成不大于 1000 的整数。",
            id="SVY-04 more cases than one night should open",
        ),
        pytest.param(
            "survey.yaml", "customers: 20", "customers: 0", 15, "regular.customers",
            "0 太小，请写成不小于 1 的整数。",
            id="SVY-04 nobody is asked: is_on says so",
        ),
        pytest.param(
            "survey.yaml", "remind_after: 24 h", "remind_after: 72 h", 4, "open_for",
            "72 h 不长于 remind_after 的 72 h，请写更长的时间：先提醒客户，后截止。",
            id="NUM-208 a reminder of what is over",
        ),
        pytest.param(
            "survey.yaml", "send_after: 3 min", "send_after: 3", 2, "send_after",
            "3 没有单位，请写成 3 h（小时）、3 wd（工作日）或 3 d（自然日）。",
            id="AMB-30 after three what",
        ),
        pytest.param(
            "survey.yaml", "owner: customer_service", "owner: finance", 1, "owner",
            "house.yaml 没有部门“finance”，可写：customer_service、aftersales。",
            id="SVY-04 a department that there is not",
        ),
        pytest.param(
            "survey.yaml", "en: Speed", 'en: " "', 8, "questions[2].en",
            "没有填写内容，请写上文字。",
            id="a question without words",
        ),
        # keys
        pytest.param(
            "returns.yaml", "choose_route: false\n", "", 1, "choose_route",
            "缺少“choose_route”，请补上，写成 choose_route: true 或 false。",
            id="a missing key",
        ),
        pytest.param(
            "returns.yaml", ", rule: RET-05", "", 5, "stages.pickup.rule",
            "缺少“rule”，请补上，写成 rule: 文字。",
            id="a missing key inside a table has the table's line",
        ),
        pytest.param(
            "house.yaml", "language: zh\n", "language: zh\nlangage: en\n", 2, "langage",
            "没有“langage”这一项，是不是想写“language”；多余的请删去。",
            id="an unknown key, nearly a known one",
        ),
        pytest.param(
            "staff.yaml", "role: 出纳", "role: 出纳, xyz: 1", 4, "staff[A02].xyz",
            "没有“xyz”这一项，可写：id、name、department、team、role、rights、refund_limit；多余的请删去。",
            id="an unknown key like none",
        ),
        pytest.param(
            "returns.yaml", "choose_route: false\n", "choose_route: false\nfree_until_day: 9\n", 30, "free_until_day",
            "“free_until_day”在第 21 行已经写过，请只留一处。",
            id="a key written twice",
        ),
        # values with a meaning
        pytest.param(
            "house.yaml", "Asia/Shanghai", "Beijing", 2, "timezone",
            "没有时区“Beijing”，请写成 Asia/Shanghai 这样的名称。",
            id="GEN-01 an unknown time zone",
        ),
        pytest.param(
            "house.yaml", "Asia/Shanghai", "Asia", 2, "timezone",
            "没有时区“Asia”，请写成 Asia/Shanghai 这样的名称。",
            id="GEN-01 a continent is no time zone",
        ),
        pytest.param(
            "house.yaml", "currency: CNY", "currency: 元", 3, "currency",
            "“元”不是货币代码，请写成三个大写字母，如 CNY。",
            id="MON-16 not a currency",
        ),
        pytest.param(
            "house.yaml", "24x7", "9点到17点", 6, "service_hours",
            "“9点到17点”不是营业时间，请写成 24x7 或 \"09:00-12:00, 13:00-18:00\" 这样。",
            id="GEN-05 opening hours that cannot be read",
        ),
        pytest.param(
            "house.yaml", "24x7", '"09:00-13:00, 12:00-18:00"', 6, "service_hours",
            "营业时间“09:00-13:00, 12:00-18:00”前后颠倒或重叠，请按先后写在 00:00 到 24:00 之间，过午夜的分成两段。",
            id="GEN-05 opening hours that overlap",
        ),
        pytest.param(
            "house.yaml", "24x7", '"18:00-02:00"', 6, "service_hours",
            "营业时间“18:00-02:00”前后颠倒或重叠，请按先后写在 00:00 到 24:00 之间，过午夜的分成两段。",
            id="GEN-05 opening hours over midnight",
        ),
        pytest.param(
            "staff.yaml", "[refund],", "[refnd],", 4, "staff[A02].rights[1]",
            "没有权限“refnd”，是不是想写“refund”。",
            id="a right that does not exist",
        ),
        pytest.param(
            "staff.yaml", "id: A02", "id: 小许", 4, "staff[小许].id",
            "“小许”不能作员工编号，请只用字母、数字、- 和 _，如 C07。",
            id="a staff id that is no id",
        ),
        pytest.param(
            "staff.yaml", "name: 许诺", 'name: " "', 4, "staff[A02].name",
            "没有填写内容，请写上文字。",
            id="a name of blanks",
        ),
        pytest.param(
            "returns.yaml", "  quality:", "  Quality:", 33, "reasons.Quality",
            "“Quality”不能作代码，请用小写字母开头，只含小写字母、数字和 _，如 wrong_size。",
            id="a reason's code that is no code",
        ),
        # what two places must agree on
        pytest.param(
            "house.yaml", "head: C01", "head: C99", 8, "departments.customer_service.head",
            "staff.yaml 没有编号为“C99”的员工，请写已有的编号，或先在那里加上。",
            id="a head who does not work here",
        ),
        pytest.param(
            "house.yaml", "aftersales_manager: A01", "aftersales_manager: A99", 10, "aftersales_manager",
            "staff.yaml 没有编号为“A99”的员工，请写已有的编号，或先在那里加上。",
            id="ORG-31 a manager who does not work here",
        ),
        pytest.param(
            "staff.yaml", "department: customer_service", "department: custmer_service", 2, "staff[C01].department",
            "house.yaml 没有部门“custmer_service”，是不是想写“customer_service”。",
            id="a department that does not exist",
        ),
        pytest.param(
            "staff.yaml", "id: A02", "id: A01", 4, "staff[A01].id",
            "编号“A01”与第 3 行的员工重复，请换一个编号。",
            id="two people with one id",
        ),
        pytest.param(
            "staff.yaml", "receive, inspect, countersign]", "receive, countersign]", 1, "staff",
            "没有人有“验收”的权限，请至少给一名员工的 rights 加上 inspect。",
            id="a right that nobody has",
        ),
        pytest.param(
            "returns.yaml", "owner: aftersales, rule: RET-05", "owner: logistics, rule: RET-05", 5, "stages.pickup.owner",
            "house.yaml 没有部门“logistics”，可写：customer_service、aftersales。",
            id="GEN-09 a stage owned by nobody",
        ),
        pytest.param(
            "returns.yaml", "outer:   {limit: 7 wd, owner: aftersales", "outer:   {limit: 7 wd, owner: x", 16, "outer.owner",
            "house.yaml 没有部门“x”，可写：customer_service、aftersales。",
            id="RET-10 an outer limit owned by nobody",
        ),
        pytest.param(
            "returns.yaml", "  refund:     {limit: 2 wd, owner: aftersales, rule: RET-09}\n", "", 1, "stages",
            "环节“待退款”没有时限，请补上 refund: {limit: 1 wd, owner: customer_service, rule: …}。",
            id="GEN-09 a waiting stage without promise",
        ),
        pytest.param(
            "returns.yaml", "outer: ", "  closed: {limit: 1 h, owner: aftersales, rule: X}\nouter: ", 16, "stages.closed",
            "退货没有环节“closed”，可写：review、question、correction、exception、pickup、receipt、tracing、inspection、resolution、sendback、countersign、release、refund、reimbursement。",
            id="GEN-09 a stage that does not wait",
        ),
        pytest.param(
            "returns.yaml", "freight_until_day: 30", "freight_until_day: 7", 22, "freight_until_day",
            "7 不大于 free_until_day 的 7，请写更大的天数，如 30。",
            id="AMB-15 band B without a day",
        ),
        pytest.param(
            "returns.yaml", "question_reminder: 3 d", "question_reminder: 7 d", 41, "question_reminder",
            "7 d 不短于 stages.question 的 7 d，请写更短的时间：先提醒客户，后结案。",
            id="NUM-223 a reminder that comes with the end",
        ),
        pytest.param(
            "returns.yaml", "label: 质量问题", "label: 七天无理由", 33, "reasons.quality.label",
            "名称“七天无理由”与 no_reason 的相同，请换一个，否则表单里分不清。",
            id="two reasons with one name",
        ),
        pytest.param(
            "returns.yaml", "[支付宝, 微信支付]", "[]", 28, "payment_routes",
            "一个付款方式也没有，请至少写一个。",
            id="MON-07 no way to pay back",
        ),
        # the customer's page
        pytest.param(
            "selfservice.yaml", "require_both: true", "require_both: false", 1, "require_both",
            "false 目前还不支持，请写 true：订单号和手机号都相符才能查询。",
            id="AMB-47 one of the two alone",
        ),
        pytest.param(
            "selfservice.yaml", "within: 10 min", "within: 1 wd", 3, "searches_per_address.within",
            "“1 wd”的单位不对，请用 min（分钟）或 h（小时），如 6 h。",
            id="AMB-47 tries are counted on the wall clock",
        ),
        pytest.param(
            "selfservice.yaml", "at_most: 8", "at_most: 0", 4, "searches_per_order.at_most",
            "0 太小，请写成不小于 1 的整数。",
            id="AMB-47 a search that nobody may make",
        ),
        pytest.param(
            "selfservice.yaml", "megabytes: 10", "megabytes: 100", 7, "photos.megabytes",
            "100 太大，请写成不大于 20 的整数。",
            id="POL-08 photos that no evidence could hold",
        ),
        pytest.param(
            "selfservice.yaml", "{quality:", "{qualty:", 9, "english.reasons.qualty",
            "returns.yaml 没有退货原因“qualty”，是不是想写“quality”。",
            id="SLF-03 an English name of nothing",
        ),
        # visits
        pytest.param(
            "followup.yaml", "after: 7 d, owner: customer_service, rule: FUP-01", "after: 7, owner: customer_service, rule: FUP-01", 6, "kinds.purchase.after",
            "7 没有单位，请写成 7 h（小时）、7 wd（工作日）或 7 d（自然日）。",
            id="FUP-01 a distance without unit",
        ),
        pytest.param(
            "followup.yaml", "after: 3 d", "after: 72 h", 9, "kinds.complaint.after",
            "“72 h”的单位不对，请用 d（天）或 wd（工作日），如 7 d。",
            id="FUP-07 a visit has a day, not an hour",
        ),
        pytest.param(
            "followup.yaml", '"02:00"', '"00:30"', 1, "at",
            "“00:30”太早，请写成 \"01:00\" 或更晚：有的时区在零点拨快时钟，会算成前一天。",
            id="P-01 an hour that may be of the day before",
        ),
        pytest.param(
            "followup.yaml", '"02:00"', '"2 点"', 1, "at",
            "“2 点”不是钟点，请写成 \"09:00\" 这样（00:00 到 23:59）。",
            id="NUM-219 an hour in words",
        ),
        pytest.param(
            "followup.yaml", "contacts_a_month: 4", "contacts_a_month: 0", 2, "contacts_a_month",
            "0 太小，请写成不小于 1 的整数。",
            id="FUP-11 nobody is ever called",
        ),
        pytest.param(
            "followup.yaml", "tries: 3\n", "", 1, "tries",
            "缺少“tries”，请补上，写成 tries: 7。",
            id="NUM-211 no number of tries",
        ),
        pytest.param(
            "followup.yaml", "months: 1,", "", 7, "kinds.use",
            "使用回访没有写多久，请补上 months: 1。",
            id="FUP-02 every how many months",
        ),
        pytest.param(
            "followup.yaml", "months: 1,", "months: 13,", 7, "kinds.use.months",
            "13 太大，请写成不大于 12 的整数。",
            id="FUP-02 less than once a year",
        ),
        pytest.param(
            "followup.yaml", "after: 7 d, owner: customer_service, rule: FUP-01", "months: 1, after: 7 d, owner: customer_service, rule: FUP-01", 6, "kinds.purchase.months",
            "新购回访不用 months，请删去，改写 after。",
            id="FUP-01 a first visit comes once",
        ),
        pytest.param(
            "followup.yaml", "return:    {is_on: true,", "return:    {is_on: true, after: 5 d,", 8, "kinds.return.after",
            "退换货回访不用 after，请删去，期限写在 returns.yaml 的 revisit。",
            id="FUP-03 a number that stands elsewhere",
        ),
        pytest.param(
            "followup.yaml", "  unsolved:  {is_on: true, after: 2 wd, owner: customer_service, rule: FUP-06}\n", "", 5, "kinds",
            "缺少回访“unsolved”，请补上 unsolved: {is_on: true, owner: customer_service, rule: …}。",
            id="FUP-06 a kind that is missing",
        ),
        pytest.param(
            "followup.yaml", "  use: ", "  usage: {is_on: true, months: 1, owner: customer_service, rule: X}\n  use: ", 7, "kinds.usage",
            "没有回访“usage”，是不是想写“use”。",
            id="FUP-09 a kind that there is not",
        ),
        pytest.param(
            "followup.yaml", "is_on: true, after: 7 d, owner: customer_service, rule: FUP-01", "is_on: yes, after: 7 d, owner: customer_service, rule: FUP-01", 6, "kinds.purchase.is_on",
            "“yes”用在这里不对，请写成是非，如 true 或 false。",
            id="FUP-09 a switch that is a word",
        ),
        pytest.param(
            "followup.yaml", "owner: customer_service, rule: FUP-01", "owner: sales, rule: FUP-01", 6, "kinds.purchase.owner",
            "house.yaml 没有部门“sales”，是不是想写“aftersales”。",
            id="FUP-01 visits of nobody",
        ),
        pytest.param(
            "followup.yaml", "{use: {months: 2}}", "{used: {months: 2}}", 13, "channels.官网.used",
            "没有回访“used”，是不是想写“use”。",
            id="FUP-09 a kind that there is not, of a channel",
        ),
        pytest.param(
            "followup.yaml", "{use: {months: 2}}", "{use: {after: 2 d}}", 13, "channels.官网.use.after",
            "使用回访不用 after，请删去，改写 months。",
            id="FUP-09 a distance that the kind has not, of a channel",
        ),
        pytest.param(
            "followup.yaml", "owner: customer_service, rule: SVY-05", "owner: nobody, rule: SVY-05", 16, "stages.revisit.owner",
            "house.yaml 没有部门“nobody”，可写：customer_service、aftersales。",
            id="SVY-05 a second visit of nobody",
        ),
        pytest.param(
            "followup.yaml", "  supervisor: {limit: 1 wd, owner: customer_service, rule: AMB-40}\n", "", 14, "stages",
            "缺少环节“supervisor”，请补上 supervisor: {limit: 1 wd, owner: customer_service, rule: …}。",
            id="AMB-40 no supervisor",
        ),
        # ladders
        pytest.param(
            "escalation.yaml", "after: 1 wd", "after: 1", 5, "ladders.stage[2].after",
            "1 没有单位，请写成 1 h（小时）、1 wd（工作日）或 1 d（自然日）。",
            id="ESC-04 a distance without unit",
        ),
        pytest.param(
            "escalation.yaml", "tell: [owner]", "tell: [ower]", 4, "ladders.stage[1].tell[1]",
            "“ower”不在可选值中，请写成 owner。",
            id="ESC-04 somebody who is nobody",
        ),
        pytest.param(
            "escalation.yaml", "tell: [owner]", "tell: []", 4, "ladders.stage[1].tell",
            "一个列表用在这里不对，请写成列表，如 [owner 或 head 或 manager 或 customer, …]。",
            id="ESC-04 a rung that tells nobody",
        ),
        pytest.param(
            "escalation.yaml", '"09:00"', '"9:00"', 1, "reminder.on_last_day",
            "“9:00”不是钟点，请写成 \"09:00\" 这样（00:00 到 23:59）。",
            id="ESC-05 a time of day",
        ),
        pytest.param(
            "escalation.yaml", "of_hours: 80", "of_hours: 100", 1, "reminder.of_hours",
            "100 太大，请写成不大于 99 的整数。",
            id="ESC-05 a reminder when it is too late",
        ),
        pytest.param(
            "notices.yaml", '"21:00-08:00"', '"21:00"', 1, "sending.quiet.customer",
            "“21:00”不是静默时段，请写成 \"22:00-08:00\" 这样，可以过午夜。",
            id="P-10 quiet hours without an end",
        ),
        pytest.param(
            "notices.yaml", '"21:00-08:00"', '"21:00-21:00"', 1, "sending.quiet.customer",
            "静默时段“21:00-21:00”的起止相同，请写成 \"22:00-08:00\" 这样；不需要静默时写 null。",
            id="P-10 quiet hours without length",
        ),
        pytest.param(
            "notices.yaml", "customer:", "sales:", 1, "sending.quiet.sales",
            "没有部门“sales”，是不是想写“aftersales”。",
            id="P-10 quiet hours of nobody",
        ),
        pytest.param(
            "notices.yaml", "give_up_after: 6 h", "give_up_after: 1 wd", 1, "sending.give_up_after",
            "“1 wd”的单位不对，请用 min（分钟）或 h（小时），如 6 h。",
            id="P-11 sending knows no working days",
        ),
        pytest.param(
            "notices.yaml", "  NTC-08: 24 h\n", "", 2, "expires",
            "缺少通知“NTC-08”，请补上一行 NTC-08: 24 h（多久以后不必再发；null 为总要发）。",
            id="a notice that the code tells has no words",
        ),
        pytest.param(
            "notices.yaml", "expires:", "expires:\n  DESK: null", 3, "expires.DESK",
            "名称“DESK”由系统自己使用，请给这份通知换一个名称。",
            id="ESC-04 a notice under a name of the house's own",
        ),
        pytest.param(
            "escalation.yaml", "notice: NTC-15", "notice: NTC15", 5, "ladders.stage[2].notice",
            "notices.yaml 没有通知“NTC15”，是不是想写“NTC-15”。",
            id="ESC-04 a notice without words",
        ),
        pytest.param(
            "escalation.yaml", "notice: NTC-15", "notice: NTC-07", 5, "ladders.stage[2].notice",
            "NTC-07 是办理过程中的通知，不能用来催办，请写：ESC-05、ESC-08、NTC-10、NTC-15、NTC-24。",
            id="ESC-04 a notice whose words no ladder gives",
        ),
        pytest.param(
            "escalation.yaml", "notice: ESC-05", "notice: NTC-01", 1, "reminder.notice",
            "NTC-01 是办理过程中的通知，不能用来催办，请写：ESC-05、ESC-08、NTC-10、NTC-15、NTC-24。",
            id="ESC-05 a notice that is told elsewhere",
        ),
        pytest.param(
            "escalation.yaml", "notice: ESC-05", "notice: ESC-08", 1, "reminder.notice",
            "ESC-08 是发给客户的通知，到期前的提醒发给责任部门，请换一份，如 ESC-05。",
            id="ESC-05 a customer's notice as the reminder",
        ),
        pytest.param(
            "escalation.yaml", "notice: NTC-10", "notice: ESC-05", 4, "ladders.stage[1].notice",
            "ESC-05 已用于到期前的提醒（reminder），超时后不会再发，请写另一份通知。",
            id="ESC-05 the reminder's notice for the breach",
        ),
        pytest.param(
            "escalation.yaml", "name: head", "name: reminder", 5, "ladders.stage[2].name",
            "名称不能以 reminder 开头，那是到期前的提醒；请换一个，如 breach。",
            id="ESC-05 a rung that is called as the reminder is",
        ),
        pytest.param(
            "escalation.yaml", "notice: NTC-15", "notice: ESC-08", 5, "ladders.stage[2].tell[1]",
            "ESC-08 是发给客户的通知，不能发给 head，请改成 customer，或换一份通知。",
            id="ESC-08 a customer's notice for a head",
        ),
        pytest.param(
            "escalation.yaml", "tell: [head]", "tell: [head, customer]", 5, "ladders.stage[2].tell[2]",
            "NTC-15 是发给内部的通知，不能发给 customer，请改成 owner、head 或 manager，或换一份通知。",
            id="NTC-15 a notice of the staff for a customer",
        ),
        pytest.param(
            "escalation.yaml", "name: head", "name: breach", 5, "ladders.stage[2].name",
            "名称“breach”在这个阶梯里重复，请换一个。",
            id="ESC-04 two rungs of one name",
        ),
        pytest.param(
            "escalation.yaml", "tell: [owner]}", "tell: [owner], after: 2 h}", 3, "ladders.stage",
            "第一级应当在超时那一刻，请把它写在最前面，不写 after。",
            id="ESC-04 a ladder that does not begin at the breach",
        ),
        pytest.param(
            "escalation.yaml", "tell: [owner]}", "tell: [owner], at: refund_bound}", 3, "ladders.stage",
            "第一级应当在超时那一刻，请把它写在最前面，不写 after。",
            id="AMB-13 a ladder that begins when the customer's time has passed",
        ),
        pytest.param(
            "escalation.yaml", "after: 1 wd}", "after: 1 wd, at: refund_bound}", 5, "ladders.stage[2]",
            "after 和 at 只能写一个，请删去其中一个。",
            id="AMB-13 a rung with two times",
        ),
        pytest.param(
            "escalation.yaml", "name: head", "name: provisional", 5, "ladders.stage[2].name",
            "名称不能以 provisional 开头，那是缺少日历时的通知；请换一个，如 breach。",
            id="P-05 a rung that is called as that of a missing calendar is",
        ),
        pytest.param(
            "escalation.yaml", "notice: NTC-24", "notice: ESC-08", 10, "provisional.notice",
            "ESC-08 是发给客户的通知，缺少日历时的通知发给售后经理，请换一份，如 NTC-24。",
            id="P-05 a customer's notice for the manager",
        ),
        pytest.param(
            "returns.yaml", "refund_bound: 3 wd", "refund_bound: 1 wd", 18, "refund_bound",
            "1 wd 短于 stages.refund 的 2 wd，请写成 2 wd 或更长：告诉客户的不早于我们自己的期限。",
            id="AMB-13 the customer is told less time than we have",
        ),
        pytest.param(
            "escalation.yaml", "review: stage", "review: stag", 6, "returns.review",
            "没有阶梯“stag”，是不是想写“stage”；不用催办的环节写 null。",
            id="ESC-04 a ladder that does not exist",
        ),
        pytest.param(
            "escalation.yaml", "review: stage, ", "", 6, "returns",
            "环节“review”没有写用哪个阶梯，请补上；不用催办的写 review: null。",
            id="ESC-04 a stage that nobody watches",
        ),
        pytest.param(
            "escalation.yaml", "review: stage, ", "review: stage, revue: stage, ", 6, "returns.revue",
            "退货没有环节“revue”，是不是想写“review”。",
            id="ESC-04 a stage that does not exist",
        ),
        # calendars
        pytest.param(
            "calendars/2026.yaml", "year: 2026", "year: 2025", 1, "year",
            "2025 与文件名的年份不同，请写成 2026，或给文件改名。",
            id="AMB-11 a calendar of another year",
        ),
        pytest.param(
            "calendars/2026.yaml", "2026-10-01", "2025-10-01", 3, "days_off.2025-10-01",
            "2025-10-01 不在 2026 年，请移到 2025.yaml，或改正日期。",
            id="AMB-11 a day of another year",
        ),
        pytest.param(
            "calendars/2026.yaml", "2026-10-01", "2026-13-01", 3, "days_off.2026-13-01",
            "“2026-13-01”用在这里不对，请写成日期，如 2026-01-01。",
            id="AMB-11 a date that does not exist",
        ),
        pytest.param(
            "calendars/2026.yaml", "2026-10-01: 国庆节", "2026-10-01:", 3, "days_off.2026-10-01",
            "没有填值，请写成文字。",
            id="AMB-11 a day off without name",
        ),
        pytest.param(
            "calendars/2026.yaml", "2026-10-10", "2026-10-09", 5, "makeup_workdays.2026-10-09",
            "2026-10-09 不是周六或周日，本来就上班，请删去或改正日期。",
            id="AMB-11 a make-up workday on a Friday",
        ),
        pytest.param(
            "calendars/2026.yaml", "2026-10-01", "2026-10-10", 5, "makeup_workdays.2026-10-10",
            "2026-10-10 在第 3 行又是放假日，请只留一处。",
            id="AMB-11 worked and off on one day",
        ),
    ],
)  # fmt: skip
def test_a_mistake_says_where_and_what_to_write(folder, file, old, new, line, key, text):
    folder.change(file, old, new)

    assert Mistake(file, line, key, text) in folder.mistakes()


def test_esc10_a_list_of_visits_has_no_customer_to_tell(folder):
    ladder = "  apology:\n    - {name: breach, rule: ESC-08, notice: ESC-08, tell: [customer]}\n"
    folder.change("escalation.yaml", "returns: {", f"{ladder}returns: {{")
    folder.change("escalation.yaml", "{visit: stage", "{visit: apology")

    (mistake,) = folder.mistakes()
    assert (mistake.key, mistake.text) == (
        "followup.visit",
        "回访的清单没有客户，阶梯“apology”却要通知 customer，请换一个阶梯。",
    )


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("returns.yaml", "limit: 24 h", "limit: 24", id="a bare number"),
        pytest.param("returns.yaml", '"12.00"', "12.00", id="money"),
        pytest.param("house.yaml", "Asia/Shanghai", "Beijing", id="a time zone"),
        pytest.param("house.yaml", "head: C01", "head: C99", id="a head"),
        pytest.param("returns.yaml", "freight_until_day: 30", "freight_until_day: 7", id="age bands"),
    ],
)
def test_one_mistake_is_one_sentence(folder, file, old, new):
    folder.change(file, old, new)

    assert len(folder.mistakes()) == 1


def test_all_mistakes_of_all_files_are_found_at_once(folder):
    folder.change("house.yaml", "Asia/Shanghai", "Beijing")
    folder.change("house.yaml", "head: C01", "head: C99")
    folder.change("staff.yaml", '"2000.00"', "2000")
    folder.change("returns.yaml", "limit: 24 h", "limit: 24")
    folder.change("returns.yaml", "freight_until_day: 30", "freight_until_day: 7")
    folder.change("returns.yaml", "owner: customer_service, rule: RET-04", "owner: custmer, rule: RET-04")
    folder.change("calendars/2026.yaml", "2026-10-10", "2026-10-09")
    (folder.path / "calendars" / "2027.yaml").write_text("year: [2027\n", "utf-8")

    places = [(mistake.file, mistake.line) for mistake in folder.mistakes()]

    assert places == [
        ("house.yaml", 2),
        ("house.yaml", 8),
        ("staff.yaml", 4),
        ("returns.yaml", 2),
        ("returns.yaml", 3),
        ("returns.yaml", 22),
        ("calendars/2026.yaml", 5),
        ("calendars/2027.yaml", 2),
    ]


def test_the_error_itself_lists_them(folder):
    folder.change("returns.yaml", "limit: 24 h", "limit: 24")

    with pytest.raises(TermsError) as error:
        folder.load()

    first, only = str(error.value).split("\n")
    assert first == "规则文件有 1 处错误，请改正后再试："
    assert only == (
        f"{folder.path}/returns.yaml 第 2 行 stages.review.limit："
        "24 没有单位，请写成 24 h（小时）、24 wd（工作日）或 24 d（自然日）。"
    )


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        pytest.param(None, 0, "没有这个文件，请建立它", id="a file is missing"),
        pytest.param(b"", 0, "文件是空的，请填写", id="a file is empty"),
        pytest.param(b"# nothing\n", 0, "文件是空的，请填写", id="a file holds comments alone"),
        pytest.param("语言：中文\n".encode(), 1, "半角冒号加空格", id="a full-width colon makes no table"),
        pytest.param("语言".encode("gb18030"), 0, "不是 UTF-8 编码", id="a file in another encoding"),
        pytest.param(b"language: zh\n\ttimezone: x\n", 2, "YAML 写法不对", id="a tab"),
        pytest.param(b"language: [zh\n", 2, "YAML 写法不对", id="a bracket left open"),
        pytest.param(b"- language\n", 1, "半角冒号加空格", id="a list instead of a table"),
    ],
)
def test_a_file_that_cannot_be_read(folder, content, line, text):
    if content is None:
        (folder.path / "house.yaml").unlink()
    else:
        (folder.path / "house.yaml").write_bytes(content)

    (mistake,) = folder.mistakes()  # nothing follows from it: other files are not blamed for what is missing here

    assert (mistake.file, mistake.line) == ("house.yaml", line)
    assert text in mistake.text


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(TermsError, match="没有这个文件夹，请在项目的根目录运行"):
        terms.load(tmp_path / "config")


def test_a_calendar_under_another_name(folder):
    (folder.path / "calendars" / "新年.yaml").write_text(CALENDAR, "utf-8")

    (mistake,) = folder.mistakes()

    assert mistake.text == "文件名应当是四位年份，请改名为 2026.yaml 这样。"


WHOLE = "第一行写标题，其后写正文；有短信文字的，写在单独一行 --- 之后。"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(None, "读不到通知模板 {path}，请补上该文件（UTF-8，第一行为标题）。", id="no template"),
        pytest.param("已收到\n", "通知模板 {path} 不完整，" + WHOLE, id="a subject without body"),
        pytest.param("已收到\n您好\n---\n", "通知模板 {path} 不完整，" + WHOLE, id="a short text that is empty"),
        pytest.param(
            "已收到\n{case_no", "通知模板 {path} 的花括号不成对，请写成 {{case_no}} 这样。", id="an open brace"
        ),
        pytest.param(
            "已收到\n{case}您好",
            "通知模板 {path} 的 {{case}} 没有内容可填，是不是想写“{{case_no}}”。",
            id="no such placeholder",
        ),
        pytest.param(
            "已收到\n您好\n---\n{amount}",
            "通知模板 {path} 的 {{amount}} 没有内容可填，可写：{{case_no}}、{{due}}、{{order_no}}、{{total}}。",
            id="a placeholder of another notice, in the short text",
        ),
        pytest.param(
            "已收到\n{due!r}您好", "通知模板 {path} 的 {{due}} 没有内容可填，是不是想写“{{due}}”。", id="a conversion"
        ),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_notice_whose_words_cannot_be_used(folder, content, text, language):
    path = folder.path / "notices" / language / "NTC-01.txt"
    if content is None:
        path.unlink()
    else:
        path.write_text(content, "utf-8")

    assert folder.mistakes() == [Mistake("notices.yaml", 3, "expires.NTC-01", text.format(path=path))]


ONE_ALONE = "rights: [pickup, receive, inspect, countersign]"


def test_rfd02_who_alone_could_countersign_must_not_be_who_approves(folder):
    folder.change("staff.yaml", ONE_ALONE, ONE_ALONE.replace(", countersign", ""))

    assert [str(mistake.text) for mistake in folder.mistakes()] == [
        "只有 A01 一人能复核退款，而此人也能审批：审批过的单就没有人复核了，"
        "请给 aftersales 的另一名员工的 rights 加上 countersign。"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param(
            "staff.yaml", "approve_exception, countersign", "approve_exception", id="one who approves nothing"
        ),
        pytest.param("returns.yaml", 'above: "500.00"', "above: null", id="where nobody ever countersigns"),
    ],
)
def test_rfd02_one_countersigner_is_enough(folder, file, old, new):
    if file == "returns.yaml":
        folder.change("staff.yaml", ONE_ALONE, ONE_ALONE.replace(", countersign", ""))
    folder.change(file, old, new)

    assert folder.load()


def test_no_calendar_is_no_mistake(folder):
    (folder.path / "calendars" / "2026.yaml").unlink()

    assert folder.load().calendars == {}


# --- the terms of a case --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        pytest.param("returns.yaml", "limit: 24 h", "limit: 48 h", False, id="GEN-07 a window is another version"),
        pytest.param("returns.yaml", '"12.00"', '"12.01"', False, id="GEN-07 a fee is another version"),
        pytest.param("followup.yaml", "tries: 3", "tries: 1", False, id="GEN-07 how often we call is another version"),
        pytest.param("followup.yaml", "limit: 24 h", "limit: 48 h", False, id="GEN-07 the window of a second revisit too"),
        pytest.param("followup.yaml", "contacts_a_month: 4", "contacts_a_month: 5", True, id="whom a night leaves out judges no case"),
        pytest.param("followup.yaml", '"02:00"', '"03:00"', True, id="the hour of the round judges nothing"),
        pytest.param("house.yaml", "makeup_days_count: false", "makeup_days_count: true", False, id="a switch too"),
        pytest.param("house.yaml", "24x7", '"09:00-17:00"', False, id="opening hours too"),
        pytest.param("house.yaml", "language: zh", "language: en", True, id="the language judges nothing"),
        pytest.param("house.yaml", "head: C01", "head: A01", True, id="a new head judges nothing"),
        pytest.param("staff.yaml", "name: 许诺", "name: 许多", True, id="staff judge by the rules"),
        pytest.param("calendars/2026.yaml", "2026-10-01", "2026-10-02", True, id="calendars come when they come"),
        pytest.param("returns.yaml", "limit: 24 h", "limit:   24 h", True, id="writing is not content"),
        pytest.param("returns.yaml", "free_until_day: 7\nfreight_until_day: 30", "freight_until_day: 30\nfree_until_day: 7", True, id="order is not content"),
    ],
)  # fmt: skip
def test_the_fingerprint_is_of_what_judges_a_case(folder, file, old, new, same):
    before = terms.fingerprint(folder.load())
    folder.change(file, old, new)

    assert (terms.fingerprint(folder.load()) == before) == same


def test_gen_07_a_case_is_judged_by_its_own_terms_and_todays_people(folder):
    then = folder.load()
    stored = json.loads(json.dumps(terms.dump(then)))
    folder.change("returns.yaml", '"12.00"', '"20.00"')
    folder.change("followup.yaml", "tries: 3", "tries: 1")
    folder.change("followup.yaml", "contacts_a_month: 4", "contacts_a_month: 5")
    folder.change("house.yaml", "makeup_days_count: false", "makeup_days_count: true")
    folder.change("staff.yaml", "name: 许诺", "name: 许多")
    today = folder.load()

    judging = terms.restore(stored, live=today)

    assert terms.fingerprint(judging) == terms.fingerprint(then)
    assert judging.returns == then.returns
    assert (judging.followup.tries, judging.followup.contacts_a_month) == (3, 5)
    assert not judging.house.makeup_days_count
    assert judging.staff()["A02"].name == "许多"


def test_gen_07_stored_terms_outlive_a_key(folder):
    live = folder.load()
    stored = terms.dump(live)
    stored["returns"]["a_key_of_an_old_release"] = 1
    del stored["returns"]["choose_route"]

    assert terms.restore(stored, live=live).returns == live.returns


def test_gen_07_terms_stored_before_followup_was_kept_take_todays(folder):
    live = folder.load()
    stored = terms.dump(live)
    del stored["followup"]

    assert terms.restore(stored, live=live).followup == live.followup


def test_gen_07_stored_followup_terms_outlive_a_key_and_a_stage(folder):
    live = folder.load()
    stored = json.loads(json.dumps(terms.dump(live)))
    stored["followup"]["a_key_of_an_old_release"] = 1
    stored["followup"]["stages"]["a_stage_of_an_old_release"] = stored["followup"]["stages"].pop("supervisor")

    assert terms.restore(stored, live=live).followup == live.followup


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a [1, 2]\nb: [*a, *a]\n"], ids=["in itself", "unfolding"])
def test_an_alias_is_refused_with_its_line(tmp_path: Path, text: str):
    for name in terms.FILES:
        (tmp_path / f"{name}.yaml").write_text(text)

    with pytest.raises(terms.TermsError) as error:
        terms.load(tmp_path)

    assert "不支持 YAML 的引用" in str(error.value)
