"""What two places of `config/` must agree on; on the plain values, so that one mistake does not hide another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from aftersales.terms import followup as visiting
from aftersales.terms.documents import Document, Key, Mistake, Place, example, file_name, inside, rows_at, table_at
from aftersales.terms.models import CLIMBING, WAITING, Person
from aftersales.terms.values import nearest
from aftersales.words import (
    FOLLOWING_UP,
    LADDER_READERS,
    NOTICES,
    PROVISIONAL,
    REMINDER,
    UNWRITTEN,
    Limit,
    Right,
    Stage,
    VisitKind,
)

# what AMB-09 and AMB-20 allow, but nothing does yet: better refused than silently without effect
NOT_YET = (("review_on_timeout", "auto_approve", "escalate"), ("choose_route", True, "false"))

# where the customer waits for the money that they were told about
BOUND = (Stage.REFUND.value, Stage.RELEASE.value)

# who reads what is told to a role
ROLES = {"owner": "staff", "head": "staff", "manager": "staff", "customer": "customer"}

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


def agree(files: Mapping[str, Document], years: Sequence[Document]) -> None:
    """Note where files contradict each other, or one of them itself."""
    house, returns, followup = files["house"], files["returns"], files["followup"]
    _check_people(house, files["staff"])
    _check_countersigners(files["staff"], returns)
    _check_returns(returns, house)
    _check_channels(returns)
    _check_survey(files["survey"], house)
    _check_ladders(files["escalation"], files["notices"])
    _check_quiet(files["notices"], house)
    _check_selfservice(files["selfservice"], returns)
    _check_followup(followup, house)
    for year in years:
        _check_calendar(year)


def _check_people(house: Document, staff: Document) -> None:
    """Everybody named exists, has a department, one id, and somebody has each right that a case needs (ORG-01 …)."""
    people = [p if isinstance(p, dict) else {} for p in rows_at(staff.data, "staff")]
    ids = [p.get("id") for p in people]
    departments = table_at(house.data, "departments")

    for place, person in enumerate(people):
        if person.get("id") is not None and person["id"] in ids[:place]:
            first = staff.line(("staff", ids.index(person["id"]), "id"))
            text = f"编号“{person['id']}”与第 {first} 行的员工重复，请换一个编号。"
            staff.wrong(("staff", place, "id"), text)
        department = person.get("department")
        if departments and isinstance(department, str) and department and department not in departments:
            text = f"{file_name(house)} 没有部门“{department}”，{nearest(department, [str(d) for d in departments])}。"
            staff.wrong(("staff", place, "department"), text)

    if not people:  # nobody that is named could be found
        if isinstance(staff.data, dict) and staff.data.get("staff") == []:
            staff.wrong(("staff",), f"没有员工，请至少写一名，如 - {example(Person)}。")
        return
    named: list[tuple[Place, Any]] = [
        (("departments", code, "head"), table_at(d).get("head")) for code, d in departments.items()
    ]
    named += [(("aftersales_manager",), inside(house.data, "aftersales_manager"))]
    for path, person_id in named:
        if isinstance(person_id, str) and person_id and person_id not in ids:
            text = f"{file_name(staff)} 没有编号为“{person_id}”的员工，请写已有的编号，或先在那里加上。"
            house.wrong(path, text)
    held = {right for p in people for right in rows_at(p, "rights") if isinstance(right, str)}
    for right in NEEDED_RIGHTS:
        if right.value not in held:
            text = f"没有人有“{right.label}”的权限，请至少给一名员工的 rights 加上 {right.value}。"
            staff.wrong(("staff",), text)


def _check_countersigners(staff: Document, returns: Document) -> None:
    """Whoever approves does not countersign: one person with both rights alone would stop a case for ever (RFD-02)."""
    if inside(returns.data, "second_approval_above") is None:
        return
    owner = table_at(returns.data, "stages", "countersign").get("owner")
    people = [p for p in rows_at(staff.data, "staff") if isinstance(p, dict) and p.get("department") == owner]
    agreeing = [p for p in people if Right.COUNTERSIGN.value in rows_at(p, "rights")]
    approving = {Right.REVIEW.value, Right.APPROVE_EXCEPTION.value}
    if len(agreeing) == 1 and approving & {right for right in rows_at(agreeing[0], "rights") if isinstance(right, str)}:
        text = (
            f"只有 {agreeing[0].get('id')} 一人能复核退款，而此人也能审批：审批过的单就没有人复核了，"
            f"请给 {owner} 的另一名员工的 rights 加上 {Right.COUNTERSIGN.value}。"
        )
        staff.wrong(("staff",), text)


def _check_returns(returns: Document, house: Document) -> None:
    """Each waiting stage has a promise, each promise an owner, the age bands follow each other (AMB-15)."""
    stages = table_at(returns.data, "stages")
    _check_stages(returns, house, "退货", WAITING, (("outer",), ("revisit",)))

    pays, told = table_at(stages, "refund").get("limit"), inside(returns.data, "refund_bound")
    with suppress(ValueError):  # what is no limit is told elsewhere
        ours, theirs = Limit.parse(str(pays)), Limit.parse(str(told))
        if ours.unit is theirs.unit and theirs.amount < ours.amount:
            text = f"{theirs} 短于 stages.refund 的 {ours}，请写成 {ours} 或更长：告诉客户的不早于我们自己的期限。"
            returns.wrong(("refund_bound",), text)

    closes, reminds = table_at(stages, "question").get("limit"), inside(returns.data, "question_reminder")
    with suppress(ValueError):  # what is no limit is told elsewhere
        ends, first = Limit.parse(str(closes)), Limit.parse(str(reminds))
        if ends.unit is first.unit and first.amount >= ends.amount:
            text = f"{first} 不短于 stages.question 的 {ends}，请写更短的时间：先提醒客户，后结案。"
            returns.wrong(("question_reminder",), text)

    free, freight = inside(returns.data, "free_until_day"), inside(returns.data, "freight_until_day")
    if type(free) is int and type(freight) is int and not free < freight:
        text = f"{freight} 不大于 free_until_day 的 {free}，请写更大的天数，如 {free + 23}。"
        returns.wrong(("freight_until_day",), text)

    labels: dict[str, Key] = {}
    for code, reason in table_at(returns.data, "reasons").items():
        label = table_at(reason).get("label")
        if isinstance(label, str) and labels.setdefault(label, code) != code:
            text = f"名称“{label}”与 {labels[label]} 的相同，请换一个，否则表单里分不清。"
            returns.wrong(("reasons", code, "label"), text)
    for key, value, instead in NOT_YET:
        if inside(returns.data, key) == value:
            returns.wrong((key,), f"{str(value).lower()} 目前还不支持，请写 {instead}。")
    for key, what in (("reasons", "退货原因"), ("payment_routes", "付款方式")):
        if inside(returns.data, key) in ({}, []):
            returns.wrong((key,), f"一个{what}也没有，请至少写一个。")


def _check_survey(survey: Document, house: Document) -> None:
    """Whoever asks by phone is a department that there is."""
    departments = table_at(house.data, "departments")
    owner = table_at(survey.data).get("owner")
    if departments and isinstance(owner, str) and owner and owner not in departments:
        text = f"{file_name(house)} 没有部门“{owner}”，{nearest(owner, [str(d) for d in departments])}。"
        survey.wrong(("owner",), text)


def _check_stages(
    document: Document, house: Document, process: str, waiting: Sequence[Stage], others: Sequence[Place] = ()
) -> None:
    """Each waiting stage of a process has a promise, each promise (`others` too) an owner that there is."""
    departments = table_at(house.data, "departments")
    stages = table_at(document.data, "stages")
    known = [stage.value for stage in waiting]
    for code in stages:
        if code not in known:
            document.wrong(("stages", code), f"{process}没有环节“{code}”，{nearest(str(code), known)}。")
    for stage in waiting if stages else ():
        if stage.value not in stages:
            owner = next(iter(departments), "aftersales")
            text = f"环节“{stage.label}”没有时限，请补上 {stage.value}: {{limit: 1 wd, owner: {owner}, rule: …}}。"
            document.wrong(("stages",), text)
    promises: list[Place] = [*(("stages", code) for code in stages), *others]
    for path in promises:
        owner = table_at(document.data, *path).get("owner")
        if departments and isinstance(owner, str) and owner and owner not in departments:
            text = f"{file_name(house)} 没有部门“{owner}”，{nearest(owner, [str(d) for d in departments])}。"
            document.wrong((*path, "owner"), text)


def _check_channels(returns: Document) -> None:
    """A channel's two days must be in order together with those it leaves to the shop."""
    shop = table_at(returns.data)
    for channel, rules in table_at(returns.data, "channels").items():
        own = table_at(rules)
        free, freight = (own.get(name, shop.get(name)) for name in ("free_until_day", "freight_until_day"))
        if isinstance(free, int) and isinstance(freight, int) and free >= freight:
            returns.wrong(
                ("channels", channel),
                f"free_until_day（{free}）要小于 freight_until_day（{freight}），请改正其中一个（未写的沿用店铺的值）。",
            )


def _check_ladders(escalation: Document, notices: Document) -> None:
    """
    Each stage has a ladder or none on purpose, each ladder begins at the breach, each notice has its words.

    And none is told elsewhere, nor is the reminder's told by a ladder: by the notice the code knows what to withdraw.
    """
    words = [str(name) for name in table_at(notices.data, "expires")]
    for name in words:
        # a ladder's would be withdrawn together with what bears that name
        if name in UNWRITTEN:
            notices.wrong(("expires", name), f"名称“{name}”由系统自己使用，请给这份通知换一个名称。")
    ladders = table_at(escalation.data, "ladders")
    reminder = table_at(escalation.data, "reminder").get("notice")
    told: list[Place] = [("reminder", "notice"), ("provisional", "notice")]
    for code in ladders:
        rungs = rows_at(ladders, code)
        told += [("ladders", code, place, "notice") for place in range(len(rungs))]
        names = [inside(rung, "name") for rung in rungs]
        for place, name in enumerate(names):
            if isinstance(name, str) and name in names[:place]:
                escalation.wrong(("ladders", code, place, "name"), f"名称“{name}”在这个阶梯里重复，请换一个。")
            # by its name the sender knows what a breach withdraws
            if isinstance(name, str) and name.startswith(REMINDER):
                text = f"名称不能以 {REMINDER} 开头，那是到期前的提醒；请换一个，如 breach。"
                escalation.wrong(("ladders", code, place, "name"), text)
            if isinstance(name, str) and name.startswith(PROVISIONAL):
                text = f"名称不能以 {PROVISIONAL} 开头，那是缺少日历时的通知；请换一个，如 breach。"
                escalation.wrong(("ladders", code, place, "name"), text)
            if isinstance(reminder, str) and reminder and inside(rungs[place], "notice") == reminder:
                text = f"{reminder} 已用于到期前的提醒（reminder），超时后不会再发，请写另一份通知。"
                escalation.wrong(("ladders", code, place, "notice"), text)
        if isinstance(ladders[code], list) and (not rungs or set(rungs[0]) & {"after", "at"}):
            text = "第一级应当在超时那一刻，请把它写在最前面，不写 after。"
            escalation.wrong(("ladders", code), text)
        for place, rung in enumerate(rungs):
            if inside(rung, "after") is not None and inside(rung, "at") is not None:
                text = "after 和 at 只能写一个，请删去其中一个。"
                escalation.wrong(("ladders", code, place), text)
    for path in told:
        notice: Any = escalation.data
        for step in path:
            notice = inside(notice, step)
        if words and isinstance(notice, str) and notice and notice not in words:
            escalation.wrong(path, f"{file_name(notices)} 没有通知“{notice}”，{nearest(notice, words)}。")
        elif isinstance(notice, str) and notice in NOTICES:
            # its words need what no ladder knows, and it would be withdrawn with the ladder where it is told elsewhere
            fitting = [name for name in words if name not in NOTICES]
            escalation.wrong(path, f"{notice} 是办理过程中的通知，不能用来催办，请写：{'、'.join(fitting)}。")
    _check_readers(escalation)
    for process, label, climbing in (("returns", "退货", CLIMBING), ("followup", "回访", FOLLOWING_UP)):
        known = [str(stage) for stage in climbing]
        stages = table_at(escalation.data, process)
        for stage, name in stages.items():
            if stage not in known:
                escalation.wrong((process, stage), f"{label}没有环节“{stage}”，{nearest(str(stage), known)}。")
            if isinstance(name, str) and ladders and name not in ladders:
                text = f"没有阶梯“{name}”，{nearest(name, [str(code) for code in ladders])}；不用催办的环节写 null。"
                escalation.wrong((process, stage), text)
            elif isinstance(name, str) and stage not in BOUND and _is_bound(ladders, name):
                text = f"阶梯“{name}”有一级写着 at: refund_bound，只用于退款（{'、'.join(BOUND)}），请换一个阶梯。"
                escalation.wrong((process, stage), text)
            elif isinstance(name, str) and process == "followup" and "customer" in _told(ladders, name):
                text = f"回访的清单没有客户，阶梯“{name}”却要通知 customer，请换一个阶梯。"
                escalation.wrong((process, stage), text)
        for code in known if stages else ():
            if code not in stages:
                escalation.wrong((process,), f"环节“{code}”没有写用哪个阶梯，请补上；不用催办的写 {code}: null。")


def _is_bound(ladders: Any, name: str) -> bool:
    """Whether a rung of a ladder is reached when the time has passed that the customer was told."""
    return any(inside(rung, "at") is not None for rung in rows_at(ladders, name))


def _told(ladders: Any, name: str) -> set[str]:
    """Whom a ladder tells."""
    return {role for rung in rows_at(ladders, name) for role in rows_at(rung, "tell") if isinstance(role, str)}


def _check_readers(escalation: Document) -> None:
    """What is written for customers goes to nobody else, and the other way round."""
    for key, what, instead in (
        ("reminder", "到期前的提醒发给责任部门", "ESC-05"),
        ("provisional", "缺少日历时的通知发给售后经理", "NTC-24"),
    ):
        alone = table_at(escalation.data, key).get("notice")
        if LADDER_READERS.get(str(alone)) == "customer":
            text = f"{alone} 是发给客户的通知，{what}，请换一份，如 {instead}。"
            escalation.wrong((key, "notice"), text)
    readers = dict(LADDER_READERS)
    ladders = table_at(escalation.data, "ladders")
    rungs = [(code, place, rung) for code in ladders for place, rung in enumerate(rows_at(ladders, code))]
    for code, place, rung in rungs:
        notice = inside(rung, "notice")
        for number, role in enumerate(rows_at(rung, "tell")):
            if not isinstance(notice, str) or notice in NOTICES or not isinstance(role, str) or role not in ROLES:
                continue
            if readers.setdefault(notice, ROLES[role]) != ROLES[role]:
                whom, instead = (
                    ("客户", "customer") if readers[notice] == "customer" else ("内部", "owner、head 或 manager")
                )
                text = f"{notice} 是发给{whom}的通知，不能发给 {role}，请改成 {instead}，或换一份通知。"
                escalation.wrong(("ladders", code, place, "tell", number), text)


def _check_quiet(notices: Document, house: Document) -> None:
    """Quiet hours belong to departments that there are, or to customers."""
    known = ["customer", *(str(code) for code in table_at(house.data, "departments"))]
    for code in table_at(notices.data, "sending", "quiet"):
        if len(known) > 1 and code not in known:
            notices.wrong(("sending", "quiet", code), f"没有部门“{code}”，{nearest(str(code), known)}。")


def _check_selfservice(selfservice: Document, returns: Document) -> None:
    """Both must match, and what has an English name is there (AMB-47)."""
    if inside(selfservice.data, "require_both") is False:
        text = "false 目前还不支持，请写 true：订单号和手机号都相符才能查询。"
        selfservice.wrong(("require_both",), text)
    known = [str(code) for code in table_at(returns.data, "reasons")]
    for code in table_at(selfservice.data, "english", "reasons"):
        if known and code not in known:
            text = f"{file_name(returns)} 没有退货原因“{code}”，{nearest(str(code), known)}。"
            selfservice.wrong(("english", "reasons", code), text)


def _check_followup(followup: Document, house: Document) -> None:
    """Each kind of visit is there with its distance, each owner is a department (FUP-01 to FUP-09)."""
    departments = table_at(house.data, "departments")
    known = [kind.value for kind in VisitKind]
    for table, codes, what in (("kinds", known, "回访"), ("stages", list(visiting.STAGES), "环节")):
        named = table_at(followup.data, table)
        for code in named:
            owner = table_at(named, code).get("owner")
            if code not in codes:
                followup.wrong((table, code), f"没有{what}“{code}”，{nearest(str(code), codes)}。")
            if departments and isinstance(owner, str) and owner and owner not in departments:
                text = f"{file_name(house)} 没有部门“{owner}”，{nearest(owner, [str(d) for d in departments])}。"
                followup.wrong((table, code, "owner"), text)
        for code in codes:
            if named and code not in named:
                like = "is_on: true, " if table == "kinds" else "limit: 1 wd, "
                owner = next(iter(departments), "customer_service")
                text = f"缺少{what}“{code}”，请补上 {code}: {{{like}owner: {owner}, rule: …}}。"
                followup.wrong((table,), text)
    for code, kind in table_at(followup.data, "kinds").items():
        if code in known and isinstance(kind, dict):
            _check_distance(followup, ("kinds", code), kind, is_whole=True)
    for channel, kinds in table_at(followup.data, "channels").items():
        for code, kind in table_at(kinds).items():
            if code not in known:
                followup.wrong(("channels", channel, code), f"没有回访“{code}”，{nearest(str(code), known)}。")
            elif isinstance(kind, dict):
                _check_distance(followup, ("channels", channel, code), kind, is_whole=False)


def _check_distance(followup: Document, place: Place, kind: Mapping[Key, Any], *, is_whole: bool) -> None:
    """A visit in use returns by months, that of a return is due as returns.yaml says, any other so long after."""
    code = VisitKind(place[-1])
    takes = "months" if code is VisitKind.USE else "" if code in visiting.OWN else "after"
    for key, like in (("months", "1"), ("after", "7 d")):
        if key in kind and key != takes:
            instead = f"改写 {takes}" if takes else "期限写在 returns.yaml 的 revisit"
            followup.wrong((*place, key), f"{code.label}不用 {key}，请删去，{instead}。")
        elif is_whole and key == takes and key not in kind:
            followup.wrong(place, f"{code.label}没有写多久，请补上 {key}: {like}。")


def _check_calendar(calendar: Document) -> None:
    """A calendar's name is its year, its dates are of that year, its make-up workdays are weekend days (AMB-11)."""
    name = Path(calendar.file)
    if not re.fullmatch(r"[0-9]{4}\.yaml", name.name):
        calendar.mistakes.append(Mistake(calendar.file, 0, "", "文件名应当是四位年份，请改名为 2026.yaml 这样。"))
        return
    year = inside(calendar.data, "year")
    if type(year) is int and str(year) != name.stem:
        calendar.wrong(("year",), f"{year} 与文件名的年份不同，请写成 {name.stem}，或给文件改名。")
    days_off, makeup = table_at(calendar.data, "days_off"), table_at(calendar.data, "makeup_workdays")
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
