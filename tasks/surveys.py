"""
Surveys: sent after a case has ended, reminded of, ended when nobody answers, and what an answer sets going (SVY-01 …).

Everything that one survey does in one moment is one transaction under its case's lock: whoever dies in it has done
nothing, whoever comes twice or late finds what was done. Written by `tasks.cases` in the transaction that ends a case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection

from aftersales import clock, links
from aftersales.desk.leg import Leg
from aftersales.rules import authority, clocks, deliveries, masking, pages
from aftersales.rules import figures as counting
from aftersales.rules import surveys as rules
from aftersales.rules.deliveries import CUSTOMER
from aftersales.rules.figures import Tally
from aftersales.store import cases, journal, people, records, surveys
from aftersales.store.cases import Case
from aftersales.store.engine import transaction
from aftersales.terms import Terms
from aftersales.terms import survey as survey_terms
from aftersales.terms.survey import Question, Survey
from aftersales.words import DESK, Process, Right, Surveyed, Unable
from tasks import complaints, desks, notices, outside, revisits, sending, tellers
from tasks.cases import current_terms

log = logging.getLogger("aftersales.surveys")

# what a link is signed for, and where it leads
PURPOSE = "survey"
PATH = "/s/"
FIRST, AGAIN = "survey-0", "survey-1"
LINK, STAFF = "link", "staff"
NO_CHANNEL = "没有设置发给客户的渠道"
# how often a worker looks, and the most that one look does
SECONDS = 5.0
AT_ONCE = 500
# how long until somebody looks whether the notice has gone out, and how long it may take before somebody calls
A_MOMENT = timedelta(minutes=1)
A_WHILE = timedelta(minutes=5)
UNSENT = timedelta(days=1)
# how many seconds Prefect has to start a second revisit; else the reconciling round does
PATIENCE = 3.0
# a link is read at any time: when it is over is told by its survey, on the clock of its case
ALWAYS = datetime.min.replace(tzinfo=UTC)

ANSWERED = "客户已评价，不用再通知"
OVER = "评价已截止，不用再通知"
HANDED = "改由客服电话询问"


class TooLate(Unable):
    """An answer that is not taken any more; `why` is `answered`, `expired` or `skipped` (P-22)."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass
class Look:
    """What one look at the clock has done, by case; and what went wrong."""

    sent: list[str] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)
    reminded: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def told(self) -> list[tuple[str, list[str]]]:
        """What was done, as people read it."""
        named = (
            ("发出", self.sent),
            ("转客服电话询问", self.handed),
            ("提醒", self.reminded),
            ("截止未评价", self.expired),
            ("不再调查", self.skipped),
            ("出错，稍后再试", self.failed),
        )
        return [(name, case_nos) for name, case_nos in named if case_nos]

    @property
    def page(self) -> str:
        """What was done, as a page."""
        lines = [f"- {name} {len(found)} 份：{'、'.join(map(pages.cell, found))}" for name, found in self.told]
        return "\n".join(["# 满意度调查", "", *lines])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a customer is asked: the questions of then; `too_late` names why nobody takes an answer any more."""

    survey_id: int
    case_no: str
    order_no: str
    terms: Survey
    at: datetime
    expires_at: datetime | None
    is_rehearsed: bool
    process: Process
    too_late: str

    @property
    def questions(self) -> Sequence[Question]:
        """What is asked, in order."""
        return self.terms.questions


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an answer has set going: the numbers of the cases that it opened, empty where it opened none."""

    case_no: str
    revisit_no: str = ""
    complaint_no: str = ""


# --- as time goes by ------------------------------------------------------------------------------------------------


async def look(
    *,
    rehearsal: str | None = None,
    at: datetime | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Look:
    """
    Send, remind of and end whatever is due at `at` (now), each in a transaction of its own; one that fails stops nothing.

    `rehearsal` names the rehearsal whose surveys and clock are meant, None the real ones; safe to call twice or late.
    """
    found = Look()
    at = at or clock.now()
    async with transaction() as connection:
        due = await surveys.due(connection, at=at, rehearsal=rehearsal, limit=AT_ONCE)
    for survey_id, case_no in due:
        if is_stopping():
            break
        try:
            done = await _move(survey_id, case_no, at)
        except (sqlalchemy.exc.OperationalError, OSError):
            raise
        except Exception:  # one bad item stops nothing
            log.exception("The survey about %s cannot be looked after", case_no)
            async with transaction() as connection:
                await surveys.change(connection, survey_id, next_at=at + A_WHILE)
            done = "failed"
        if done:
            getattr(found, done).append(case_no)
    return found


async def look_after_what_is_due(is_stopping: Callable[[], bool] = lambda: False) -> Look:
    """Do what is due by now; costs one short question when there is nothing."""
    async with transaction() as connection:
        is_due = await surveys.is_anything_due(connection, clock.now())
    return await look(is_stopping=is_stopping) if is_due else Look()


async def _move(survey_id: int, case_no: str, at: datetime) -> str:
    """Do the next thing about a survey; answers what it was, empty when there was nothing to tell of."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        await cases.lock(connection, case_no)
        row = await surveys.lock(connection, survey_id)
        if row["next_at"] is None or row["next_at"] > at:
            return ""  # somebody else has done it meanwhile, or it was answered
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        if row["state"] == Surveyed.WAITING:
            if await people.is_opted_out(connection, case.order_no):
                return await _skip(connection, row, rules.OPTED_OUT)
            return await _send(connection, leg, row, at)
        if row["sent_at"] is None:
            return await _see_whether_sent(connection, leg, row, at)
        if row["asked_by"] == STAFF and await people.is_opted_out(connection, case.order_no):
            await _withdraw(connection, case_no, rules.OPTED_OUT, at)
            return await _skip(connection, row, rules.OPTED_OUT)
        if at >= row["expires_at"]:
            return await _expire(connection, case, row, at)
        if row["asked_by"] == STAFF:
            # they wanted no questions, and then did after all: nobody is reminded of a call that staff make
            await surveys.change(connection, row["id"], next_at=row["expires_at"])
            return ""
        return await _remind(connection, leg, row, at)


async def _send(connection: AsyncConnection, leg: Leg, row: Mapping[str, Any], at: datetime) -> str:
    """Ask a customer, by the channel that reaches them, else by staff (SVY-01)."""
    assert leg.case is not None
    assert leg.terms is not None
    case, survey = leg.case, terms_of(row)
    if case.rehearsal is None:
        contact = await records.reach_customer(connection, case.case_no)
        channels = sending.known_channels()
        addresses, lack = channels.of_customer(contact)
        if not addresses:
            why = lack or (sending.NO_CONTACT if channels.reach_customers else NO_CHANNEL)
            return await _hand_over(connection, leg, row, at, why)
    open_for = str(survey.open_for) if leg.terms.house.language == "en" else survey.open_for.words
    link = _link(row, survey, at, leg.terms)
    if case.process == Process.SURVEY:
        await notices.tell_customer(connection, leg, "SVY-04", FIRST, {"link": link, "open": open_for})
    else:
        await notices.tell_customer(connection, leg, "NTC-20", FIRST, {"link": link, "open": open_for})
    values: dict[str, Any] = {"state": Surveyed.SENT.value, "asked_by": LINK, "next_at": at + A_MOMENT}
    if case.rehearsal is not None:  # nobody need send what is rehearsed
        house, staff = leg.terms.house, leg.terms.staff()
        quiet = deliveries.quiet_until(CUSTOMER, at, house=house, sending=leg.terms.sending, staff=staff)
        values |= _window(survey, quiet or at, leg.terms)
    await surveys.change(connection, row["id"], **values)
    return "sent"


async def _see_whether_sent(connection: AsyncConnection, leg: Leg, row: Mapping[str, Any], at: datetime) -> str:
    """
    Let the customer's time begin when the survey has reached them; ask by phone when it does not (AMB-30, P-10).

    In quiet hours, and while a channel is down, it waits in the outbox.
    """
    assert leg.case is not None
    assert leg.terms is not None
    notice = await surveys.notice(connection, leg.case.case_no, FIRST, CUSTOMER)
    assert notice is not None, "a survey is sent by a notice"
    if notice["state"] == "sent":
        await surveys.change(connection, row["id"], **_window(terms_of(row), notice["settled_at"], leg.terms))
        return ""
    if notice["reason"] == rules.OPTED_OUT or await people.is_opted_out(connection, leg.case.order_no):
        await _withdraw(connection, leg.case.case_no, rules.OPTED_OUT, at)
        return await _skip(connection, row, rules.OPTED_OUT)
    given_up_at = notice["created_at"] + UNSENT
    if notice["state"] != "queued" or at >= given_up_at:
        await notices.withdraw(connection, leg.case.case_no, None, notices=notices.PRIVATE, reason=HANDED, at=at)
        return await _hand_over(connection, leg, row, at, "链接没有送达")
    again_at = max(notice["next_at"] or given_up_at, at) + A_WHILE
    await surveys.change(connection, row["id"], next_at=min(again_at, given_up_at))
    return ""


async def _hand_over(connection: AsyncConnection, leg: Leg, row: Mapping[str, Any], at: datetime, why: str) -> str:
    """Let staff ask a customer whom no channel reaches; their time begins now. The month's is for those whom one does (SVY-04)."""
    assert leg.case is not None
    assert leg.terms is not None
    if leg.case.process == Process.SURVEY:
        return await _skip(connection, row, why)
    survey = terms_of(row)
    expires_at = rules.until(at, survey.open_for, calendars=leg.terms.calendars, house=leg.terms.house)
    by = clocks.spoken(expires_at, house=leg.terms.house)
    command = f"aftersales survey record {leg.case.case_no} --as 工号 {survey.overall}=…"
    text = (
        f"{Process(leg.case.process).names(leg.case.case_no)} 已办完，满意度调查发不到客户（{why}）：请由没有办理过本单的员工在 {by} 前电话询问，"
        f"用命令登记：{command}（要问的题见 aftersales survey show {leg.case.case_no}）。"
    )
    await notices.tell_department(connection, leg, notices.ASK, current_terms().survey.owner, text)
    await surveys.change(
        connection,
        row["id"],
        state=Surveyed.SENT.value,
        asked_by=STAFF,
        reason=why,
        sent_at=at,
        expires_at=expires_at,
        next_at=expires_at,
    )
    return "handed"


async def _skip(connection: AsyncConnection, row: Mapping[str, Any], why: str) -> str:
    """Ask nobody after all; what staff were to ask by phone was never asked."""
    skipped = {"state": Surveyed.SKIPPED.value, "reason": why, "next_at": None, "sent_at": None, "expires_at": None}
    await surveys.change(connection, row["id"], **skipped)
    return "skipped"


async def _remind(connection: AsyncConnection, leg: Leg, row: Mapping[str, Any], at: datetime) -> str:
    """Remind a customer once, unless they have said no meanwhile; their link stays good (SVY-07, NUM-208)."""
    assert leg.case is not None
    assert leg.terms is not None
    if await people.is_opted_out(connection, leg.case.order_no):
        await surveys.change(connection, row["id"], next_at=row["expires_at"])
        return ""
    until = clocks.spoken(row["expires_at"], house=leg.terms.house)
    link = _link(row, terms_of(row), at, leg.terms)
    await notices.tell_customer(connection, leg, "SVY-07", AGAIN, {"link": link, "until": until})
    await surveys.change(connection, row["id"], reminded_at=at, next_at=row["expires_at"])
    return "reminded"


async def _expire(connection: AsyncConnection, case: Case, row: Mapping[str, Any], at: datetime) -> str:
    """End a survey that nobody answered: no answer is no answer, and counts as none (SVY-07)."""
    await _withdraw(connection, case.case_no, OVER, at)
    await surveys.change(connection, row["id"], state=Surveyed.EXPIRED.value, next_at=None)
    return "expired"


async def _withdraw(connection: AsyncConnection, case_no: str, reason: str, at: datetime) -> None:
    """Take back what nobody has sent yet (P-12)."""
    await notices.withdraw(connection, case_no, None, notices=notices.PRIVATE, reason=reason, at=at)
    await notices.withdraw(
        connection, case_no, FIRST, notices=(DESK,), rung=notices.ASK.partition(".")[2], reason=reason, at=at
    )


def _window(survey: Survey, sent_at: datetime, terms: Terms) -> dict[str, Any]:
    """When a survey that reached its customer at `sent_at` is reminded of and over."""
    remind_at, expires_at = (
        rules.until(sent_at, limit, calendars=terms.calendars, house=terms.house)
        for limit in (survey.remind_after, survey.open_for)
    )
    return {"sent_at": sent_at, "expires_at": expires_at, "next_at": min(remind_at, expires_at)}


def _link(row: Mapping[str, Any], survey: Survey, at: datetime, terms: Terms) -> str:
    """The address that leads a customer to a survey; it outlives its time, whose end its row tells."""
    sent_by = row["sent_at"] or at + UNSENT
    expires_at = rules.until(sent_by, survey.open_for, calendars=terms.calendars, house=terms.house)
    return links.address(f"{PATH}{links.sign(PURPOSE, str(row['id']), expires_at)}")


def terms_of(row: Mapping[str, Any]) -> Survey:
    """The terms that a survey was written with (GEN-07)."""
    return survey_terms.restore(row["terms"], live=current_terms().survey)


# --- answers --------------------------------------------------------------------------------------------------------


async def read(token: str) -> Asked:
    """What a link asks. Raises links.Unreadable for one that is not ours."""
    survey_id = _survey_of(token)
    async with transaction() as connection:
        row = await _standing(connection, survey_id)
        case, _ = await outside.found(connection, row["case_no"])
    at = clock.now(case)
    why = rules.too_late(state=Surveyed(row["state"]), expires_at=row["expires_at"], at=at)
    return Asked(
        survey_id=survey_id,
        case_no=row["case_no"],
        order_no=row["order_no"],
        terms=terms_of(row),
        at=at,
        expires_at=row["expires_at"],
        is_rehearsed=row["rehearsal"] is not None,
        process=Process(case.process),
        too_late=why,
    )


async def answer(token: str, given: Mapping[str, str]) -> Recorded:
    """
    Take what a customer answered on their page, once, with all that follows from it, in one transaction (SVY-05, SVY-07).

    Raises links.Unreadable, TooLate, and rules.Misanswered, which names every wrong answer.
    """
    survey_id = _survey_of(token)
    async with transaction() as connection:
        case_no = (await _standing(connection, survey_id))["case_no"]
        case, terms = await outside.found(connection, case_no)
        recorded = await _record(connection, case, terms, given, via=LINK, actor=CUSTOMER)
    await _begin(recorded)
    return recorded


async def record(case_no: str, *, operator: str, given: Mapping[str, str]) -> Recorded:
    """
    Write down what a customer answered by phone (SVY-04, P-22).

    Raises Unable: no such case, not asked about, not allowed, too late, or rules.Misanswered.
    """
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        known = await journal.read(connection, case_no)
        owner = current_terms().survey.owner
        no = authority.objection(
            operator=terms.staff().get(operator),
            named=operator,
            right=Right.VISIT,
            department=owner,
            department_name=terms.house.departments[owner].name,
            not_by=rules.worked_on_it(case.operator, known.values()),
        )
        if no:
            raise Unable(no)
        recorded = await _record(connection, case, terms, given, via=operator, actor=operator)
    await _begin(recorded)
    return recorded


async def _record(
    connection: AsyncConnection, case: Case, terms: Terms, given: Mapping[str, str], *, via: str, actor: str
) -> Recorded:
    await cases.lock(connection, case.case_no)
    known = await surveys.of_case(connection, case.case_no)
    if known is None:
        raise _unasked(case)
    row = await surveys.lock(connection, known["id"])
    at = clock.now(case)
    if why := rules.too_late(state=Surveyed(row["state"]), expires_at=row["expires_at"], at=at):
        raise TooLate(why, _too_late(why, row, terms))
    survey = terms_of(row)
    said = rules.read(given, survey)
    is_dissatisfied, other_need = rules.is_dissatisfied(said, survey), rules.has_other_need(said, survey)
    # an answer by phone may come before the survey has gone out
    asked = {"asked_by": row["asked_by"] or STAFF, "sent_at": row["sent_at"] or at}
    await surveys.change(
        connection,
        row["id"],
        state=Surveyed.ANSWERED.value,
        answers=rules.raw(said, survey),
        score=rules.score(said, survey),
        satisfied=not is_dissatisfied,
        other_need=other_need,
        via=via,
        answered_at=at,
        next_at=None,
        **asked,
    )
    await journal.add(
        connection,
        case.case_no,
        FIRST,
        kind="survey",
        at=at,
        actor=actor,
        data={"answers": rules.counted(said, survey), "satisfied": not is_dissatisfied, "other_need": other_need},
        rule="SVY-03",
    )
    await _withdraw(connection, case.case_no, ANSWERED, at)
    revisit_no = complaint_no = ""
    if is_dissatisfied:
        told = rules.told(said, survey)
        revisit_no = await revisits.open_revisit(connection, case, terms=terms, answers=told, at=at, actor=actor)
    if other_need:
        leg = Leg(driver=None, case=case, terms=terms)  # type: ignore[arg-type]  # nobody tells the story here
        complaint_no = await complaints.open_complaint(
            connection,
            leg,
            entry=f"{FIRST}.need",
            about=case.case_no,
            order_no=case.order_no,
            channel=case.channel,
            reason="客户在满意度调查中表示还有其他需要",
            operator=case.operator,
            actor=actor,
            told=(
                f"{Process(case.process).names(case.case_no)} 的客户在满意度调查中表示还有其他需要，已另立一单 {complaints.NUMBER}。"
                f"请联系客户处理（客户的留言见 aftersales survey show {case.case_no}）。"
            ),
        )
        await leg.note(
            connection, f"{FIRST}.need", kind="complaint", data={"complaint_no": complaint_no}, rule="SVY-07"
        )
    return Recorded(case.case_no, revisit_no, complaint_no)


async def _begin(recorded: Recorded) -> None:
    """Start the run of a second revisit; when Prefect does not answer, the reconciling round does."""
    if recorded.revisit_no:
        with suppress(Unable, TimeoutError):
            async with asyncio.timeout(PATIENCE):  # the customer waits for the page
                await tellers.begin_from_outside(recorded.revisit_no)


def _survey_of(token: str) -> int:
    try:
        return int(links.read(PURPOSE, token, at=ALWAYS))
    except ValueError:
        raise links.Unreadable("链接不对或不完整，请从收到的消息里重新打开。") from None


async def _standing(connection: AsyncConnection, survey_id: int) -> Mapping[str, Any]:
    row = await surveys.find(connection, survey_id)
    if row is None:  # signed by us, in another database
        raise links.Unreadable("链接不对或不完整，请从收到的消息里重新打开。")
    return row


def _unasked(case: Case) -> Unable:
    """Say why there is no survey about a case."""
    if case.process not in (Process.RETURNS, Process.COMPLAINT):
        return Unable(f"{case.case_no} 是{Process(case.process).label}单，不调查满意度，请改填它所关联的单号。")
    if not case.stage.is_over:
        return Unable(f"{case.case_no} {case.stage.label}，完成之后才调查满意度。")
    return Unable(f"{case.case_no} {case.stage.label}，没有满意度调查：只调查在本系统办完的退货和解决了的投诉。")


def _too_late(why: str, row: Mapping[str, Any], terms: Terms) -> str:
    """Tell staff why an answer is not taken; the page has its own words for customers."""
    case_no = row["case_no"]
    match Surveyed(why):
        case Surveyed.ANSWERED:
            return f"{case_no} 已有评价，没有再登记；可用 aftersales survey show {case_no} 查看。"
        case Surveyed.SKIPPED:
            return f"{case_no} 不调查满意度：{row['reason']}。"
    until = clocks.spoken(row["expires_at"], house=terms.house)
    return f"评价已于 {until} 截止，没有登记。"


# --- what people read -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A survey as staff read it: what was written in free text is masked (GEN-10)."""

    case_no: str
    state: Surveyed
    reason: str
    times: Mapping[str, datetime | None]
    asked_by: str
    by: str
    is_satisfied: bool | None
    score: str
    answers: list[tuple[str, str, str]]  # code, question, answer (empty: none)
    offered: Mapping[str, Sequence[str]]  # by code, what may be answered

    @property
    def answers_given(self) -> bool:
        """Whether there is an answer to show."""
        return self.state is Surveyed.ANSWERED


async def show(case_no: str) -> Shown:
    """The survey about a case. Raises Unable: no such case, or not asked about."""
    async with transaction() as connection:
        case, terms = await outside.found(connection, case_no)
        row = await surveys.of_case(connection, case_no)
    if row is None:
        raise _unasked(case)
    return _shown(row, terms)


async def listed(*, state: Surveyed | None, is_dissatisfied: bool, limit: int) -> list[Shown]:
    """Surveys, the newest first."""
    async with transaction() as connection:
        rows = await surveys.listed(connection, state=state, is_dissatisfied=is_dissatisfied, limit=limit)
    return [_shown(row, current_terms()) for row in rows]


def _shown(row: Mapping[str, Any], terms: Terms) -> Shown:
    survey = terms_of(row)
    said = {each["code"]: rules.spoken_raw(each) for each in row["answers"]}
    by = "" if row["via"] in ("", LINK) else desks.reader(terms).who(row["via"])
    return Shown(
        case_no=row["case_no"],
        state=Surveyed(row["state"]),
        reason=row["reason"],
        times={name: row[name] for name in ("ended_at", "sent_at", "reminded_at", "expires_at", "answered_at")},
        asked_by=row["asked_by"],
        by=by,
        is_satisfied=row["satisfied"],
        score="" if row["score"] is None else str(row["score"]),
        answers=[(q.code, q.zh, masking.scrub(said.get(q.code, ""))) for q in survey.questions],
        offered={q.code: rules.offered(q) for q in survey.questions},
    )


# --- figures --------------------------------------------------------------------------------------------------------


async def counted(connection: AsyncConnection, *, since: date, until: date) -> list[tuple[str, date, Tally]]:
    """
    Count surveys sent and second revisits opened in a period, by whoever had the case first and by day; no rehearsals.

    KPI-09, KPI-41, KPI-44.
    """
    house = current_terms().house
    first, end = clocks.span(since, until, house=house)
    when = {"since": first, "until": end, "zone": house.timezone}
    rows = [
        *await surveys.tallies(connection, good=int(rules.GOOD), **when),  # type: ignore[arg-type]
        *await surveys.recoveries(connection, **when),  # type: ignore[arg-type]
    ]
    found = [
        (row["operator"], row["day"], Tally(**{each: row[each] for each in row if each not in ("operator", "day")}))
        for row in rows
    ]
    for row in await surveys.recommendations(connection, **when):  # type: ignore[arg-type]
        way, times = rules.recommends(row["answer"]), row["times"]
        tally = Tally(recommended=times, promoters=times * (way > 0), detractors=times * (way < 0))
        found.append((row["operator"], row["day"], tally))
    return found


async def analysed(*, since: date, until: date) -> list[tuple[bool, rules.Analysis]]:
    """Tell by question what was answered to the surveys sent on the days from `since` to `until` (SVY-06)."""
    terms = current_terms()
    first, end = clocks.span(since, until, house=terms.house)
    async with transaction() as connection:
        rows = await surveys.answers(connection, since=first, until=end)
    return rules.analysed(rows, terms.survey)


async def figures(*, since: date, until: date, by: str = "") -> list[tuple[str, Tally]]:
    """
    Add up surveys and second revisits of the days from `since` to `until`, the total last (KPI-09, KPI-41, KPI-44).

    `by` is `agent` (whoever had the case first), `team` (theirs, as it is today) or empty: all in one.
    """
    async with transaction() as connection:
        found = await counted(connection, since=since, until=until)
    all_ = counting.gathered((), found, since=since, until=until, staff=current_terms().staff())
    lines = {"": (), counting.BY_AGENT: all_.agents, counting.BY_TEAM: all_.teams}[by]
    return [(line.name, line.tally) for line in (*lines, all_.total)]
