"""
Surveys: who is asked, until when an answer is taken, what it means (SVY-01 to SVY-07); `figures` counts answers.

Covers P-22 (one survey a closure, none inside the lock time, none too late, none by whoever worked on the case),
P-25 (kind words reopen nothing) and AMB-31 (answers stay as they were given; satisfaction is counted on five).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from aftersales.forms.fields import clean, seen
from aftersales.rules import clocks, visits
from aftersales.rules.standing import Told
from aftersales.terms import Calendar, House, Terms
from aftersales.terms.survey import Question, Survey
from aftersales.words import Process, Scale, Stage, Surveyed, Unable

# the longest free text, and the longest answer that is looked at
MOST_CHARACTERS = 500
# from this score on an answer counts as a good one (KPI-09)
GOOD = Decimal(4)
# up to this one as a bad one (SVY-06)
LOW = Decimal(2)
HUNDREDTH = Decimal("0.01")
# why a customer who has said no is not asked, and not reminded
OPTED_OUT = "客户已表示不愿被调查"
# what people write for the answers of a question of yes or no
SPOKEN = {"yes": "是", "no": "否"}

# what may be wrong with an answer; `{label}` is the question. The page has the English beside it
WRONG = {
    "missing": "“{label}”还没有回答，请选一个答案。",
    "unknown": "没有“{label}”这一题，请只写问卷里的题：{known}。",
    "not_offered": "“{label}”的答案不在可选值中，请从 {known} 里选一个。",
    "too_long": f"“{{label}}”超过 {MOST_CHARACTERS} 字，请写短一些。",
    "unreadable": "“{label}”含有无法保存的字符，请删去后重填。",
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with the answer to one question."""

    what: str
    label: Mapping[str, str]
    known: Sequence[str] = ()

    def __str__(self) -> str:
        """Say it in one sentence that tells what to do instead."""
        return WRONG[self.what].format(label=self.label["zh"], known="、".join(self.known))


class Misanswered(Unable):
    """Answers that cannot be taken; `wrong` tells what is wrong by question."""

    def __init__(self, wrong: Mapping[str, Wrong]) -> None:
        self.wrong = dict(wrong)
        super().__init__("".join(map(str, wrong.values())))


# --- who is asked ---------------------------------------------------------------------------------------------------


def is_asked_about(
    *,
    process: Process,
    stage: Stage,
    is_past: bool,
    is_solved: bool = True,
    about: Process | None = None,
    was_dissatisfied: bool = False,
) -> bool:
    """
    Tell whether customers are asked about a case that ended like this (SVY-01, SVY-02, CMP-08).

    About a return that was completed, not when it was rejected or cancelled, or was settled elsewhere long ago; and about
    a complaint that was solved: what was not is asked about by phone (FUP-06). About no second revisit, and no complaint
    that came of one (`about`) or of a dissatisfied answer: whoever was dissatisfied is not asked a third time (AMB-40).
    """
    if stage is not Stage.CLOSED or is_past:
        return False
    if process is Process.COMPLAINT:
        return is_solved and about is not Process.REVISIT and not was_dissatisfied
    return process is Process.RETURNS


def objection(
    *,
    is_opted_out: bool,
    asked_about: tuple[str, datetime] | None = None,
    at: datetime,
    survey: Survey,
    calendars: Mapping[int, Calendar],
    house: House,
) -> str:
    """
    Say why a customer is not asked about a case that ended at `at`; empty when they are (P-22).

    `asked_about` is the last case of the same order that was asked about, and when it ended.
    """
    if is_opted_out:
        return OPTED_OUT
    if asked_about is not None:
        case_no, ended_at = asked_about
        if at < until(ended_at, survey.lock, calendars=calendars, house=house):
            return f"同一订单的 {case_no} 结案不到 {survey.lock.words}，已经调查过"
    return ""


def until(start_at: datetime, limit: Any, *, calendars: Mapping[int, Calendar], house: House) -> datetime:
    """Tell the end of a time of the survey's, exclusive."""
    return clocks.due(start_at=start_at, limit=limit, calendars=calendars, house=house).due_at


def is_asked_this_month(on: date, *, asked: date, terms: Terms) -> bool:
    """
    Tell whether the night of a working day draws whom the month's survey asks: the first of the month's (SVY-04).

    `asked` is the first day of the month that was asked last; after an outage a later night makes up for this one.
    """
    month = on.replace(day=1)
    return asked < month and on >= visits.working_day_from(month, terms=terms)


def month_before_the_first(on: date, *, last: date | None, terms: Terms) -> date:
    """
    Tell which month counts as asked in a shop that never asked, by the night of `on` (SVY-04).

    `last` is the day of the round before it. Where the month's first round is over, or was never, it begins with the next.
    """
    month = on.replace(day=1)
    is_time = on == visits.working_day_from(month, terms=terms) if last is None else last < month
    return visits.months_later(month, -1 if is_time else 0)


def locked_since(on: date, *, terms: Terms) -> datetime:
    """Tell since when whoever was asked is left alone on a day by the month's survey: the lock time, in whole days (P-22)."""
    since = visits.day_before(on, terms.survey.lock, terms=terms)
    return clocks.span(since, since, house=terms.house)[0]


# --- who may still answer -------------------------------------------------------------------------------------------


def too_late(*, state: Surveyed, expires_at: datetime | None, at: datetime) -> str:
    """
    Name why an answer is not taken any more: `answered`, `expired`, `skipped`; empty when it is (P-22).

    The end is exclusive; while nobody knows yet when the survey reached the customer, it has no end.
    """
    if state in (Surveyed.ANSWERED, Surveyed.SKIPPED, Surveyed.EXPIRED):
        return state.value
    return Surveyed.EXPIRED.value if expires_at is not None and at >= expires_at else ""


def worked_on_it(first: str, entries: Iterable[Told]) -> set[str]:
    """Tell who worked on a case: whoever took it in (`first`), whoever decided in it, and whoever closed it (P-22)."""
    return {first, *(entry.actor for entry in entries if entry.kind in ("decision", "closed"))}


def not_by(worked: Collection[str], *, able: Collection[str]) -> list[str]:
    """
    Tell who may not hear a customer out about their own work, where one of those `able` had no part in it (KPI-41).

    Where all had, one of them calls all the same: else nobody would.
    """
    return sorted(worked) if set(able).difference(worked) else []


# --- what an answer says --------------------------------------------------------------------------------------------


def read(given: Mapping[str, str], survey: Survey) -> dict[str, str]:
    """
    Read what was answered: by question, as it was given; what was left empty is no answer (SVY-03, SVY-07).

    Raises Misanswered with all that is wrong.
    """
    asked = {question.code: question for question in survey.questions}
    said: dict[str, str] = {}
    wrong: dict[str, Wrong] = {
        code: Wrong("unknown", dict.fromkeys(("zh", "en"), code[:40]), tuple(asked))
        for code in given
        if code not in asked
    }
    for code, question in asked.items():
        labels = {"zh": question.zh, "en": question.en}
        try:
            answer = seen(clean(given.get(code, "")))
        except ValueError:
            wrong[code] = Wrong("unreadable", labels)
            continue
        scale = Scale(question.scale)
        if scale is not Scale.TEXT:
            answer = _code(answer, scale)
        if not answer:
            if code == survey.overall:
                wrong[code] = Wrong("missing", labels)
        elif scale is Scale.TEXT and len(answer) > MOST_CHARACTERS:
            wrong[code] = Wrong("too_long", labels)
        elif scale is not Scale.TEXT and answer not in scale.answers:
            wrong[code] = Wrong("not_offered", labels, offered(question))
        else:
            said[code] = answer
    if wrong:
        raise Misanswered(wrong)
    return said


def is_dissatisfied(said: Mapping[str, str], survey: Survey) -> bool:
    """Tell whether answers open a second revisit (SVY-05): by what was chosen, never by words that were written (P-25)."""
    return any(
        _place(question, said[question.code]) <= _place(question, question.dissatisfied)
        for question in survey.questions
        if question.dissatisfied is not None and question.code in said
    )


def has_other_need(said: Mapping[str, str], survey: Survey) -> bool | None:
    """Tell whether the customer needs anything else; None when they did not say (SVY-07)."""
    answer = said.get(survey.other_need or "")
    return None if answer is None else answer == "yes"


def score(said: Mapping[str, str], survey: Survey) -> Decimal:
    """Put the overall answer on a scale of five, so that it can be counted beside others (KPI-09, AMB-31)."""
    return on_five(said[survey.overall], Scale(survey.question(survey.overall).scale))


def on_five(answer: str, scale: Scale) -> Decimal:
    """
    Put an answer on a scale of five: the worst is 1, the best is 5, what lies between keeps its distance (AMB-31).

    Raises ValueError for what says nothing of satisfaction: free text, and whether somebody would recommend us.
    """
    if scale in (Scale.TEXT, Scale.NPS):
        raise ValueError(f"{scale} is no measure of satisfaction")
    place, steps = scale.answers.index(answer), len(scale.answers) - 1
    return (1 + Decimal(4 * place) / steps).quantize(HUNDREDTH, ROUND_HALF_UP)


def recommends(answer: str) -> int:
    """Count an answer of 0 to 10 as a promoter's (1), a detractor's (-1) or neither (AMB-31)."""
    return 1 if int(answer) >= 9 else -1 if int(answer) <= 6 else 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was answered to one question: how often each answer, and for a measure the mean and how far answers differ."""

    question: str
    scale: Scale
    times: Mapping[str, int]
    # free text judges nothing, nor does whether something else is needed
    is_judged: bool

    @property
    def answered(self) -> int:
        """How often it was answered."""
        return sum(self.times.values())

    @property
    def mean(self) -> Decimal | None:
        """The mean on five; None where the scale is no measure of satisfaction (AMB-31)."""
        points = self._points()
        return _mean(points).quantize(HUNDREDTH, ROUND_HALF_UP) if points else None

    @property
    def spread(self) -> Decimal | None:
        """How far answers differ: the standard deviation on five (SVY-06)."""
        points = self._points()
        if not points:
            return None
        mean = _mean(points)
        return (
            _mean([((point - mean) ** 2, times) for point, times in points]).sqrt().quantize(HUNDREDTH, ROUND_HALF_UP)
        )

    @property
    def low(self) -> int:
        """How often it was answered badly: 2 of 5 and less, or by somebody who would not recommend us."""
        if self.scale is Scale.NPS:
            return sum(times for answer, times in self.times.items() if recommends(answer) < 0)
        return sum(times for point, times in self._points() if point <= LOW)

    @property
    def chosen(self) -> list[tuple[str, int]]:
        """How often each answer was chosen, the worst first, as people read it; nothing of free text."""
        return [
            (spoken(answer, self.scale), self.times[answer]) for answer in self.scale.answers if answer in self.times
        ]

    def _points(self) -> list[tuple[Decimal, int]]:
        """Each answer on five, and how often it was chosen."""
        if self.scale is Scale.NPS or not self.is_judged:
            return []
        return [(on_five(answer, self.scale), times) for answer, times in self.times.items()]


def _mean(points: Sequence[tuple[Decimal, int]]) -> Decimal:
    return sum((point * times for point, times in points), Decimal(0)) / sum(times for _, times in points)


def analysed(rows: Iterable[Mapping[str, Any]], survey: Survey) -> list[tuple[bool, Analysis]]:
    """
    Add answers up by question, after a case and in the month's survey apart, what is answered badly most first (SVY-06).

    `rows` tell `is_regular`, `code`, `scale`, `answer` and how many `times`; a question is worded as it is today.
    """
    times: dict[tuple[bool, str, str], dict[str, int]] = {}
    for row in rows:
        times.setdefault((row["is_regular"], row["code"], row["scale"]), {})[row["answer"]] = row["times"]
    found = []
    for (is_regular, code, scale), answers in times.items():
        asked = survey.regular.questions if is_regular else survey.questions
        question = next((each for each in asked if each.code == code and each.scale == scale), None)
        is_judged = scale not in (Scale.TEXT, Scale.YES_NO) or (
            question is not None and question.dissatisfied is not None
        )
        # of a question that is asked no more, or otherwise, its code and how it was answered
        label = question.zh if question else f"{code}（{Scale(scale).label}）"
        found.append((is_regular, Analysis(label, Scale(scale), answers, is_judged)))
    return sorted(found, key=lambda each: (each[0], -Fraction(each[1].low, each[1].answered), each[1].question))


def raw(said: Mapping[str, str], survey: Survey) -> list[dict[str, str]]:
    """Give answers as they are kept: with their scale, in the order of the questions (AMB-31)."""
    return [
        {"code": question.code, "scale": question.scale, "answer": said[question.code]}
        for question in survey.questions
        if question.code in said
    ]


def counted(said: Mapping[str, str], survey: Survey) -> dict[str, str]:
    """Leave of answers what was chosen: what the journal may hold, since free text may name somebody (GEN-10)."""
    return {each["code"]: each["answer"] for each in raw(said, survey) if each["scale"] != Scale.TEXT}


def spoken(answer: str, scale: Scale) -> str:
    """Write an answer as people read it: `4 星`, `否`."""
    match scale:
        case Scale.STARS5:
            return f"{answer} 星"
        case Scale.POINTS5 | Scale.POINTS10 | Scale.NPS:
            return f"{answer} 分（满分 {scale.answers[-1]}）"
        case Scale.YES_NO:
            return SPOKEN[answer]
    return answer


def spoken_raw(answer: Mapping[str, str]) -> str:
    """Write an answer as it is kept as people read it."""
    return spoken(answer["answer"], Scale(answer["scale"]))


def offered(question: Question) -> tuple[str, ...]:
    """What may be answered to a question, as it is typed; nothing where anything may."""
    scale = Scale(question.scale)
    return tuple(SPOKEN[answer] for answer in reversed(scale.answers)) if scale is Scale.YES_NO else scale.answers


def told(said: Mapping[str, str], survey: Survey) -> list[tuple[str, str]]:
    """Write what was asked and chosen as people read it, free text left out."""
    chosen = counted(said, survey)
    return [(q.zh, spoken(chosen[q.code], Scale(q.scale))) for q in survey.questions if q.code in chosen]


def words(answers: Iterable[Mapping[str, str]], survey: Survey) -> list[tuple[str, str]]:
    """Give what was written in free text, with its question, as it was written."""
    return [(survey.question(each["code"]).zh, each["answer"]) for each in answers if each["scale"] == Scale.TEXT]


def _code(answer: str, scale: Scale) -> str:
    """Read an answer as it is kept: people type what `survey show` prints, `是` and `4 星` as well as `yes` and `4`."""
    typed = answer.lower().replace(" ", "")
    return next((code for code in scale.answers if typed == spoken(code, scale).replace(" ", "")), typed)


def _place(question: Question, answer: str | None) -> int:
    return Scale(question.scale).answers.index(answer or "")
