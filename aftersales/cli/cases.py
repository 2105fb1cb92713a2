"""`aftersales case`, `decide`, `signal`, `evidence`, `customer`: cases as staff see and move them in a shell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aftersales import forms
from aftersales.cli.common import (
    Day,
    EventName,
    GateName,
    StageName,
    Whole,
    Word,
    answer_from,
    by_staff,
    case_argument,
    department_name,
    iso,
    json_option,
    json_text,
    make_table,
    pairs_argument,
    run,
    screen,
)
from aftersales.words import AWAITED, Event, Process, Shipping, Stage, Unable, matter

if TYPE_CHECKING:
    from aftersales.rules.pages import Reader
    from aftersales.rules.standing import Standing
    from aftersales.store.cases import Case
    from aftersales.store.journal import Entry
    from aftersales.store.records import Listed
    from aftersales.terms import House, Terms

# who tells an event when no member of staff does
WORLD = {
    Event.PARCEL_PICKED_UP: "carrier",
    Event.PARCEL_RECEIVED: "carrier",
    Event.PARCEL_LOST: "carrier",
    Event.PARCEL_SENT_BACK: "carrier",
    Event.REFUND_SENT: "payment",
    Event.REFUND_FAILED: "payment",
    Event.FREIGHT_REIMBURSED: "payment",
    Event.CASE_CANCELLED: "customer",
}


# where a complaint stands that is not closed
COMPLAINT_IN_WORK = "投诉处理"


# --- case list ------------------------------------------------------------------------------------------------------


@click.group()
def case() -> None:
    """查看售后单，登记联系人和收款账户。"""


@case.command("list")
@click.option("--stage", type=StageName(), metavar="环节", help="只看某个环节，如 待审核。")
@click.option("--department", metavar="部门", help="只看某个部门的待办，如 客户服务部。")
@click.option("--all", "everything", is_flag=True, help="包括已结案的，新的在前；默认只看未结案的，急的在前。")
@click.option("--limit", type=Whole(10_000), default=50, metavar="行数", help="最多显示多少行，默认 50。")
@json_option
def list_(stage: Stage | None, department: str | None, everything: bool, limit: int, as_json: bool) -> None:
    """列出售后单：在谁手里、截止时间、金额。"""
    from aftersales import terms

    house = terms.load().house
    owner = _department(department, house) if department is not None else None
    everything = everything or (stage is not None and stage.is_over)
    rows = asyncio.run(_listed(stage=stage, owner=owner, everything=everything, limit=limit + 1))
    shown = rows[:limit]
    if as_json:
        click.echo(json_text([_listed_data(row, house) for row in shown]))
        return
    _print_list(shown, house)
    if len(rows) > limit:
        click.echo(f"只显示了 {limit} 个，还有更多；可用 --limit 加大，或用 --stage、--department 缩小范围。", err=True)


def _department(text: str, house: House) -> str:
    for key, department in house.departments.items():
        if text.strip() in (key, department.name):
            return key
    known = "、".join(f"{department.name}（{key}）" for key, department in house.departments.items())
    raise click.BadParameter(f"没有部门“{text}”，可选：{known}", click.get_current_context(), param_hint="--department")


async def _listed(**query: Any) -> list[Listed]:
    from aftersales.cli.database import connected
    from aftersales.store import records
    from aftersales.store.engine import transaction

    async with connected(), transaction() as connection:
        return await records.listed(connection, **query)


def _listed_data(row: Listed, house: House) -> dict[str, Any]:
    return {
        "case_no": row.case_no,
        "order_no": row.order_no,
        "stage": row.stage.value,
        "stage_label": _stage(row),
        "department": row.owner,
        "department_name": department_name(row.owner, house),
        "opened_at": iso(row.opened_at, house),
        "closed_at": iso(row.closed_at, house),
        "due_at": iso(row.due_at, house),
        "provisional": row.provisional,
        "is_overdue": _is_overdue(row),
        "amount": None if row.amount is None else f"{row.amount:.2f}",
        "rehearsal": row.rehearsal,
    }


def _is_overdue(row: Listed) -> bool:
    from aftersales import clock
    from aftersales.rules import clocks

    is_past = row.due_at is not None and clocks.is_overdue(due_at=row.due_at, at=clock.now(row))
    return is_past and not row.is_customers and not row.provisional


def _print_list(rows: Sequence[Listed], house: House) -> None:
    from rich.text import Text

    table = make_table("", "售后单号", "订单", "环节", "部门", "截止", "金额（元）", right=("金额（元）",))
    for row in rows:
        due = _listed_due(row, house) if row.closed_at is None else ""
        table.add_row(
            Text(row.case_no + ("（演练）" if row.rehearsal else "")),
            Text(row.order_no),
            _stage(row),
            "" if row.stage.is_over else department_name(row.owner, house),
            Text(due, style="bold red" if _is_overdue(row) else ""),
            "" if row.amount is None else f"{row.amount:.2f}",
        )
    if rows:
        screen().print(table)
    else:
        click.echo("没有符合条件的售后单。")


def _stage(row: Listed | Case) -> str:
    """Where a case stands. A complaint has no stages, and no story moves it: it is in work until `case done`."""
    is_open_complaint = row.process == Process.COMPLAINT and row.stage is Stage.OPENED
    return COMPLAINT_IN_WORK if is_open_complaint else row.stage.label


def _listed_due(row: Listed, house: House) -> str:
    from aftersales import clock

    if row.process == Process.COMPLAINT:
        return "无时限"
    return _due(row.due_at, row.provisional, clock.now(row), house, is_customers=row.is_customers)


def _due(due_at: Any, provisional: bool, now: Any, house: House, *, is_customers: bool) -> str:
    """A due time as people read it, and by how much it has passed; between two gates nobody owes anything."""
    from aftersales.rules import clocks
    from aftersales.rules.pages import spoken_difference

    if due_at is None:
        return "办理中"
    spoken = clocks.marked(f"{clocks.spoken(due_at, house=house)} 前", provisional)
    if provisional or not clocks.is_overdue(due_at=due_at, at=now):
        return spoken
    return f"{spoken}，{_timing(spoken_difference(now, due_at), is_customers)}"


def _timing(spoken: str, is_customers: bool) -> str:
    """How early or late something was; what waits for its customer is not late, however long it takes them."""
    return f"{spoken.replace('超时', '已过')}（等客户）" if is_customers and "超时" in spoken else spoken


# --- case show ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is known of a case, contacts masked."""

    case: Case
    terms: Terms
    reader: Reader
    standing: Standing
    history: list[Entry]
    promises: list[Mapping[str, Any]]
    customer: dict[str, str]
    recorded: dict[str, str]
    evidence: list[str]


@case.command("show")
@case_argument
@json_option
def show(case_no: str, as_json: bool) -> None:
    """显示一个售后单：商品、测算和结算、时限及原因、经过。联系方式已隐去中间几位。"""
    page = asyncio.run(_page(case_no))
    if as_json:
        click.echo(json_text(_page_data(page)))
    else:
        _print_page(page)


async def _page(case_no: str) -> Page:
    from aftersales.cli.database import connected
    from aftersales.rules import masking
    from aftersales.rules.standing import standing
    from aftersales.store import cases, journal, orders, records
    from aftersales.store.engine import transaction
    from tasks import desks, outside
    from tasks import records as recording

    async with connected():
        async with transaction() as connection:
            found, terms = await outside.found(connection, case_no)
            history = list((await journal.read(connection, case_no)).values())
            promises = await cases.promises(connection, case_no)
            order = await orders.show(connection, found.order_no)
            contacts = await records.contacts(connection, [case_no])
        pieces = await recording.evidence(case_no)
    return Page(
        case=found,
        terms=terms,
        reader=desks.reader(terms),
        standing=standing(history),
        history=history,
        promises=promises,
        # a list of visits is about many orders
        customer={
            "name": masking.masked_name(order.name),
            "phone": masking.masked_phone(order.phone),
            "email": masking.masked_email(order.email),
        }
        if order is not None
        else {},
        recorded={row["kind"]: recording.masked(row["kind"], row["data"]) for row in contacts},
        evidence=[piece.label for piece in pieces],
    )


def _page_data(page: Page) -> dict[str, Any]:
    house, request = page.terms.house, page.standing.request
    outstanding = page.standing.outstanding
    return {
        "case_no": page.case.case_no,
        "order_no": page.case.order_no,
        "channel": page.case.channel,
        "stage": page.case.stage.value,
        "stage_label": _stage(page.case),
        "department": page.case.owner,
        "department_name": department_name(page.case.owner, house),
        "operator": page.case.operator,
        "opened_at": iso(page.case.opened_at, house),
        "closed_at": iso(page.case.closed_at, house),
        "rehearsal": page.case.rehearsal,
        "customer": page.customer,
        "recorded": page.recorded,
        "reason": request.get("reason"),
        "reason_label": page.reader.reason(request.get("reason", "")),
        "shipping": request.get("shipping"),
        "items": [
            {
                "line_no": item["line_no"],
                "sku": item["sku"],
                "name": item["name"],
                "quantity": item["quantity"],
                "outstanding": outstanding.get(item["line_no"], 0),
            }
            for item in page.standing.items
        ],
        "quote": request.get("quote"),
        "bills": [dict(bill) for bill in page.standing.bills],
        "refunded": f"{page.standing.refunded:.2f}",
        "evidence": page.evidence,
        "promises": [_promise_data(promise, page) for promise in page.promises],
        "history": [
            {
                "at": iso(entry.at, house),
                "actor": entry.actor,
                "who": row.actor,
                "what": row.what,
                "result": row.result,
                "timing": row.timing,
            }
            for entry in page.history
            for row in [page.reader.told(entry)]
        ],
    }


def _promise_data(promise: Mapping[str, Any], page: Page) -> dict[str, Any]:
    from aftersales import clock
    from aftersales.rules import clocks

    house = page.terms.house
    is_open = promise["ended_at"] is None
    return {
        "stage": promise["stage"],
        "owner": promise["owner"],
        "rule": promise["rule"],
        "limit": promise["limit"],
        "started_at": iso(promise["started_at"], house),
        "due_at": iso(promise["due_at"], house),
        "provisional": promise["provisional"],
        "ended_at": iso(promise["ended_at"], house),
        "is_overdue": promise["lapses_at"] is None
        and not promise["provisional"]
        and clocks.is_overdue(due_at=promise["due_at"], at=clock.now(page.case) if is_open else promise["ended_at"]),
        "trace": clocks.explain(promise["trace"]),
    }


def _print_page(page: Page) -> None:
    from rich.table import Table
    from rich.text import Text

    console, house, request = screen(), page.terms.house, page.standing.request
    stage = page.case.stage
    owner = "" if stage.is_over else f"，由{department_name(page.case.owner, house)}处理"
    rows = [
        ("售后单", f"{page.case.case_no}  {_stage(page.case)}{owner}" + ("（演练）" if page.case.rehearsal else "")),
        ("订单", f"{page.case.order_no}  {page.case.channel}"),
        ("客户", "  ".join(filter(None, page.customer.values())) or "未知"),
        ("另行登记的联系人", page.recorded.get("contact", "")),
        ("收款账户", page.recorded.get("account", "")),
        ("首问责任人", page.reader.who(page.case.operator)),
        ("申请", f"{page.reader.time(page.case.opened_at)}  {page.reader.reason(request.get('reason', ''))}".strip()),
        ("寄回方式", Shipping(request["shipping"]).label if request else ""),
        ("备注", request.get("remark", "")),
    ]
    facts = Table.grid(padding=(0, 2))
    for label, value in rows:
        if value:
            facts.add_row(Text(label, style="bold"), Text(value))
    console.print(facts)

    if request:
        _print_return(page)

    promises = make_table("时限", "环节", "部门", "规则", "截止", "说明")
    for promise in page.promises:
        promises.add_row(*_promise_row(promise, page))
    console.print(promises)

    if page.evidence:
        console.print(Text("凭证", style="bold"))
        for label in page.evidence:
            console.print(Text(f"  {label}"), soft_wrap=True)

    customers = {promise["entry"] for promise in page.promises if promise["lapses_at"] is not None}
    history = make_table("经过", "时间", "谁", "事项", "结果", "早/晚")
    for entry in page.history:
        told = page.reader.told(entry)
        timing = _timing(told.timing, entry.entry in customers)
        history.add_row(*map(Text, (told.at, told.actor, told.what, told.result, timing)))
    console.print(history)


def _print_return(page: Page) -> None:
    """What only a return has: its goods, its quote and its bills."""
    from rich.text import Text

    from aftersales.rules.standing import lines_of

    console, request = screen(), page.standing.request
    items = make_table("商品", "行", "编码", "商品", "申请", "待收", right=("行", "申请", "待收"))
    outstanding = {} if page.case.stage.is_over else page.standing.outstanding
    for item in page.standing.items:
        left = outstanding.get(item["line_no"], 0)
        items.add_row(*map(Text, map(str, (item["line_no"], item["sku"], item["name"], item["quantity"], left))))
    console.print(items)

    bills = [("退款测算", request["quote"])]
    bills += [(f"第 {number} 次收货的结算", bill) for number, bill in enumerate(page.standing.bills, 1)]
    for title, bill in bills:
        money = make_table(title, "规则", "项目", "金额（元）", right=("金额（元）",))
        for line in lines_of(bill):
            note = f"（{line.note}）" if line.note else ""
            money.add_row(line.rule, Text(line.label + note), f"{line.amount:.2f}")
        money.add_section()
        money.add_row("", "合计", bill["total"])
        console.print(money)
        for because in bill.get("needs_person", ()):
            console.print(Text(f"须人工决定：{because}"), soft_wrap=True)


def _promise_row(promise: Mapping[str, Any], page: Page) -> list[Any]:
    from rich.text import Text

    from aftersales import clock
    from aftersales.rules import clocks
    from aftersales.rules.standing import asks

    house, ended_at = page.terms.house, promise["ended_at"]
    is_customers, now = promise["lapses_at"] is not None, ended_at or clock.now(page.case)
    due = _due(promise["due_at"], promise["provisional"], now, house, is_customers=is_customers)
    stage, done = matter(promise["stage"]), "（已办）"
    if any(each.entry == promise["entry"] and asks(each.data) for each in page.history):
        done = "（已暂停）"
    # the last line repeats the due time of the column before
    why = "\n".join(line for line in clocks.explain(promise["trace"]) if not line.startswith("截止"))
    return [
        stage + ("" if ended_at is None else done),
        department_name(promise["owner"], house),
        promise["rule"],
        Text(due),
        Text(why),
    ]


# --- case contact, case account -------------------------------------------------------------------------------------


@case.command("contact")
@case_argument
@by_staff()
@pairs_argument
def contact(case_no: str, operator: str, pairs: tuple[str, ...]) -> None:
    """登记另一个联系人：name=… phone=… email=…（电话和邮箱至少一个）。"""
    _record(case_no, "contact", operator, pairs)
    click.echo(f"{case_no} 已登记联系人；已有的以这次为准。")


@case.command("account")
@case_argument
@by_staff()
@pairs_argument
def account(case_no: str, operator: str, pairs: tuple[str, ...]) -> None:
    """登记人工转账的收款账户：holder=户名 bank=开户行 number=账号。"""
    _record(case_no, "account", operator, pairs)
    click.echo(f"{case_no} 已登记收款账户；已有的以这次为准。")


@case.command("done")
@case_argument
@click.option("--by", "--as", "operator", type=Word(), required=True, metavar="工号", help="经办人的员工编号，如 C07。")
@click.option("--note", required=True, metavar="文字", help="怎样办理的；其中的电话、账号会隐去。")
@click.option("--unsolved", is_flag=True, help="问题没有解决就结案，以后定期回访。")
def done(case_no: str, operator: str, note: str, unsolved: bool) -> None:
    """办结一张投诉单：aftersales case done CP-20261127-0001 --by C07 --note 已补发"""
    from tasks import records

    click.echo(run(lambda: records.end_complaint(case_no, operator=operator, note=note, is_solved=not unsolved)))


def _record(case_no: str, kind: str, operator: str, pairs: Sequence[str]) -> None:
    from tasks import records

    answer = answer_from(records.FORMS[kind], pairs)
    run(lambda: records.record(case_no, kind, operator=operator, answer=answer))


# --- decide, signal -------------------------------------------------------------------------------------------------


@click.command()
@case_argument
@click.argument("gate", type=GateName(), metavar="环节")
@by_staff()
@pairs_argument
def decide(case_no: str, gate: str, operator: str, pairs: tuple[str, ...]) -> None:
    """
    在命令行办理一个环节，与页面上的表单同样检查。

    例：aftersales decide RT-20261122-0007 审核 --as C08 decision=通过；
    列表用逗号分开，一行的各项用冒号：items=第1行:2:可再销售:质量问题。
    """
    answer = answer_from(forms.GATES[gate], pairs)

    async def told() -> tuple[str, str]:
        from aftersales.store.engine import transaction
        from tasks import desks, outside, visits

        entry = await visits.decide(case_no, gate, operator=operator, answer=answer)
        async with transaction() as connection:
            found, terms = await outside.found(connection, case_no)
        row = desks.reader(terms).told(entry)
        result = f"：{row.result}" if row.result else ""
        timing = f"，{row.timing}" if row.timing else ""
        sentence = f"已登记：{case_no} {row.what}{result}（{row.actor}，{row.at}{timing}）。"
        return sentence, await _wake(found.case_no)

    sentence, warning = run(told)
    click.echo(sentence)
    _next(case_no, warning)


@click.command()
@case_argument
@click.argument("event", type=EventName(), metavar="事件")
@by_staff(required=False)
@click.option("--key", type=Word(), metavar="编号", help="外部系统给的编号；同一编号只算一次。")
@pairs_argument
def signal(case_no: str, event: Event, operator: str | None, key: str | None, pairs: tuple[str, ...]) -> None:
    """
    告诉售后单一件事：已取件、已收货、已退款、已取消。

    例：aftersales signal RT-20261122-0007 parcel.received items=TS-01:2,HW-02:1 tracking_no=SF100200300。
    """
    from tasks import outside

    data = _event_data(event, pairs, outside.EVENT_WORDS[event])

    async def told() -> tuple[str, str]:
        from aftersales.store.engine import transaction

        async with transaction() as connection:
            is_unmatched = await outside.is_unmatched(connection, event, data)
        sentence = await outside.signal(
            case_no, event, actor=WORLD[event], data=data, key=key or "", staff=operator or ""
        )
        if is_unmatched:
            await _show_parcels()
        async with transaction() as connection:
            found, _ = await outside.found(connection, case_no)
        return sentence, await _wake(case_no) if event in AWAITED.get(found.stage, ()) else ""

    sentence, warning = run(told)
    click.echo(sentence)
    if warning:
        click.echo(warning, err=True)


def _event_data(event: Event, pairs: Sequence[str], words: Mapping[str, str]) -> dict[str, Any]:
    """Read an event's `key=value` words by name or Chinese title. Raises UsageError."""
    names = {title: name for name, title in words.items()} | {name: name for name in words}
    allowed = "、".join(f"{name}（{title}）" for name, title in words.items())
    data: dict[str, Any] = {}
    ctx = click.get_current_context()
    for pair in pairs:
        word, equals, value = pair.partition("=")
        name = names.get(word.strip())
        if not equals or name is None:
            raise click.UsageError(f"“{event.label}”的内容要写成“项目=内容”，项目可以是：{allowed}。", ctx)
        if name == "items":
            data.setdefault("items", []).extend(_goods(value, ctx))
        elif name in data:
            raise click.UsageError(f"{words[name]}写了两次，请只写一次。", ctx)
        else:
            data[name] = value.strip()
    return data


def _goods(text: str, ctx: click.Context) -> list[dict[str, Any]]:
    """Read `TS-01:2,HW-02:1`; the number stands behind the last colon. Raises UsageError."""
    goods = []
    for part in filter(None, (part.strip() for part in re.split("[,，]", text))):
        found = re.fullmatch(r"(.+?)\s*[:：]\s*([0-9]{1,6})", part)
        if not found or int(found[2]) < 1:
            raise click.UsageError(f"“{part}”应写成 商品编码:件数，如 items=TS-01:2,HW-02:1。", ctx)
        goods.append({"sku": found[1], "quantity": int(found[2])})
    return goods


async def _wake(case_no: str) -> str:
    """Wake the case's run; answers the warning when that has to wait."""
    from aftersales.desk import runs

    try:
        await runs.wake_from_outside(case_no)
    except Unable as error:
        return str(error)
    return ""


async def _show_parcels() -> None:
    """Take what has left the list off the page of parcels without a case; without Prefect there is no page."""
    from tasks import desks

    try:
        await desks.publish_parcels_from_outside()
    except Unable:
        pass  # the next arrival brings it up to date, and so does `aftersales desk check`


def _next(case_no: str, warning: str) -> None:
    if warning:
        click.echo(warning, err=True)
    else:
        click.echo(f"{case_no} 正转入下一环节，可用 aftersales case show {case_no} 查看。")


# --- parcel ---------------------------------------------------------------------------------------------------------


@click.group()
def parcel() -> None:
    """无主包裹：处理以后销账。"""


@parcel.command("done")
@click.argument("tracking_no", type=Word(), metavar="运单号")
@by_staff()
@click.option("--note", required=True, metavar="文字", help="怎样处理的；其中的电话、账号会隐去。")
def done_parcel(tracking_no: str, operator: str, note: str) -> None:
    """把一个无主包裹从清单上销账，记录保留：aftersales parcel done SF100200300 --as W02 --note 已寄回"""

    async def told() -> str:
        from tasks import outside

        sentence = await outside.end_parcel(tracking_no, staff=operator, note=note)
        await _show_parcels()
        return sentence

    click.echo(run(told))


# --- evidence -------------------------------------------------------------------------------------------------------


@click.group()
def evidence() -> None:
    """登记和查看凭证。"""


@evidence.command("add")
@case_argument
@click.argument("what", metavar="文件|链接|说明")
@by_staff()
@click.option("--note", is_flag=True, help="内容是一句说明，即使看起来像文件名。")
def add(case_no: str, what: str, operator: str, note: bool) -> None:
    """登记一份凭证：文件（最大 20 MB）、http(s) 链接，或一句文字说明。"""
    from tasks import records

    path = Path(what).expanduser() if not note else None
    is_file = path is not None and _is_file(what, path)

    async def keep() -> tuple[records.Kept, str]:
        kept = await (
            records.add_file(case_no, path, operator=operator)
            if path is not None and is_file
            else records.add_text(case_no, what, operator=operator)
        )
        return kept, await _wake(case_no) if kept.answers else ""

    kept, warning = run(keep)
    if not kept.is_new:
        click.echo(f"{case_no} 已有这份凭证，未重复登记：{kept.label}")
        return
    click.echo(f"{case_no} 已登记凭证：{kept.label}" + ("（其中的个人信息已隐去）" if kept.is_masked else ""))
    if kept.answers:
        click.echo(f"{case_no} 正在等待客户答复，这份凭证就是答复，恢复计时。")
    if warning:
        click.echo(warning, err=True)


def _is_file(text: str, path: Path) -> bool:
    """Whether a word means a file. Raises Unable for what looks like one that is not there."""
    if re.match(r"https?://", text, re.IGNORECASE):
        return False
    try:
        if path.exists():
            return True
    except (OSError, ValueError):  # a long note is no path
        return False
    if re.match(r"(/|\.{1,2}/|~)", text) or re.search(r"\.[A-Za-z0-9]{2,5}$", text):
        raise Unable(f"没有文件 {text}，请核对路径；如果这是一句说明，请加上 --note。")
    return False


@evidence.command("list")
@case_argument
@json_option
def list_evidence(case_no: str, as_json: bool) -> None:
    """列出一个售后单的全部凭证：申请、补正、验收时给的和另外登记的。"""
    from aftersales import terms
    from tasks import desks, records

    live = terms.load()
    reader = desks.reader(live)
    pieces = run(lambda: records.evidence(case_no))
    if as_json:
        rows = [
            {
                "at": iso(piece.at, live.house),
                "actor": piece.actor,
                "label": piece.label,
                "sha256": piece.file or None,
            }
            for piece in pieces
        ]
        click.echo(json_text(rows))
        return
    if not pieces:
        click.echo(f"{case_no} 还没有凭证。")
        return
    from rich.text import Text

    from aftersales.settings import settings

    table = make_table("", "时间", "谁", "凭证")
    for piece in pieces:
        table.add_row(reader.time(piece.at), Text(reader.who(piece.actor)), Text(piece.label))
    screen().print(table)
    if files := [piece for piece in pieces if piece.file]:
        click.echo(f"文件存放在 {settings().home / 'files'}，文件名：")
        # a column would fold a name, so that it could not be copied
        for piece in files:
            click.echo(f"{piece.file}  {piece.label}")


# --- customer -------------------------------------------------------------------------------------------------------


@click.group()
def customer() -> None:
    """查看客户。"""


@customer.command("show")
@click.argument("order_no", type=Word(), metavar="订单号")
@by_staff()
@click.option("--reason", default="", metavar="理由", help="为什么要看，会一并记录。")
def show_customer(order_no: str, operator: str, reason: str) -> None:
    """显示订单客户的完整联系方式。需要“查看联系方式”权限，每次查看都有记录。"""
    from rich.table import Table
    from rich.text import Text

    from tasks import records

    found = run(lambda: records.look(order_no, operator=operator, reason=reason))
    order = found.order
    rows = [
        ("订单", f"{order.order_no}  {order.channel}"),
        ("客户编号", order.customer_no or "散客"),
        ("姓名", order.name or "未填写"),
        ("电话", order.phone or "未填写"),
        ("邮箱", order.email or "未填写"),
        ("地区", order.region or "未填写"),
    ]
    for row in found.recorded:
        label = "联系人" if row["kind"] == "contact" else "收款账户"
        names = records.FORMS[row["kind"]].model_fields
        rows.append((f"{row['case_no']} {label}", "  ".join(row["data"][name] for name in names if row["data"][name])))
    facts = Table.grid(padding=(0, 2))
    for label, value in rows:
        facts.add_row(Text(label, style="bold"), Text(value))
    screen().print(facts)
    click.echo(f"本次查看已记录（该订单第 {found.looks} 次）。")


@customer.command("quiet")
@click.argument("order_no", type=Word(), metavar="订单号")
@click.argument("hours", type=Word(), required=False, metavar="[时段]")
@by_staff()
@click.option("--default", "is_default", is_flag=True, help="不再单独设，按全体客户的静默时段。")
def quiet_customer(order_no: str, hours: str | None, operator: str, is_default: bool) -> None:
    """登记客户什么时段不想收到通知：aftersales customer quiet D100001 20:00-10:00 --as C07"""
    from tasks import records

    if bool(hours) is is_default:
        raise click.UsageError("请写上时段，如 20:00-10:00；要取消请写 --default")
    click.echo(run(lambda: records.quiet(order_no, hours or "", operator=operator)))


@customer.command("calls")
@click.argument("order_no", type=Word(), metavar="订单号")
@by_staff()
@click.option("--stop", is_flag=True, help="不再回访、不再调查，已排的取消。")
@click.option("--until", type=Day(), metavar="日期", help="使用回访做到哪一天为止，不论保修到哪天。")
@click.option("--resume", is_flag=True, help="照常回访和调查，使用回访按保修期。")
def call_customer(order_no: str, operator: str, stop: bool, until: date | None, resume: bool) -> None:
    """登记客户愿不愿被回访：aftersales customer calls D100001 --stop --as C07"""
    from tasks import records

    if stop + resume + (until is not None) != 1:
        raise click.UsageError("请写 --stop（不再回访）、--until 日期（做到哪一天）或 --resume（照常回访），只写一个")
    is_out = None if until is not None else stop
    click.echo(run(lambda: records.calls(order_no, operator=operator, is_out=is_out, until=until)))
