"""
Signatures: HMAC-SHA256 over the time and the body, so that nothing can be made up, changed or kept for later.

A shop system, which has many addresses to send to, signs also where it sends to and under which key: what was signed
for one cannot be sent to another, and not as something new.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

HEADER = "X-Aftersales-Signature"
# how far the sender's clock may be off, which is also how long what was signed can be sent again
TOLERANCE = timedelta(minutes=5)

_SHAPE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


# what to look at when a signature is wrong
CALLBACK = "请核对 AFTERSALES_CALLBACK_KEY 和签名的内容（秒数、点、原文）"
REQUEST = "请核对密钥编号、密钥和签名的内容（秒数、点、方法、空格、路径、换行、Idempotency-Key、换行、原文）"


def target(method: str, path: str, idempotency_key: str = "") -> str:
    """What a shop system signs before the body: the method, the path with its query, and the key it sends under."""
    return f"{method} {path}\n{idempotency_key}\n"


def sign(body: bytes, *, key: str, at: datetime, to: str = "") -> str:
    """The header of what is sent at a time; `to` is the `target` of a shop system's request."""
    seconds = str(int(at.timestamp()))
    return f"t={seconds},v1={_digest(seconds, to, body, key)}"


def objection(
    header: str, body: bytes, *, keys: Sequence[str], at: datetime, to: str = "", look_at: str = CALLBACK
) -> str:
    """Say what is wrong with a signature; empty when it is right by one of the keys."""
    found = _SHAPE.fullmatch(header)
    if found is None:
        return f"缺少签名或格式不对，请在请求头 {HEADER} 中写 t=秒数,v1=签名。"
    if not any(hmac.compare_digest(found[2], _digest(found[1], to, body, key)) for key in keys):
        return f"签名不对，{look_at}。"
    if abs(at.timestamp() - int(found[1])) > TOLERANCE.total_seconds():
        return "签名的时间相差超过 5 分钟，请校准时钟后重新签名发送。"
    return ""


def _digest(seconds: str, to: str, body: bytes, key: str) -> str:
    return hmac.new(key.encode(), f"{seconds}.{to}".encode() + body, hashlib.sha256).hexdigest()
