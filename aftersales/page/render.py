"""Pages from templates: every value is escaped, every word comes from `words`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aftersales.page import session as sessions
from aftersales.page import words
from aftersales.page.session import Session
from aftersales.page.words import Words
from aftersales.settings import settings
from tasks.cases import current_terms

FOLDER = Path(__file__).parent
CSS = (FOLDER / "page.css").read_bytes()
# its address changes with it, so that it may be kept for ever
CSS_VERSION = hashlib.sha256(CSS).hexdigest()[:12]

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    session: Session | None = None,
    here: str = "",
    number: str = "",
    **values: Any,
) -> HTMLResponse:
    """
    A page in the language of its reader; `session` is handed out with it, or gets more time.

    `here` is where the links to other languages lead, `number` that of a form which is shown again and stays the same.
    """
    told = language(request, customers=session.language if session else "")
    text = _templates.get_template(template).render(
        words=told,
        languages=[(each, words.NAMES[each], words.CODES[each]) for each in words.LANGUAGES],
        here=here or (request.url.path if request.method in ("GET", "HEAD") else "/"),
        at=at,
        css=at(f"/page.css?v={CSS_VERSION}"),
        order_no=session.order_no if session else "",
        token=sessions.token(session, number) if session else "",
        **values,
    )
    answer = HTMLResponse(text, status, headers={"content-language": told.code, "vary": "accept-language, cookie"})
    if session is not None:
        sessions.give(answer, session)
    if request.query_params.get("lang") == told.language:
        sessions.remember_language(answer, told.language)
    return answer


def plain(request: Request, status: int, **values: Any) -> HTMLResponse:
    """A page that says in one sentence why there is no other."""
    key = f"plain.{status}" if f"plain.{status}" in words.WORDS else "plain.500" if status >= 500 else "plain.400"
    # never the path that was asked for: it may be made to lead elsewhere
    return page(request, "plain.html", status=status, here="/", key=key, values={"minutes": 0, **values})


def language(request: Request, *, customers: str = "") -> Words:
    """The words of a request's reader."""
    terms = current_terms()
    cookie = sessions.cookie("lang")
    return Words(words.chosen(request, cookie, customers=customers, house=terms.house.language), terms)


def to(path: str) -> Response:
    """Send somebody on to another of our pages."""
    return RedirectResponse(at(path), 303)


def at(path: str) -> str:
    """A path as a browser asks for it: behind a proxy the page may lie under another."""
    return f"{urlsplit(settings().page_address).path}{path}"
