"""Who is asked how it went, when and until when, and what an answer means (SVY-01 to SVY-07, P-22, P-25, AMB-31, KPI-09)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from aftersales.page.words import Words
from aftersales.rules import clocks, surveys
from aftersales.rules.surveys import Misanswered, Wrong
from aftersales.store.journal import Entry
from aftersales.terms import load
from aftersales.terms.survey import restore
from aftersales.words import Process, Scale, Stage, Surveyed

LIVE = load()
SURVEY = LIVE.survey


def at(wall: str) -> datetime:
    """A time of the house."""
    return clocks.house_time(datetime.fromisoformat(wall), house=LIVE.house)


def survey(*questions: dict[str, Any], **changes: Any) -> Any:
    """A survey with an overall question, and others."""
    overall = {"code": "overall", "zh": "总体", "en": "Overall", "scale": "stars5", "dissatisfied": "2"}
    named = {each["code"]: {"zh": each["code"], "en": each["code"], **each} for each in (overall, *questions)}
    document = {"questions": list(named.values()), "overall": "overall", "other_need": None, **changes}
    return restore(document, live=SURVEY)


# --- P-22: who is asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("process", "stage", "is_past", "is_asked"),
    [
        pytest.param(Process.RETURNS, Stage.CLOSED, False, True, id="SVY-02 a return that was completed"),
        pytest.param(Process.RETURNS, Stage.REJECTED, False, False, id="none after a rejection"),
        pytest.param(Process.RETURNS, Stage.CANCELLED, False, False, id="none after a cancellation"),
        pytest.param(Process.RETURNS, Stage.CLOSED, True, False, id="none about what was settled elsewhere"),
        pytest.param(Process.REVISIT, Stage.CLOSED, False, False, id="AMB-40 no third survey"),
        pytest.param(Process.COMPLAINT, Stage.CLOSED, False, True, id="SVY-02 a complaint that was solved"),
        pytest.param(Process.SURVEY, Stage.CLOSED, False, False, id="none about a survey"),
    ],
)
def test_p22_is_asked_about(process: Process, stage: Stage, is_past: bool, is_asked: bool):
    assert surveys.is_asked_about(process=process, stage=stage, is_past=is_past) is is_asked


@pytest.mark.parametrize(
    ("is_solved", "about", "was_dissatisfied", "is_asked"),
    [
        pytest.param(True, Process.RETURNS, False, True, id="about a return"),
        pytest.param(True, None, False, True, id="about no case"),
        pytest.param(False, Process.RETURNS, False, False, id="FUP-06 not solved: somebody calls"),
        pytest.param(True, Process.REVISIT, False, False, id="AMB-40 out of a second revisit: no third survey"),
        pytest.param(True, Process.RETURNS, True, False, id="AMB-40 nor out of a dissatisfied answer"),
    ],
)
def test_cmp08_which_complaints_are_asked_about(
    is_solved: bool, about: Process | None, was_dissatisfied: bool, is_asked: bool
):
    asked = surveys.is_asked_about(
        process=Process.COMPLAINT, stage=Stage.CLOSED, is_past=False, is_solved=is_solved, about=about,
        was_dissatisfied=was_dissatisfied,
    )  # fmt: skip

    assert asked is is_asked


@pytest.mark.parametrize(
    ("is_opted_out", "before", "now", "why"),
    [
        pytest.param(False, None, "2026-03-13 10:00", "", id="the first case of an order"),
        pytest.param(True, None, "2026-03-13 10:00", "客户已表示不愿被调查", id="a customer who has opted out"),
        pytest.param(
            False, "2026-03-13 10:00", "2026-03-13 10:00", "同一订单的 RT-1 结案不到 7 天，已经调查过",
            id="two cases that end at once",
        ),
        pytest.param(
            False, "2026-03-13 10:00", "2026-03-20 23:59", "同一订单的 RT-1 结案不到 7 天，已经调查过",
            id="a new case inside the lock time",
        ),
        pytest.param(False, "2026-03-13 10:00", "2026-03-21 00:00", "", id="a new case when the lock time is over"),
        pytest.param(
            True, "2026-03-13 10:00", "2027-03-13 10:00", "客户已表示不愿被调查", id="opted out, whatever came before"
        ),
    ],
)  # fmt: skip
def test_p22_objection(is_opted_out: bool, before: str | None, now: str, why: str):
    told = surveys.objection(
        is_opted_out=is_opted_out,
        asked_about=("RT-1", at(before)) if before else None,
        at=at(now),
        survey=SURVEY,
        calendars=LIVE.calendars,
        house=LIVE.house,
    )

    assert told == why


# --- P-22: who may still answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "expires", "now", "why"),
    [
        pytest.param("sent", "2026-03-16 10:00", "2026-03-16 09:59", "", id="the last minute"),
        pytest.param("sent", "2026-03-16 10:00", "2026-03-16 10:00", "expired", id="the end itself is too late"),
        pytest.param("sent", None, "2026-03-30 10:00", "", id="nobody knows yet when it reached the customer"),
        pytest.param("waiting", None, "2026-03-13 10:00", "", id="by phone before it has gone out"),
        pytest.param("expired", "2026-03-16 10:00", "2026-03-16 09:00", "expired", id="it was ended"),
        pytest.param("answered", "2026-03-16 10:00", "2026-03-14 10:00", "answered", id="it was answered"),
        pytest.param("answered", "2026-03-16 10:00", "2026-04-14 10:00", "answered", id="answered, and long ago"),
        pytest.param("skipped", None, "2026-03-13 10:00", "skipped", id="nobody was asked"),
    ],
)
def test_p22_too_late(state: str, expires: str | None, now: str, why: str):
    told = surveys.too_late(state=Surveyed(state), expires_at=at(expires) if expires else None, at=at(now))

    assert told == why


def test_p22_who_took_a_case_in_and_who_decided_in_it_worked_on_it():
    entries = [
        Entry(number, f"e-{number}", kind, at("2026-03-13 10:00"), actor, None, "", {})
        for number, (kind, actor) in enumerate([("opened", "customer"), ("decision", "C08"), ("refused", "C02")])
    ]

    assert surveys.worked_on_it("C07", entries) == {"C07", "C08"}


@pytest.mark.parametrize(
    ("worked", "able", "barred"),
    [
        pytest.param(
            {"C07", "C01"}, ["C01", "C02"], ["C01", "C07"], id="KPI-41 nobody hears out a customer of their own"
        ),
        pytest.param({"C07", "C01"}, ["C01"], [], id="where nobody else may, one of them calls all the same"),
        pytest.param({"C01", "C02"}, ["C01", "C02"], [], id="where all had a part in it too"),
        pytest.param({"C07"}, [], [], id="where nobody may at all, that is what they are told"),
    ],
)
def test_kpi41_who_may_not_hear_a_customer_out(worked: set[str], able: list[str], barred: list[str]):
    assert surveys.not_by(worked, able=able) == barred


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"overall": "4"}, {"overall": "4"}, id="the one that must be given"),
        pytest.param({"overall": " 4 ", "speed": ""}, {"overall": "4"}, id="what is left empty is no answer"),
        pytest.param({"overall": "5", "solved": "是"}, {"overall": "5", "solved": "yes"}, id="yes, as people say it"),
        pytest.param({"overall": "5", "solved": "NO"}, {"overall": "5", "solved": "no"}, id="no, in capitals"),
        pytest.param({"overall": "4 星", "solved": " 否"}, {"overall": "4", "solved": "no"}, id="as answers are shown"),
        pytest.param({"overall": "5", "comment": " 谢谢！\u200b"}, {"overall": "5", "comment": "谢谢！"}, id="words"),
        pytest.param(
            {"overall": "5", "comment": "好" * 500}, {"overall": "5", "comment": "好" * 500}, id="500 of them"
        ),
    ],
)
def test_svy03_read(given: dict[str, str], said: dict[str, str]):
    assert surveys.read(given, SURVEY) == said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({}, "“总体满意度”还没有回答，请选一个答案。", id="nothing"),
        pytest.param({"overall": "  "}, "“总体满意度”还没有回答，请选一个答案。", id="blanks"),
        pytest.param({"overall": "6"}, "“总体满意度”的答案不在可选值中，请从 1、2、3、4、5 里选一个。", id="six stars"),
        pytest.param({"overall": "0"}, "不在可选值中", id="no stars"),
        pytest.param({"overall": "4.5"}, "不在可选值中", id="half a star"),
        pytest.param({"overall": "５"}, "不在可选值中", id="full width"),
        pytest.param(
            {"overall": "5", "solved": "不满意"},
            "“问题解决得满意吗？”的答案不在可选值中，请从 是、否 里选一个。",
            id="words that are not offered",
        ),
        pytest.param(
            {"overall": "5", "comment": "好" * 501}, "“还想说的”超过 500 字，请写短一些。", id="501 characters"
        ),
        pytest.param({"overall": "5", "comment": "a\x00b"}, "“还想说的”含有无法保存的字符", id="a NUL"),
        pytest.param({"overall": "5", "comment": "\ud800"}, "“还想说的”含有无法保存的字符", id="half a character"),
        pytest.param(
            {"overall": "5", "spede": "4"}, "没有“spede”这一题，请只写问卷里的题：solved、overall", id="no question"
        ),
    ],
)
def test_what_is_no_answer_is_one_sentence(given: dict[str, str], sentence: str):
    with pytest.raises(Misanswered) as error:
        surveys.read(given, SURVEY)

    assert sentence in str(error.value)
    assert len(error.value.wrong) == 1


def test_every_mistake_is_told_at_once_in_both_languages():
    with pytest.raises(Misanswered) as error:
        surveys.read({"solved": "x", "comment": "好" * 501}, SURVEY)

    assert list(error.value.wrong) == ["solved", "overall", "comment"]


@pytest.mark.parametrize("what", surveys.WRONG)
def test_what_is_wrong_with_an_answer_is_said_on_the_page_as_by_the_command(what: str):
    wrong = Wrong(what, {"zh": "总体满意度", "en": "Overall satisfaction"}, ("1", "2"))

    chinese, english = (Words(language, LIVE).wrong(wrong) for language in ("zh", "en"))

    assert chinese == str(wrong)
    assert "“Overall satisfaction”" in english and "{" not in english


def test_what_is_offered_is_named_in_the_language_of_the_page():
    wrong = Wrong("not_offered", {"zh": "解决了吗", "en": "Solved"}, ("是", "否"))

    assert Words("zh", LIVE).wrong(wrong).endswith("请从 是、否 里选一个。")
    assert Words("en", LIVE).wrong(wrong).endswith("Please choose one of Yes, No.")


@pytest.mark.parametrize(
    ("said", "is_dissatisfied"),
    [
        pytest.param({"overall": "1"}, True, id="one star"),
        pytest.param({"overall": "2"}, True, id="the last that counts as dissatisfied"),
        pytest.param({"overall": "3"}, False, id="the first that does not"),
        pytest.param({"overall": "5", "solved": "no"}, True, id="SVY-01 five stars, but it was not solved"),
        pytest.param({"overall": "3", "solved": "yes"}, False, id="solved"),
        pytest.param({"overall": "5", "speed": "1"}, False, id="slow is not dissatisfied"),
        pytest.param({"overall": "5", "other_need": "no"}, False, id="no other need is no complaint"),
        pytest.param({"overall": "5", "comment": "非常不满意，要投诉"}, False, id="P-25 words decide nothing"),
        pytest.param({"overall": "2", "comment": "谢谢，很满意"}, True, id="P-25 nor do kind ones"),
    ],
)
def test_svy05_is_dissatisfied(said: dict[str, str], is_dissatisfied: bool):
    assert surveys.is_dissatisfied(said, SURVEY) is is_dissatisfied


@pytest.mark.parametrize(
    ("scale", "up_to", "answer", "is_dissatisfied"),
    [
        pytest.param("points5", "3", "3", True, id="1–5 points, at the edge"),
        pytest.param("points5", "3", "4", False, id="1–5 points, above"),
        pytest.param("points10", "9", "9", True, id="10 points, at the edge"),
        pytest.param("points10", "9", "10", False, id="10 is more than 9, not less"),
        pytest.param("yes_no", "no", "no", True, id="no"),
        pytest.param("yes_no", "no", "yes", False, id="yes"),
    ],
)
def test_amb31_dissatisfied_on_every_scale(scale: str, up_to: str, answer: str, is_dissatisfied: bool):
    other = survey({"code": "overall", "scale": scale, "dissatisfied": up_to})

    assert surveys.is_dissatisfied({"overall": answer}, other) is is_dissatisfied


@pytest.mark.parametrize(
    ("said", "has_need"),
    [
        pytest.param({"overall": "5", "other_need": "yes"}, True, id="SVY-07 another need"),
        pytest.param({"overall": "5", "other_need": "no"}, False, id="none"),
        pytest.param({"overall": "5"}, None, id="not said"),
    ],
)
def test_svy07_has_other_need(said: dict[str, str], has_need: bool | None):
    assert surveys.has_other_need(said, SURVEY) is has_need
    assert surveys.has_other_need(said, survey()) is None, "who is not asked has not said it"


@pytest.mark.parametrize(
    ("answer", "scale", "score"),
    [
        pytest.param("1", "stars5", "1.00", id="one star"),
        pytest.param("4", "stars5", "4.00", id="four stars"),
        pytest.param("5", "points5", "5.00", id="five points"),
        pytest.param("1", "points10", "1.00", id="the worst of ten is the worst of five"),
        pytest.param("10", "points10", "5.00", id="the best of ten is the best of five"),
        pytest.param("8", "points10", "4.11", id="eight of ten"),
        pytest.param("no", "yes_no", "1.00", id="no"),
        pytest.param("yes", "yes_no", "5.00", id="yes"),
    ],
)
def test_amb31_on_five(answer: str, scale: str, score: str):
    assert surveys.on_five(answer, Scale(scale)) == Decimal(score)


@pytest.mark.parametrize("scale", ["nps", "text"])
def test_amb31_recommendation_and_words_are_no_satisfaction(scale: str):
    with pytest.raises(ValueError, match="no measure"):
        surveys.on_five("10", Scale(scale))


def test_amb31_answers_are_kept_as_they_were_given():
    said = {"comment": "谢谢", "overall": "4", "solved": "yes"}

    assert surveys.raw(said, SURVEY) == [
        {"code": "solved", "scale": "yes_no", "answer": "yes"},
        {"code": "overall", "scale": "stars5", "answer": "4"},
        {"code": "comment", "scale": "text", "answer": "谢谢"},
    ]
    assert surveys.counted(said, SURVEY) == {"solved": "yes", "overall": "4"}, "GEN-10 no free text"
    assert surveys.told(said, SURVEY) == [("问题解决得满意吗？", "是"), ("总体满意度", "4 星")]


# --- figures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "way"), [("10", 1), ("9", 1), ("8", 0), ("7", 0), ("6", -1), ("0", -1)], ids=lambda value: str(value)
)
def test_amb31_recommends(answer: str, way: int):
    assert surveys.recommends(answer) == way


@pytest.mark.parametrize(
    ("on", "asked", "is_asked"),
    [
        pytest.param("2026-01-04", "2025-12-01", False, id="a holiday and a Sunday come first"),
        pytest.param("2026-01-05", "2025-12-01", True, id="the first working day"),
        pytest.param("2026-01-05", "2026-01-01", False, id="a second round of the day: it was done"),
        pytest.param("2026-01-06", "2026-01-01", False, id="the day after: it was done"),
        pytest.param("2026-01-20", "2025-12-01", True, id="nights without a round: the next one"),
        pytest.param("2026-01-20", "2025-10-01", True, id="months without a round: once"),
    ],
)
def test_svy04_the_first_working_day_of_a_month(on: str, asked: str, is_asked: bool):
    found = surveys.is_asked_this_month(date.fromisoformat(on), asked=date.fromisoformat(asked), terms=LIVE)

    assert found is is_asked


@pytest.mark.parametrize(
    ("on", "last", "asked"),
    [
        pytest.param("2026-01-05", None, "2025-12-01", id="a shop that begins on the day asks"),
        pytest.param("2026-01-06", None, "2026-01-01", id="one that begins a day later begins with the next month"),
        pytest.param("2026-01-07", "2026-01-06", "2026-01-01", id="one that had rounds before it had surveys, too"),
        pytest.param("2026-01-07", "2025-12-31", "2025-12-01", id="whose first round of the month comes late: asks"),
    ],
)
def test_svy04_a_shop_that_never_asked(on: str, last: str | None, asked: str):
    before = date.fromisoformat(last) if last else None

    found = surveys.month_before_the_first(date.fromisoformat(on), last=before, terms=LIVE)

    assert found == date.fromisoformat(asked)


def test_svy06_mean_spread_and_low_scores_by_question_the_worst_first():
    def rows(code: str, scale: str, is_regular: bool = False, **times: int) -> list[dict[str, Any]]:
        each = {"is_regular": is_regular, "code": code, "scale": scale}
        return [{**each, "answer": answer.strip("_"), "times": number} for answer, number in times.items()]

    found = surveys.analysed(
        [
            *rows("overall", "stars5", _1=1, _5=3),
            *rows("speed", "stars5", _2=1, _3=1),
            *rows("solved", "yes_no", no=1, yes=3),
            *rows("other_need", "yes_no", no=4),
            *rows("comment", "text", **{"": 2}),
            *rows("gone", "stars5", _4=1),
            *rows("recommend", "nps", is_regular=True, _6=1, _7=1, _9=2),
        ],
        SURVEY,
    )

    told = [(each.question, each.answered, each.mean, each.spread, each.low) for _, each in found]
    assert told == [
        ("响应速度", 2, Decimal("2.50"), Decimal("0.50"), 1),
        ("总体满意度", 4, Decimal("4.00"), Decimal("1.73"), 1),
        ("问题解决得满意吗？", 4, Decimal("4.00"), Decimal("1.73"), 1),
        ("gone（五星）", 1, Decimal("4.00"), Decimal("0.00"), 0),
        ("还想说的", 2, None, None, 0),
        ("还有其他需要我们办理的吗？", 4, None, None, 0),
        ("您愿意把本店推荐给朋友吗？", 4, None, None, 1),
    ]
    assert found[2][1].chosen == [("否", 1), ("是", 3)] and found[4][1].chosen == []
