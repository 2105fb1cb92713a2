"""Forms as they come in: how much of them is read, and who sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from aftersales.page import render
from aftersales.page import session as sessions
from aftersales.settings import settings

# of everything but photos: a form, and a field of it
MOST_BYTES = 64 * 1024
MOST_FIELDS = 600
# a phone with a weak signal sends a photo in that
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read."""

    data: FormData

    def text(self, name: str) -> str:
        """A field's text; empty when it is not there, or a file in its place."""
        value = self.data.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Every text of a field that may come more than once."""
        return [value for value in self.data.getlist(name) if isinstance(value, str)]

    @property
    def token(self) -> str:
        """What says that the form is of this session."""
        return self.text(sessions.FORM)

    def files(self, name: str) -> Sequence[UploadFile]:
        """The files of a field; a browser sends an empty one where none was chosen."""
        found = (value for value in self.data.getlist(name) if isinstance(value, UploadFile))
        return [file for file in found if file.filename or file.size]


async def read(request: Request, *, most_files: int = 0, more_fields: int = 0) -> Form:
    """
    Read a form that our own page sent, with so many more fields than other forms have. Raises HTTPException.

    Who asks from another site is refused before anything is read; old browsers that do not say so have the token.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise sessions.Foreign
    origin = request.headers.get("origin", "null")
    # a page without a referrer says `null` of itself
    if origin != "null" and not _is_ours(origin):
        raise sessions.Foreign
    try:
        async with asyncio.timeout(SECONDS):
            most_fields = MOST_FIELDS + more_fields
            return Form(await request.form(max_files=most_files, max_fields=most_fields, max_part_size=MOST_BYTES))
    except TimeoutError:
        raise HTTPException(408, headers={"connection": "close"}) from None
    except (ValueError, LookupError):
        raise HTTPException(400) from None
    except ClientDisconnect:  # whoever hung up half-way reads no answer
        raise HTTPException(400, headers={"connection": "close"}) from None


def address(request: Request) -> str:
    """Where a visitor asks from; what a proxy says counts only when it is one of ours (`AFTERSALES_PAGE_PROXIES`)."""
    return request.client.host if request.client else ""


def ended(*, to: str = "/?ended") -> Response:
    """Send somebody back to the search, without a session."""
    answer = render.to(to)
    sessions.end(answer)
    return answer


def _is_ours(origin: str) -> bool:
    theirs, ours = urlsplit(origin), urlsplit(settings().page_address)
    is_public = (theirs.scheme, theirs.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    here = {f"127.0.0.1:{settings().customers_port}", f"localhost:{settings().customers_port}"}
    return is_public or (theirs.scheme == "http" and theirs.netloc in here)
