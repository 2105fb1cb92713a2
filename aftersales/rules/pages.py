"""
What people read about a case: the summary above a form, the timeline, the quote (GEN-10, GEN-13).

Pure text from facts, in Chinese; contacts arrive here masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from aftersales.rules import clocks
from aftersales.rules.ladders import PROVISIONAL, REMINDER
from aftersales.rules.lists import Visit
from aftersales.rules.standing import QUESTION, Standing, Told, asks, evidence_label, lines_of
from aftersales.terms import Returns
from aftersales.words import (
    PREFECT,
    ZERO,
    AgeBand,
    Effect,
    Event,
    Feedback,
    Grade,
    Heard,
    Line,
    Outcome,
    Process,
    Shipping,
    Staff,
    Stage,
    matter,
)

SAMPLED = "质检抽样"
# so much of what a customer has said stands in a list
MOST_SAID = 40


class Dated(Told, Protocol):
    """A journal row with its due time and rule."""

    @property
    def due_at(self) -> datetime | None: ...
    @property
    def rule(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A journal row as people read it."""

    at: str
    actor: str
    what: str
    due: str
    timing: str
    result: str
    rule: str


@dataclass(frozen=True, slots=True)
class Reader:
    """What is needed to turn codes into words: the terms of returns, the staff, the house zone."""

    returns: Returns
    staff: Mapping[str, Staff]
    departments: Mapping[str, str]
    zone: ZoneInfo

    def time(self, at: datetime) -> str:
        """An instant in house time: `2026-11-22 15:04`."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def due(self, at: datetime) -> str:
        """The end of a window in house time: midnight is 24:00 of the day before, since due times are exclusive."""
        local = at.astimezone(self.zone)
        if (local.hour, local.minute, local.second) == (0, 0, 0):
            return f"{local - timedelta(days=1):%Y-%m-%d} 24:00"
        return self.time(at)

    def who(self, actor: str) -> str:
        """A person or party by name."""
        if actor in self.staff:
            return self.staff[actor].choice
        return {
            "system": "系统",
            "carrier": "承运商",
            "payment": "支付渠道",
            "customer": "客户",
            "shop": "店铺系统",
            PREFECT: "Prefect 界面",
        }.get(actor, actor)

    def recipient(self, to: str) -> str:
        """Whom a notice is for: `department:…`, `staff:…` or `customer`."""
        kind, _, key = to.partition(":")
        return self.departments.get(key, key) if kind == "department" else self.who(key or kind)

    def reason(self, code: str) -> str:
        """A reason's label."""
        return self.returns.reasons[code].label if code in self.returns.reasons else code

    def told(self, entry: Dated) -> Row:
        """A journal row as people read it: who, what, by when, early or late, with what result."""
        what, result = _what(entry, self)
        due = "" if entry.due_at is None else clocks.marked(self.due(entry.due_at), "provisional" in entry.data)
        timing = ""
        if entry.kind == "decision" and entry.due_at is not None:
            timing = spoken_difference(entry.at, entry.due_at)
        rule = entry.data["notice"] if entry.kind == "notice" else entry.rule
        return Row(self.time(entry.at), self.who(entry.actor), what, due, timing, result, rule)


def spoken_difference(at: datetime, due_at: datetime) -> str:
    """How early or late something was: `提前 3 小时`, `超时 2 天`; the due time itself is already late (exclusive)."""
    seconds = int((due_at - at).total_seconds())
    word, seconds = ("提前", seconds) if seconds > 0 else ("超时", -seconds)
    if seconds >= 172_800:
        return f"{word} {seconds // 86_400} 天"
    if seconds >= 3_600:
        return f"{word} {seconds // 3_600} 小时"
    return f"{word} {seconds // 60} 分钟"


def spoken_delay(due_at: datetime, at: datetime) -> str:
    """How late something that is still open is: `已超时 3 小时`."""
    return "刚刚超时" if at - due_at < timedelta(minutes=1) else f"已{spoken_difference(at, due_at)}"


def money_table(lines: Sequence[Line], total: str) -> str:
    """A bill as a Markdown table."""
    rows = [
        f"| {cell(line.label)}{f'（{cell(line.note)}）' if line.note else ''} | {line.rule} | {line.amount:.2f} |"
        for line in lines
    ]
    return "\n".join(["| 项目 | 规则 | 金额（元） |", "| --- | --- | ---: |", *rows, f"| **合计** |  | **{total}** |"])


def quote_page(case_no: str, standing: Standing) -> str:
    """The quote and every bill so far."""
    quote = standing.request["quote"]
    parts = [f"# {case_no} 退款测算", _band(quote), money_table(lines_of(quote), quote["total"])]
    parts += [f"- 需人工决定：{reason}" for reason in quote["needs_person"]]
    for number, bill in enumerate(standing.bills, 1):
        parts += [f"## 第 {number} 次收货的结算", money_table(lines_of(bill), bill["total"])]
    return "\n\n".join(parts)


def parcel_page(rows: Sequence[Mapping[str, Any]], reader: Reader, at: datetime) -> str:
    """The list of parcels that arrived without a case, oldest first."""
    lines = [
        f"| {cell(r['data'].get('tracking_no') or '')} | {cell(r['data'].get('carrier') or '')} "
        f"| {cell('、'.join(i['sku'] + ' ×' + str(i['quantity']) for i in r['data'].get('items') or ()))} "
        f"| {cell(r['data'].get('remark') or '')} | {cell(reader.who(r['actor']))} | {reader.time(r['received_at'])} |"
        for r in rows
    ]
    head = ["| 运单号 | 承运商 | 商品 | 备注 | 登记人 | 收货时间 |", "| --- | --- | --- | --- | --- | --- |"]
    foot = (
        f"共 {len(rows)} 件。找到售后单后，用部署“到件登记”填写同一运单号和售后单号，系统按原收货时间匹配；"
        "寄回客户或另行处理了的，用命令 aftersales parcel done 运单号 --as 工号 --note 怎样处理 销账。"
    )
    return "\n".join(
        ["# 无主包裹", "", f"更新于 {reader.time(at)}。", "", *([*head, *lines, ""] if rows else []), foot]
    )


def work_page(kind: str, rows: Sequence[Mapping[str, Any]], reader: Reader, at: datetime) -> str:
    """The list of pick-ups or returns to the customer to arrange, or of payments to make, oldest first."""
    if kind == "refund":
        title, head = "转账清单", "| 售后单 | 订单 | 金额（元） | 退款方式 | 登记时间 |"
        align = "| --- | --- | ---: | --- | --- |"
        lines = [
            f"| {linked(r['case_no'], r['run_id'])} | {cell(r['order_no'])} | {r['amount']:.2f} | {cell(r['route'])} | {reader.time(r['created_at'])} |"
            for r in rows
        ]
        total = sum((row["amount"] for row in rows), ZERO)
        foot = f"共 {len(rows)} 笔，合计 {total:.2f} 元。付款后请在该售后单的运行页面（点售后单号）用 ⋮ → Resume 确认退款。"
    else:
        title = "取件清单" if kind == "pickup" else "寄回清单"
        head = "| 售后单 | 订单 | 地区 | 商品 | 登记时间 |"
        align = "| --- | --- | --- | --- | --- |"
        lines = [
            f"| {linked(r['case_no'], r['run_id'])} | {cell(r['order_no'])} | {cell(r['region'])} | {cell('、'.join(i['sku'] + ' ×' + str(i['quantity']) for i in r['data']['items']))} "
            f"| {reader.time(r['created_at'])} |"
            for r in rows
        ]
        done = "取件" if kind == "pickup" else "寄出"
        foot = f"共 {len(rows)} 单。{done}后请在该售后单的运行页面（点售后单号）用 ⋮ → Resume 登记承运商和运单号。"
    table = [head, align, *lines, ""] if rows else []
    return "\n".join([f"# {title}", "", f"更新于 {reader.time(at)}。", "", *table, foot])


def linked(case_no: str, run_id: object) -> str:
    """A case's number that leads to its run, where its form is."""
    return f"[{case_no}](/v2/runs/flow-run/{run_id})" if run_id else case_no


def timeline_page(case_no: str, entries: Iterable[Dated], reader: Reader) -> str:
    """The whole history as a Markdown table."""
    # few columns, some with a least width: Prefect gives a page half of the window, and dates and names would break
    head = " | ".join(wide(*column) for column in (("时间", 16), ("谁", 18), ("事项", 10), ("结果", 0), ("截止", 14)))
    rows = [f"| {head} |", "| --- | --- | --- | --- | --- |"]
    for entry in entries:
        row = reader.told(entry)
        due = f"{row.due}（{row.timing}）" if row.timing else row.due
        rows.append(f"| {row.at} | {cell(row.actor)} | {cell(row.what)} | {cell(row.result)} | {due} |")
    return f"# {case_no} 时间线\n\n" + "\n".join(rows)


def summary(
    *,
    case_no: str,
    order: Mapping[str, str],
    standing: Standing,
    stage: Stage,
    owner: str,
    due: str,
    trace: Sequence[str],
    history: Iterable[Dated],
    refusal: str,
    reader: Reader,
    parked: str = "",
    own_words: str = "",
) -> str:
    """The case in one page, above the form: what it is about, what it pays, by when, what happened so far."""
    request = standing.request
    parts = []
    if refusal:
        parts.append(f"> ⚠️ **上次提交未被接受：{cell(refusal)}**")
    if parked:
        parts.append(
            f"> ⏳ **正在等待外部系统：{cell(parked)}。系统会自动重试；已用其他方式办妥的，也可直接填写下面的表单。**"
        )
    if standing.asked is not None:
        asker = matter(standing.asked.gate)
        parts.append(f"> ⏸ **等待客户答复，{asker}暂停计时：{cell(standing.asked.question)}**")
    parts.append(f"## {case_no} {stage.label}（{owner}）")
    parts.append(f"**请在 {due}处理**" if due else "")
    # the window that Prefect gives a form is narrow: a fact a line, not a column
    facts = [
        ("订单", f"{order['order_no']}（{order['channel']}）"),
        ("客户", f"{order['name']} {order['phone']}".strip() or "未留姓名和电话"),
        ("申请", f"{reader.reason(request['reason'])}，{Shipping(request['shipping']).label}"),
        ("付款", f"{order['payment_route']}，运费险：{order['insured']}"),
    ]
    first, *others = [f"| {label} | {cell(text)} |" for label, text in facts]
    parts.append("\n".join([first, "| --- | --- |", *others]))
    outstanding = {} if stage.is_over else standing.outstanding  # what has ended waits for nothing
    items = ["| 行 | 商品编码 | 商品 | 申请数量 | 待收 |", "| ---: | --- | --- | ---: | ---: |"]
    items += [
        f"| {i['line_no']} | {cell(i['sku'])} | {cell(i['name'])} | {i['quantity']} | {outstanding.get(i['line_no'], 0)} |"
        for i in standing.items
    ]
    parts.append("\n".join(items))
    is_undecided = standing.reckoned is not None and stage is Stage.RESOLUTION
    bill = standing.reckoned if is_undecided else standing.bills[-1] if standing.bills else request["quote"]
    assert bill is not None
    parts.append("### " + ("按规则应退" if is_undecided else "本次应退" if standing.bills else "退款测算"))
    parts.append(_band(bill))
    parts.append(money_table(lines_of(bill), bill["total"]))
    parts += [f"- {cell(age)}" for age in request.get("ages", ())]
    parts += [f"- 需人工决定：{cell(reason)}" for reason in bill.get("needs_person", ())]
    parts += [f"- 请注意：{cell(hint)}" for hint in request.get("hints", ())]
    parts += [f"- 付款：{cell(bill['route'])}"] if bill.get("route") else []
    if remark := request.get("remark") or own_words:
        parts.append(f"备注：{cell(remark)}")
    if standing.evidence:
        parts.append("### 凭证\n\n" + "\n".join(f"- {cell(piece)}" for piece in standing.evidence))
    return _told(parts, trace, history, reader)


def revisit_summary(
    *,
    case_no: str,
    order: Mapping[str, str],
    stage: Stage,
    owner: str,
    due: str,
    trace: Sequence[str],
    history: Sequence[Dated],
    refusal: str,
    reader: Reader,
    written: Sequence[tuple[str, str]] = (),
) -> str:
    """
    A second revisit in one page, above the form: whom it is about, what they said, by when, what happened so far.

    `written` is what they wrote in free text, masked.
    """
    begun = history[0].data
    parts = [f"> ⚠️ **上次提交未被接受：{cell(refusal)}**"] if refusal else []
    parts += [f"## {case_no} {stage.label}（{owner}）", f"**请在 {due}处理**"]
    facts = [
        ("来自", str(begun["about"])),
        ("订单", f"{order['order_no']}（{order['channel']}）"),
        ("客户", f"{order['name']} {order['phone']}".strip() or "未留姓名和电话"),
    ]
    first, *others = [f"| {label} | {cell(text)} |" for label, text in facts]
    parts.append("\n".join([first, "| --- | --- |", *others]))
    # a question ends as one, in its answer's line it does not
    answers = [f"- {cell(asked.rstrip('？?'))}：{cell(said)}" for asked, said in (*begun.get("answers", ()), *written)]
    parts.append("### 客户的评价\n\n" + "\n".join(answers or ["- 不满意"]))
    return _told(parts, trace, history, reader)


def visits_summary(
    *,
    case_no: str,
    agent: str,
    stage: Stage,
    due: str,
    history: Sequence[Dated],
    refusal: str,
    reader: Reader,
    visits: Sequence[Visit],
    on: date,
) -> str:
    """A list of visits in one page, above the form: who is still to be called, the overdue first; contacts are masked."""
    parts = [f"> ⚠️ **上次提交未被接受：{cell(refusal)}**"] if refusal else []
    parts += [f"## {case_no} {stage.label}（{cell(agent)}）", f"**最早一位请在 {due}回访**，还有 {len(visits)} 位"]
    parts.append(visits_table(visits, on=on))
    return _told(parts, (), history, reader)


def visits_table(visits: Sequence[Visit], *, on: date) -> str:
    """Whom a list still names, as a Markdown table, as on a day."""
    # the form is narrow: what is short must not break
    columns = (
        wide("编号", 0),
        wide("订单", 0),
        wide("客户", 8),
        wide("类型", 4),
        wide("截止", 9),
        wide("已打", 0),
        wide("上次反馈", 0),
    )
    rows = []
    for visit in visits:
        late = " **超时**" if visit.due_on < on else ""
        cells = [
            str(visit.id),
            cell(f"{visit.order_no} 售后单 {visit.case_no}" if visit.case_no else visit.order_no),
            cell(f"{visit.masked_name} {visit.masked_phone}".strip()),
            cell(visit.label),
            f"{visit.due_on.month}月{visit.due_on.day}日{late}",
            f"{visit.tries}次" if visit.tries else "",
            cell(visit.said if len(visit.said) <= MOST_SAID else f"{visit.said[:MOST_SAID]}…"),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"| {' | '.join(columns)} |", "| ---: | --- | --- | --- | --- | --- | --- |", *rows])


def visits_page(case_no: str, agent: str, visits: Sequence[Visit], *, on: date) -> str:
    """The list by itself, as the agent's work list (NTC-21)."""
    return f"# {case_no} 回访清单（{cell(agent)}）\n\n{visits_table(visits, on=on) if visits else '没有要回访的了。'}"


def _told(parts: list[str], trace: Sequence[str], history: Iterable[Dated], reader: Reader) -> str:
    """End a summary: why it is due then, and what happened so far."""
    if trace:
        parts.append("### 时限说明\n\n" + "\n".join(f"- {cell(line)}" for line in trace))
    parts.append("### 处理记录")
    entries = list(history)
    finished = {entry.entry.removesuffix(".outcome") for entry in entries if entry.kind == "outcome"}
    for entry in entries:
        # the form stands below: only what somebody did; how the case wandered is in the timeline
        if entry.kind in ("gate", "outer", "reckoning", "sending"):
            continue
        if entry.kind == "intent" and entry.entry.removesuffix(".intent") in finished:
            continue
        row = reader.told(entry)
        result = f"：{cell(row.result)}" if row.result else ""
        timing = f"（{row.timing}）" if row.timing else ""
        parts.append(f"- {row.at} {cell(row.actor)} {cell(row.what)}{result}{timing}")
    return "\n\n".join(part for part in parts if part).replace("\n\n- ", "\n- ")


def cell(text: str) -> str:
    """Text that cannot break out of a Markdown table or turn into markup or HTML."""
    for character in "\\|*_`[]<>#":
        text = text.replace(character, f"\\{character}" if character not in "<>" else {"<": "＜", ">": "＞"}[character])
    return " ".join(text.split())


def wide(heading: str, blanks: int) -> str:
    """A column's heading that keeps the column from becoming narrower: characters and blanks that do not break."""
    return "\N{WORD JOINER}".join(heading) + "\N{NO-BREAK SPACE}" * blanks


def _band(bill: Mapping[str, Any]) -> str:
    band = bill.get("age_band")
    return f"货龄：{AgeBand(band).label}" if band else "货龄：未知（无签收日期）"


def _what(entry: Dated, reader: Reader) -> tuple[str, str]:
    """What a journal row says: the matter and its result."""
    data = entry.data
    name, asked = entry.entry.rpartition("-")[0], entry.entry.split(".")[0]
    match entry.kind:
        case "opened":
            what = f"订单 {data['order_no']}，{_items(data)}，{reader.reason(data['reason'])}"
            # whoever applied by themselves is not the one who has it in hand
            owner = f"，首问责任人 {reader.who(data['operator'])}" if data.get("via") else ""
            return "提交申请", what + owner
        case "begun":
            return "开始二次回访", f"来自 {data['about']}：客户评价不满意"
        case "drawn":
            return f"请客户参加{Process.SURVEY.label}", f"{data['month']}，订单 {data['order_no']}"
        case "revisit":
            return "转为二次回访", data["revisit_no"]
        case "listed":
            return "列出回访清单", f"{reader.who(data['agent'])}，{data['visits']} 位"
        case "survey":
            need = "；还有其他需要" if data["other_need"] else ""
            return "客户评价", f"{'满意' if data['satisfied'] else '不满意'}{need}"
        case "amended":
            return "更新申请", f"{_items(data)}，{reader.reason(data['reason'])}"
        case "gate":
            owner = reader.departments.get(data["owner"], data["owner"])
            return f"进入{Stage(data['stage']).label}", f"由{owner}处理"
        case "decision":
            return _gate_name(name), _decision(name, data, reader)
        case "refused":
            told = entry.entry.partition(".refused")[0]
            if told in {event.value for event in Event}:
                return f"“{Event(told).label}”未被接受", data["reason"]
            return f"{_gate_name(asked.rpartition('-')[0] or asked)}的提交未被接受", data["reason"]
        case "late":
            return ("收到的消息（未采用）" if "told" in data else "迟到的提交（未采用）"), data.get("reason", "")
        case "intent":
            return _step_name(entry.entry), "开始"
        case "outcome":
            return _step_name(entry.entry), {"done": "已提交", "refused": "被拒绝", "unknown": "结果未知"}[
                data["outcome"]
            ]
        case "bill":
            return ("撤销结算" if name == "void" else "结算"), f"应退 {data['total']} 元"
        case "sending":
            return "核对退回路线", data["reason"] or "原路退回"
        case "reckoning":
            return "按规则测算", f"应退 {data['total']} 元"
        case "reimbursement":
            return "应补运费", f"{data['total']} 元"
        case "kept":
            kept = "、".join(f"{i['sku']} ×{i['quantity']} 可再销售" for i in data["restocked"])
            return "入库记录", kept or "没有可再销售的商品"
        case "complaint":
            return "转为投诉", data.get("complaint_no") or f"来自 {data.get('about', '')}：{data.get('reason', '')}"
        case "parked":
            return f"{data['step']}暂停", f"{data['reason']}，{data['minutes']} 分钟后再试"
        case "failed":
            return f"{_step_name(entry.entry)}失败", data["reason"]
        case "rung":
            told = "、".join(map(reader.recipient, data["told"]))
            return (
                matter(data["stage"]) + {REMINDER: "即将到期", PROVISIONAL: "的时限暂定"}.get(data["rung"], "超时"),
                f"通知{told}" if told else "",
            )
        case "recount":
            return "重算时限", f"{matter(data['stage'])}：{data['was']} → {data['due']}（{data['years']} 年的日历已有）"
        case "extension":
            return "延期", f"{data['was']} → {data['due']}：{data['reason']}"
        case "reconciled":
            return f"巡检：{entry.data['found']}", entry.data["done"]
        case "sample":
            return SAMPLED, "由质检人员复核处理结果"
        case "notice":
            return "通知客户", _subject(data)
        case "delivery":
            subject = _subject(data)
            return f"通知{reader.recipient(data['to'])}", (f"“{subject}”" if subject else "") + data["text"]
        case "cancelled":
            return "取消售后单", data.get("reason", "")
        case "closed":
            unsolved = "，未解决" if data.get("solved") is False else ""
            return "结案", Stage(data["stage"]).label + unsolved + (f"：{data['note']}" if data.get("note") else "")
        case "evidence":
            return "补充凭证", evidence_label(data)
        case "access":
            return "查看客户联系方式", data.get("reason", "")
        case "contact":
            return "登记联系方式" if data["kind"] == "contact" else "登记收款账户", ""
        case "visit":
            return "安排回访", data["due_on"]
        case "outer":
            return "整单时限开始计时", f"由{reader.departments.get(data['owner'], data['owner'])}负责"
    return entry.entry, ""


def _gate_name(name: str) -> str:
    return {
        "review": "审核",
        "question": "客户答复",
        "correction": "补正",
        "exception": "例外审批",
        "pickup": "取件",
        "receipt": "收货",
        "tracing": "查件",
        "inspection": "验收",
        "resolution": "处理决定",
        "sendback": "寄回客户",
        "countersign": "复核",
        "release": "放款",
        "refund": "退款",
        "reimbursement": "补运费",
        "visit": "回访",
        "revisit": "二次回访",
        "supervisor": "主管回访",
        "cancelled": "取消",
        "extended": "延期",
    }.get(name, name)


def _subject(data: Mapping[str, Any]) -> str:
    """What a notice is about, without the case's number: that is the page's."""
    number = r"[A-Z]{2,4}-(?:X-)?[0-9]{8}-[0-9]{4,}"
    return re.sub(rf"\s*[（(]{number}[)）]$|{number}\s*", "", data.get("subject", "")).strip()


def _step_name(entry: str) -> str:
    name = entry.split(".")[0].rpartition("-")[0]
    steps = {"book-pickup": "预约取件", "send-back": "安排寄回", "refund": "发起退款", "reimburse": "补付运费"}
    return steps.get(name, name)


def _items(data: Mapping[str, Any]) -> str:
    return "、".join(f"{item['name'] or item['sku']} ×{item['quantity']}" for item in data["items"])


def _decision(name: str, data: Mapping[str, Any], reader: Reader) -> str:
    if data.get("lapsed"):
        return "客户未答复，自动结案" if name == QUESTION else "客户没有回应，自动结案"
    if asks(data):
        return f"请客户补充，暂停计时：{data['question']}"
    match name:
        case "question":
            return "客户未答复，按现有情况继续" if data.get("unanswered") else f"客户答复：{data['answer']}"
        case "review" | "exception" | "countersign":
            if data["decision"] == "approve":
                return f"批准：{data['reason']}" if name == "exception" else "通过"
            missing = f"；缺少：{'、'.join(data['missing'])}" if data.get("missing") else ""
            return f"驳回：{data['reason']}{missing}"
        case "correction":
            return "补正重提" if data["decision"] == "resubmit" else "放弃申请"
        case "tracing":
            lost = "、".join(f"第{i['line_no']}行 {i['quantity']} 件" for i in data.get("items") or ())
            return (
                f"确认丢失{lost and ' ' + lost}：{data['note']}"
                if data["result"] == "lost"
                else f"已找到：{data['note']}"
            )
        case "resolution":
            return _resolution(data)
        case "visit":
            return _visited(data)
        case "revisit" | "supervisor":
            plan = f"；处理方案：{data['plan']}" if data.get("plan") else ""
            return f"{Heard(data['result']).label}：{data['note']}{plan}"
        case "pickup" | "sendback":
            if data.get("implied"):
                return "到件即已取件"
            return " ".join(text for text in (data.get("carrier", ""), data.get("tracking_no", "")) if text)
        case "receipt":
            if data.get("rest") == "lost":
                return "包裹丢失"
            rest = {"coming": "，其余还会寄来", "none": "，其余不再寄来"}.get(data.get("rest", ""), "")
            rest += f"；另有非本单物品：{data['foreign']}" if data.get("foreign") else ""
            rest += f"；客户垫付运费 {data['freight']} 元" if data.get("freight") else ""
            if not data["items"]:
                return rest.removeprefix("，")
            return "、".join(f"第{i['line_no']}行 {i['quantity']} 件" for i in data["items"]) + rest
        case "inspection":
            rows = "、".join(
                f"第{i['line_no']}行 {i['quantity']} 件{Grade(i['grade']).label}（{reader.reason(i['cause'])}）"
                for i in data["items"]
            )
            return f"{'通过' if data.get('result') != 'fail' else '不通过：' + data.get('reason', '')}，{rows}"
        case "release":
            return f"{data['amount']} 元{_told_customer(data)}"
        case "refund" | "reimbursement":
            return f"{data['amount']} 元，流水号 {data.get('reference') or '无'}{_told_customer(data)}"
    return ""


def _visited(data: Mapping[str, Any]) -> str:
    if data.get("ended"):
        return f"当天结束，{len(data['moved'])} 位列入下一张清单" if data["moved"] else "当天结束"
    about = f"{data['visit']}（{data['order_no']}）" if data["order_no"] else data["visit"]
    told = [f"{about} {Outcome(data['outcome']).label}"]
    if data["outcome"] == Outcome.NOT_REACHED:
        told.append(
            f"第 {data['tries']} 次，{data['due_on']} 再打" if data["due_on"] else f"第 {data['tries']} 次，不再打"
        )
    told += [Feedback(data["feedback"]).label] if data.get("feedback") else []
    told += [data["note"]] if data.get("note") else []
    told += [f"处理：{data['measure']}"] if data.get("measure") else []
    told += [Effect(data["effect"]).label] if data.get("effect") else []
    told += [f"{data['next_on']} 再次回访"] if data.get("next_on") else []
    told += [f"转为投诉 {data['complaint_no']}"] if data.get("complaint_no") else []
    return "；".join(told)


def _resolution(data: Mapping[str, Any]) -> str:
    what = {
        "refund": "按规则退款",
        "partial": f"部分退款 {data.get('amount')} 元",
        "send_back": f"寄回客户，运费{'店铺' if data.get('payer') == 'seller' else '客户'}承担",
        "complaint": "转投诉",
    }[data["decision"]]
    return f"{what}：{data['reason']}"


def _told_customer(data: Mapping[str, Any]) -> str:
    if not data.get("told_how"):
        return ""
    way = {"phone": "电话", "sms": "短信", "chat": "在线客服", "email": "邮件"}.get(data["told_how"], data["told_how"])
    return f"，已于 {data.get('told_at', '')} 以{way}告知客户"
