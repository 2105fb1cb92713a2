"""
The plot of follow-up at `GET /figures/followup.svg`: for staff, as the desk is, with the desk's login when there is one.

It counts and names nobody: no customer, no order, no member of staff.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from aftersales.imports.orders import FIRST_YEAR, LAST_YEAR
from aftersales.rules import figures as rules
from aftersales.rules.figures import MOST_WEEKS
from aftersales.serve import reading
from aftersales.serve.reading import TurnedAway
from tasks import figures

PATH = "/figures/followup.svg"
HEADERS = {
    "cache-control": "private, max-age=60",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-site",
    "x-robots-tag": "noindex, nofollow",
}
ASKED = ("from", "to")


def routes(*, auth: str) -> APIRouter:
    """The plot's address; `auth` is the desk's `user:password`, empty when it has no login."""
    router = APIRouter()

    # for people: it stands in no contract with other systems
    @router.get(PATH, include_in_schema=False)
    async def plot(request: Request) -> Response:
        """Draw the figures by week."""
        if auth and not _is_known(request.headers.get("authorization", ""), auth):
            refused: JSONResponse = reading.refused(401, "请用工作台的用户名和密码（AFTERSALES_AUTH）登录。")
            refused.headers["www-authenticate"] = 'Basic realm="aftersales", charset="UTF-8"'
            refused.headers["cache-control"] = "no-store"
            return refused
        # a drawing takes a while, and callbacks must not wait for it; its library is not needed before
        from aftersales.serve.plot import draw

        found = await figures.followup(**_period(request))
        return Response(await asyncio.to_thread(draw, found), media_type="image/svg+xml", headers=HEADERS)

    return router


def _is_known(given: str, auth: str) -> bool:
    """Whether a header carries the desk's login."""
    scheme, _, code = given.partition(" ")
    try:
        said = base64.b64decode(code.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(said, auth.encode())


def _period(request: Request) -> Mapping[str, date | None]:
    """The period that was asked for. Raises TurnedAway."""
    asked = request.query_params
    for name in asked:
        if name not in ASKED:
            raise TurnedAway(422, f"没有“{name[:40]}”这个参数，可以写 from 和 to，如 ?from=2026-09-01&to=2026-11-30。")
        if len(asked.getlist(name)) > 1:
            raise TurnedAway(422, f"“{name}”写了不止一次，请只写一次。")
    if len(asked) == 1:
        raise TurnedAway(422, "from 和 to 请一起写，如 ?from=2026-09-01&to=2026-11-30，或都不写（最近 12 周）。")
    since, until = (_day(name, asked.get(name)) for name in ASKED)
    if since and until:
        if since > until:
            raise TurnedAway(422, f"from {since} 晚于 to {until}，请对调。")
        if len(rules.weeks(since, until)) > MOST_WEEKS:
            raise TurnedAway(422, f"一张图最多 {MOST_WEEKS} 周，请缩短 from 到 to。")
    return {"since": since, "until": until}


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):  # a date has other forms, which people misread
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise TurnedAway(422, f"“{name}”不是日期，请写成 2026-03-05 这样。") from None
    if not FIRST_YEAR <= day.year < LAST_YEAR:
        raise TurnedAway(422, f"“{name}”的年份不在 {FIRST_YEAR} 到 {LAST_YEAR - 1} 之间，请更正。")
    return day
