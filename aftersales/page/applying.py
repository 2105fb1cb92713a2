"""Applying for a return, with photos (SLF-03, POL-08)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from starlette.responses import Response

from aftersales import forms as staff_forms
from aftersales.page import forms, photos, render
from aftersales.page import session as sessions
from aftersales.page.forms import Form
from aftersales.page.session import Session
from aftersales.rules import applying
from aftersales.rules.applying import Filled
from aftersales.terms import Photos
from aftersales.words import Unable
from tasks import intake, selfservice
from tasks.cases import current_terms

router = APIRouter()

PATH = "/apply"
KEPT = "kept"
# so many files are read, to say in words that they are too many; their bytes are bounded anyway
FILES = 400
QUANTITY = r"quantity-(\d{1,6})"


@dataclass
class Given:
    """The photos of a form: those that we have, by their SHA-256, and why others were refused."""

    kept: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def most_bytes(limits: Photos) -> int:
    """How long a form with photos may be."""
    return limits.at_most * limits.megabytes * 1024 * 1024 + 1024 * 1024


@router.api_route(PATH, methods=["GET", "HEAD"])
async def form(request: Request) -> Response:
    """The form, empty."""
    session = await sessions.read(request)
    if session is None or not session.order_no:
        return render.to("/?ended")
    try:
        shown = await selfservice.show(session.order_no)
    except selfservice.UnableToMatch:
        return forms.ended()
    return _page(request, session, shown, Filled({}), Given())


@router.post(PATH)
async def send(request: Request) -> Response:
    """Take an application in, once a form; with mistakes in it the form comes back, and keeps its photos."""
    session = await sessions.read(request)
    if session is None or not session.order_no:
        # not even read: photos of strangers are no business of ours
        return render.to("/?ended")
    # before sixty megabytes are read
    await selfservice.may_apply(session.order_no)
    # our own form has a field for each line
    lines = await selfservice.lines(session.order_no)
    form = await forms.read(request, most_files=FILES, more_fields=lines)
    try:
        key = sessions.check(session, form.token)
    except sessions.Stale:
        key = ""
    try:
        shown = await selfservice.show(session.order_no)
    except selfservice.UnableToMatch:
        return forms.ended()
    limits = current_terms().selfservice.photos
    filled, given = _filled(form), await _photos(form, session, limits)
    wrong = applying.wrong(
        filled,
        goods=shown.goods,
        photos=len(given.kept),
        refused=given.refused,
        returns=current_terms().returns,
        limits=limits,
    )
    is_taken = wrong and all(each.field == applying.GOODS for each in wrong)
    if is_taken and key and await selfservice.was_sent(key):
        # pressed twice: what it asks for is taken already, by itself
        return render.to("/order")
    if wrong or not key:
        mistakes = [(each.field, f"wrong.{each.field}.{each.why}") for each in wrong]
        return _page(request, session, shown, filled, given, wrong=mistakes, note="" if key else "stale", status=422)
    try:
        await selfservice.apply(session.order_no, filled, goods=shown.goods, photos=given.kept, key=key)
    except intake.Unavailable:
        # nobody knows whether it arrived: sent again it must be the same one
        return _page(request, session, shown, filled, given, note="apply.unavailable", status=503, number=key)
    except intake.KeyTaken:
        return _page(request, session, shown, filled, given, note="apply.twice", status=409)
    except (staff_forms.Misfilled, Unable):
        return _page(request, session, shown, filled, given, note="apply.unable", status=422)
    return render.to("/order")


def _filled(form: Form) -> Filled:
    quantities = {
        int(found[1]): form.text(name) for name in form.data if (found := re.fullmatch(QUANTITY, name, re.ASCII))
    }
    return Filled(quantities, form.text("reason"), form.text("shipping"), form.text("remark"))


async def _photos(form: Form, session: Session, limits: Photos) -> Given:
    """Keep the photos of a form, and know those again that it brought before (POL-08)."""
    given = Given()
    for token in form.texts(KEPT)[: limits.at_most]:
        if reference := sessions.photo(session, token):
            given.kept.append(reference)
    files = form.files("photos")
    if len(given.kept) + len(files) > limits.at_most:
        # none of them is even opened
        given.refused.append("too_many")
        return given
    for file in files:
        try:
            if file.size is None or file.size > limits.megabytes * 1024 * 1024:
                raise photos.Refused(photos.TOO_LARGE)
            picture = await photos.anew(file.file, limits)
        except photos.Refused as error:
            given.refused.append(error.why)
            continue
        given.kept.append(await selfservice.keep_photo(picture))
    given.kept = list(dict.fromkeys(given.kept))
    return given


def _page(
    request: Request,
    session: Session,
    shown: selfservice.Shown,
    filled: Filled,
    given: Given,
    *,
    wrong: list[tuple[str, str]] | None = None,
    note: str = "",
    status: int = 200,
    number: str = "",
) -> Response:
    terms = current_terms()
    return render.page(
        request,
        "apply.html",
        status=status,
        session=session,
        number=number,
        shown=shown,
        filled=filled,
        kept=[sessions.kept_photo(session, reference) for reference in given.kept],
        reasons=[(code, reason.evidence) for code, reason in terms.returns.reasons.items()],
        limits=terms.selfservice.photos,
        wrong=wrong or [],
        note=note,
    )
