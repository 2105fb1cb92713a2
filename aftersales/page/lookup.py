"""Where a return stands: the search by order number and phone, and the order that it opens (SLF-01, SLF-02, AMB-47)."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request
from starlette.responses import Response

from aftersales.page import forms, render
from aftersales.page import session as sessions
from aftersales.page.session import Session
from aftersales.rules import matching
from tasks import selfservice

router = APIRouter()


@router.api_route("/", methods=["GET", "HEAD"])
async def search(request: Request) -> Response:
    """The search, empty."""
    session = await sessions.read(request) or sessions.visitor()
    return _form(request, session, has_ended="ended" in request.query_params)


@router.post("/")
async def find(request: Request) -> Response:
    """Open the order that has this number and phone; of a wrong one nothing is told."""
    form = await forms.read(request)
    session = await sessions.read(request)
    given = {"order_no": form.text("order_no"), "phone": form.text("phone")}
    try:
        sessions.check(session, form.token)
    except sessions.Stale:
        return _form(request, session or sessions.visitor(), given, stale=True)
    assert session is not None, "a form that is fresh has one"
    wrong = []
    if not matching.plain_order_no(given["order_no"]):
        wrong.append(("order_no", "search.order_no.none"))
    if not matching.plain_phone(given["phone"]):
        wrong.append(("phone", "search.phone.none"))
    if wrong:
        return _form(request, session, given, wrong=wrong)
    try:
        found = await selfservice.find(given["order_no"], given["phone"], address=forms.address(request))
    except selfservice.UnableToMatch:
        return _form(request, session, given, wrong=[("order_no", "search.unmatched")])
    answer = render.to("/order")
    sessions.give(answer, sessions.of_order(found.order_no, found.language))
    return answer


@router.api_route("/order", methods=["GET", "HEAD"])
async def order(request: Request) -> Response:
    """Everything about the order of this session."""
    session = await sessions.read(request)
    if session is None or not session.order_no:
        return render.to("/?ended")
    try:
        shown = await selfservice.show(session.order_no)
    except selfservice.UnableToMatch:
        return forms.ended()
    return render.page(request, "order.html", session=session, shown=shown)


@router.post("/leave")
async def leave(request: Request) -> Response:
    """End the session."""
    form = await forms.read(request)
    session = await sessions.read(request)
    with suppress(sessions.Stale):  # it ends all the same
        sessions.check(session, form.token)
    if session is not None and session.over_at:
        await selfservice.end(session.id, over_at=session.over_at)
    return forms.ended(to="/")


def _form(
    request: Request,
    session: Session,
    given: dict[str, str] | None = None,
    *,
    wrong: list[tuple[str, str]] | None = None,
    stale: bool = False,
    has_ended: bool = False,
) -> Response:
    return render.page(
        request,
        "search.html",
        status=422 if wrong or stale else 200,
        session=session,
        given=given or {"order_no": "", "phone": ""},
        wrong=wrong or [],
        stale=stale,
        has_ended=has_ended,
    )
