"""The shape of `config/survey.yaml`: what customers are asked after a case and every month, when, and what an answer means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from aftersales.terms.values import Code, LimitText, Strict, Text
from aftersales.words import Scale

# more is no survey of three minutes (AMB-30)
MOST_QUESTIONS = 15
# more is no sample, and more cases than one night should open
MOST_CUSTOMERS = 1000

ScaleText = Literal["stars5", "points5", "points10", "nps", "yes_no", "text"]
assert set(get_args(ScaleText)) == set(Scale)


class Question(Strict):
    """One question: what is asked in both languages, on which scale, and up to which answer it means dissatisfied."""

    code: Code
    zh: Text
    en: Text
    scale: ScaleText
    dissatisfied: str | None = None

    @field_validator("dissatisfied")
    @classmethod
    def _means_something(cls, up_to: str | None, info: ValidationInfo) -> str | None:
        """Refuse what nobody can answer, and what everybody would."""
        if up_to is None or "scale" not in info.data:
            return up_to
        scale = Scale(info.data["scale"])
        if scale in (Scale.TEXT, Scale.NPS):
            raise ValueError(f"{scale.label}的题不判断满意，请删去 dissatisfied，或换一种 scale。")
        if up_to not in scale.answers[:-1]:
            allowed = "、".join(f'"{answer}"' for answer in scale.answers[:-1])
            raise ValueError(f"“{up_to}”不能用，可写：{allowed}（这个答案和比它低的都算不满意）。")
        return up_to

    def label(self, language: str) -> str:
        """What is asked, in a language."""
        return self.en if language == "en" else self.zh


class Questionnaire(Strict):
    """What is asked, and which of it tells satisfaction and another need (SVY-03)."""

    questions: list[Question] = Field(min_length=1, max_length=MOST_QUESTIONS)
    overall: Text
    other_need: str | None

    @field_validator("questions")
    @classmethod
    def _told_apart(cls, questions: list[Question]) -> list[Question]:
        """Refuse two questions of one code: an answer would count for both."""
        codes = [question.code for question in questions]
        for code in codes:
            if codes.count(code) > 1:
                raise ValueError(f"代码“{code}”用了不止一次，请给每题一个自己的 code。")
        return questions

    @field_validator("overall")
    @classmethod
    def _rates(cls, code: str, info: ValidationInfo) -> str:
        """Refuse an overall question that there is not, or that says nothing of satisfaction (KPI-09)."""
        if "questions" not in info.data:
            return code
        question = _named(code, info.data["questions"])
        if question.dissatisfied is None:
            raise ValueError(f'“{code}”没有写到哪个答案为止算不满意，请给这一题加上 dissatisfied: "2" 这样的一项。')
        return code

    @field_validator("other_need")
    @classmethod
    def _asks_yes_or_no(cls, code: str | None, info: ValidationInfo) -> str | None:
        """Refuse a question about another need that is not answered by yes or no (SVY-07)."""
        if code is not None and "questions" in info.data:
            question = _named(code, info.data["questions"])
            if question.scale != Scale.YES_NO:
                raise ValueError(f"“{code}”不是用“是或否”回答的题，请把它的 scale 写成 yes_no，或换一题。")
            if question.dissatisfied is not None:
                raise ValueError(f"“{code}”问的是其他需要，不判断满意，请删去这一题的 dissatisfied。")
        return code

    def question(self, code: str) -> Question:
        """A question by its code."""
        return next(question for question in self.questions if question.code == code)


class Regular(Questionnaire):
    """The wider survey of each month: whether there is one, how many customers it asks at most, and what (SVY-04)."""

    is_on: bool
    customers: int = Field(ge=1, le=MOST_CUSTOMERS)


class Survey(Questionnaire):
    """`survey.yaml`: when a customer is asked and what (SVY-01 to SVY-07, AMB-30, AMB-31, NUM-208)."""

    owner: Text
    send_after: LimitText
    remind_after: LimitText
    open_for: LimitText
    lock: LimitText
    regular: Regular

    @field_validator("open_for")
    @classmethod
    def _outlives_its_reminder(cls, open_for: LimitText, info: ValidationInfo) -> LimitText:
        """Refuse a reminder of what is over."""
        first = info.data.get("remind_after")
        if first is not None and open_for.unit is first.unit and open_for.amount <= first.amount:
            raise ValueError(f"{open_for} 不长于 remind_after 的 {first}，请写更长的时间：先提醒客户，后截止。")
        return open_for

    def kept(self) -> dict[str, Any]:
        """What a survey that is written now keeps of its terms (GEN-07)."""
        return self.model_dump(mode="json", exclude={"regular"})

    def kept_of_the_month(self) -> dict[str, Any]:
        """What a survey of the month keeps: its own questions, and the times of every survey (SVY-04)."""
        asked = self.regular.model_dump(mode="json", include=set(Questionnaire.model_fields))
        return self.kept() | asked


def restore(document: Mapping[str, Any], *, live: Survey) -> Survey:
    """
    Read the terms that a survey was written with (GEN-07).

    A term that did not exist then has today's value, one that no longer exists is left out.
    """
    kept = {name: value for name, value in document.items() if name in Survey.model_fields}
    return Survey.model_validate(live.model_dump(mode="json") | kept)


def _named(code: str, questions: list[Question]) -> Question:
    """Find a question. Raises ValueError with the sentence that names all of them."""
    for question in questions:
        if question.code == code:
            return question
    raise ValueError(f"没有代码为“{code}”的题，可写：{'、'.join(question.code for question in questions)}。")
