"""The survey that a link opens: asked, answered once, and said thanks for (SVY-01 to SVY-03, P-22)."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import Response

from aftersales import links
from aftersales.page import forms, render
from aftersales.page import session as sessions
from aftersales.page.session import Session
from aftersales.rules import surveys as rules
from aftersales.words import Scale, Surveyed
from tasks import surveys

router = APIRouter()

PATH = surveys.PATH + "{token}"
# what is over is gone for good; that it was answered is what whoever comes back wants to know
STATUS = {Surveyed.ANSWERED.value: 200, Surveyed.EXPIRED.value: 410, Surveyed.SKIPPED.value: 410}


@router.api_route(PATH, methods=["GET", "HEAD"])
async def ask(request: Request, token: str) -> Response:
    """The questions, or why nobody is asked any more."""
    session = await sessions.read(request) or sessions.visitor()
    try:
        return _page(request, session, await surveys.read(token))
    except links.Unreadable:
        return _unreadable(request)


@router.post(PATH)
async def answer(request: Request, token: str) -> Response:
    """Take the answers, once; with mistakes in them the questions come back as they were filled in."""
    form = await forms.read(request)
    session = await sessions.read(request)
    try:
        asked = await surveys.read(token)
    except links.Unreadable:
        return _unreadable(request)
    given = {question.code: form.text(_field(question.code)) for question in asked.questions}
    try:
        sessions.check(session, form.token)
    except sessions.Stale:
        return _page(request, session or sessions.visitor(), asked, given, is_stale=True)
    assert session is not None, "a form that is fresh has one"
    try:
        await surveys.answer(token, given)
    except rules.Misanswered as error:
        return _page(request, session, asked, given, wrong=error.wrong)
    except surveys.TooLate:
        asked = await surveys.read(token)
        return _page(request, session, asked)
    return render.to(f"{surveys.PATH}{token}")


def _field(code: str) -> str:
    # apart from what else a form of ours carries
    return f"q-{code}"


def _page(
    request: Request,
    session: Session,
    asked: surveys.Asked,
    given: Mapping[str, str] | None = None,
    *,
    wrong: Mapping[str, rules.Wrong] | None = None,
    is_stale: bool = False,
) -> Response:
    words = render.language(request, customers=session.language)
    questions = [
        {
            "field": _field(question.code),
            "label": question.label(words.language),
            "scale": question.scale,
            "offered": Scale(question.scale).answers,
            "given": (given or {}).get(question.code, ""),
            "is_needed": question.code == asked.terms.overall,
            "wrong": words.wrong(wrong[question.code]) if wrong and question.code in wrong else "",
        }
        for question in asked.questions
    ]
    return render.page(
        request,
        "survey.html",
        status=STATUS.get(asked.too_late, 422 if wrong or is_stale else 200),
        session=session,
        # where it can be read in the other language, also after a mistake
        here=request.url.path,
        asked=asked,
        questions=questions,
        most=rules.MOST_CHARACTERS,
        wrong=bool(wrong),
        is_stale=is_stale,
    )


def _unreadable(request: Request) -> Response:
    return render.page(request, "plain.html", status=404, here="/", key="survey.unreadable", values={"minutes": 0})
