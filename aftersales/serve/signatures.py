"""Signatures of callbacks: HMAC-SHA256 over the time and the body, so that none can be made up, changed or kept for later."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

HEADER = "X-Aftersales-Signature"
# how far the sender's clock may be off, which is also how long a signed callback can be sent again
TOLERANCE = timedelta(minutes=5)

_SHAPE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def sign(body: bytes, *, key: str, at: datetime) -> str:
    """The header of a callback that is sent at a time."""
    seconds = str(int(at.timestamp()))
    return f"t={seconds},v1={_digest(seconds, body, key)}"


def objection(header: str, body: bytes, *, keys: Sequence[str], at: datetime) -> str:
    """Say what is wrong with a callback's signature; empty when it is right by one of the keys."""
    found = _SHAPE.fullmatch(header)
    if found is None:
        return f"缺少签名或格式不对，请在请求头 {HEADER} 中写 t=秒数,v1=签名。"
    if not any(hmac.compare_digest(found[2], _digest(found[1], body, key)) for key in keys):
        return "签名不对，请核对 AFTERSALES_CALLBACK_KEY 和签名的内容（秒数、点、原文）。"
    if abs(at.timestamp() - int(found[1])) > TOLERANCE.total_seconds():
        return "签名的时间相差超过 5 分钟，请校准时钟后重新签名发送。"
    return ""


def _digest(seconds: str, body: bytes, key: str) -> str:
    return hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
