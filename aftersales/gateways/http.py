"""
The gateways of a shop that has connected a payment provider, a carrier or an SMS gateway over HTTP.

The contract is ours (`docs/openapi/payment.yaml`, `carrier.yaml`, `sms.yaml`); a shop's adapter speaks it. Whatever is
not an answer by that contract (a time-out, a dropped connection, HTTP 500, a page of HTML, a proxy's 404) is *unknown*:
nobody knows whether it was carried out, so the same key is asked about before it is sent again (P-15, P-16).
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from aftersales.gateways import Carrier, Outcome, Payment
from aftersales.rules import masking
from aftersales.settings import Settings

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
# httpx bounds each read; a side that drips a byte a second would be listened to for ever
LONGEST_CALL = 30.0
CURRENCY = "CNY"
# an answer is a few words; whatever is longer is none of ours
MOST_BYTES = 64 * 1024
NOWHERE = "没有找到接口（HTTP 404）"
ANOTHER = "回复的是另一笔业务"


def printable(text: str) -> str:
    """Leave out control characters, among them the NUL that no JSONB keeps; the rest still says what it said."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text)


Short = Annotated[str, StringConstraints(max_length=200), AfterValidator(printable)]


class Answer(BaseModel):
    """What the other side says became of a key."""

    model_config = ConfigDict(strict=True, extra="ignore")

    key: Short
    status: Literal["done", "accepted", "refused", "failed"]
    reference: Short = ""
    reason: Short = ""


class Never(BaseModel):
    """What the other side says, with HTTP 404, of a key that it never got."""

    model_config = ConfigDict(strict=True, extra="ignore")

    key: Short
    status: Literal["never_received"]


class _Http:
    """One resource of the other side: sent to with a key, asked about by that key."""

    def __init__(self, url: str, key: str, *, name: str, variable: str) -> None:
        self._url, self._key, self._name, self._variable = url, key, name, variable

    async def send(self, key: str, body: Mapping[str, Any]) -> Outcome:
        """Send a request under a key."""
        return await self._call("POST", key, json=dict(body)) or self._unknown(NOWHERE)

    async def ask(self, key: str) -> Outcome | None:
        """What became of a key; None when it never arrived."""
        return await self._call("GET", key, params={"key": key})

    async def _call(self, method: str, key: str, **what: Any) -> Outcome | None:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": key, "Accept": "application/json"}
        try:
            # a shop's own address is spoken to directly; a redirect would carry the key to somebody else
            async with (
                asyncio.timeout(LONGEST_CALL),
                httpx.AsyncClient(timeout=TIMEOUT, verify=_trust(), trust_env=False, follow_redirects=False) as client,
                client.stream(method, self._url, headers=headers, **what) as response,
            ):
                body = b""
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        return self._unknown("回复太长，看不懂")
        except (httpx.TimeoutException, TimeoutError):
            return self._unknown("没有在规定时间内回复")
        except httpx.HTTPError as error:
            return self._unknown(f"连接失败（{type(error).__name__}）")
        is_json = response.headers.get("Content-Type", "").split(";")[0].strip().lower() == "application/json"
        return self._read(key, response.status_code, body if is_json else b"")

    def _read(self, key: str, status: int, body: bytes) -> Outcome | None:
        if status == httpx.codes.NOT_FOUND:
            return self._never(key, body)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return self._unknown(f"不认我们的密钥（HTTP {status}），请核对 {self._variable}")
        if status not in (httpx.codes.OK, httpx.codes.CREATED, httpx.codes.ACCEPTED):
            return self._unknown(f"回复了 HTTP {status}")
        try:
            answer = Answer.model_validate_json(body)
        except ValidationError:
            return self._unknown("回复的内容看不懂")
        if answer.key != key:
            return self._unknown(ANOTHER)
        match answer.status:
            case "done" | "accepted":
                is_final = answer.status == "done"
                return Outcome("done", reference=answer.reference, is_final=is_final, is_pending=not is_final)
            case "refused" | "failed":
                return Outcome(answer.status, reason=masking.scrub(answer.reason) or f"{self._name}没有说明原因")

    def _never(self, key: str, body: bytes) -> Outcome | None:
        """None when the other side says that it never got this key: any 404 of a proxy does not know that (P-15)."""
        try:
            never = Never.model_validate_json(body)
        except ValidationError:
            return self._unknown(NOWHERE)
        return None if never.key == key else self._unknown(ANOTHER)

    def _unknown(self, why: str) -> Outcome:
        return Outcome("unknown", reason=f"{self._name}{why}")


@functools.cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


class HttpPayment:
    """A payment provider over HTTP (`docs/openapi/payment.yaml`; RET-09, MON-07)."""

    def __init__(self, url: str, key: str) -> None:
        self._refunds = _Http(f"{url}/refunds", key, name="支付渠道", variable="AFTERSALES_PAYMENT_KEY")

    async def ask(self, key: str) -> Outcome | None:
        """What became of a refund; None when it never arrived."""
        return await self._refunds.ask(key)

    async def refund(self, key: str, *, case_no: str, order_no: str, amount: Decimal, route: str) -> Outcome:
        """Ask for a refund; the same key once, however often it is sent."""
        return await self._refunds.send(
            key,
            {
                "case_no": case_no,
                "order_no": order_no,
                "amount": f"{amount:.2f}",
                "currency": CURRENCY,
                "route": route,
            },
        )


class HttpCarrier:
    """A carrier over HTTP (`docs/openapi/carrier.yaml`; RET-05, MON-20)."""

    def __init__(self, url: str, key: str) -> None:
        self._shipments = _Http(f"{url}/shipments", key, name="承运商", variable="AFTERSALES_CARRIER_KEY")

    async def ask(self, key: str) -> Outcome | None:
        """What became of a shipment; None when it never arrived."""
        return await self._shipments.ask(key)

    async def book(self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]) -> Outcome:
        """Ask for a pick-up at the customer's."""
        return await self._send(key, "from_customer", case_no, data, contact)

    async def send_back(
        self, key: str, *, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]
    ) -> Outcome:
        """Ask for goods to be brought back to the customer."""
        return await self._send(key, "to_customer", case_no, data, contact)

    async def _send(
        self, key: str, direction: str, case_no: str, data: Mapping[str, Any], contact: Mapping[str, str]
    ) -> Outcome:
        items = [{"sku": item["sku"], "quantity": item["quantity"]} for item in data["items"]]
        body = {"case_no": case_no, "direction": direction, "items": items, "contact": dict(contact)}
        return await self._shipments.send(key, body)


class HttpMessages:
    """An SMS gateway over HTTP (`docs/openapi/sms.yaml`; NTC-01 to NTC-09)."""

    def __init__(self, url: str, key: str) -> None:
        self._messages = _Http(f"{url}/messages", key, name="短信网关", variable="AFTERSALES_SMS_KEY")

    async def ask(self, key: str) -> Outcome | None:
        """What became of a message; None when it never arrived."""
        return await self._messages.ask(key)

    async def text(self, key: str, *, to: str, text: str) -> Outcome:
        """Send a text to a phone; the same key once, however often it is sent."""
        return await self._messages.send(key, {"to": to, "text": text})


def payment_from(settings: Settings) -> Payment | None:
    """The connected payment provider; None when there is none."""
    if not settings.payment_url:
        return None
    return HttpPayment(settings.payment_url, settings.payment_key.get_secret_value())


def carrier_from(settings: Settings) -> Carrier | None:
    """The connected carrier; None when there is none."""
    if not settings.carrier_url:
        return None
    return HttpCarrier(settings.carrier_url, settings.carrier_key.get_secret_value())
