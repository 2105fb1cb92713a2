"""Shop systems: whatever is not by the contract gets an HTTP status and one sentence, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aftersales import terms
from aftersales.serve import intake, keys, reading, signatures
from aftersales.settings import Settings
from aftersales.words import Unable
from tests.badinput.conftest import REFUSED_DECISION, House, nothing_changes
from tests.badinput.test_callbacks import ADDRESS, METHOD
from tests.gateways.test_intake import ARRIVED, SECRET, Shops

JSON = "内容不是正确的 JSON 对象，请按接口文档发送。"
UNSTORABLE = "内容含有无法保存的字符，请删去后重发。"
CONTENT = "“内容”的值不对，请按接口文档填写。"
SHAPE = "缺少签名或格式不对，请在请求头 X-Aftersales-Signature 中写 t=秒数,v1=签名。"
WRONG = f"签名不对，{signatures.REQUEST}。"
LATE = "签名的时间相差超过 5 分钟，请校准时钟后重新签名发送。"
NUMBER = "请在请求头 Idempotency-Key 中写这次请求自己的编号（1～100 位字母、数字或 _ . : -），重发时写同一个。"
NAMELESS = "缺少请求头 X-Aftersales-Key，请写上密钥编号，并用这把密钥签名。"
NO_CASE = "没有这个售后单，请填写售后单号，如 RT-20261122-0007。"
UNKNOWN = "没有售后单 RT-20000101-0001，请核对单号（可用 aftersales case list 查看）。"
NOT_ASKED = "没有这份申请，请核对申请编号。"

APPLY, SCANS, REVIEW = "/v1/applications", "/v1/scans", "/v1/cases/CASE/decisions/review"
ASKED: dict[str, Any] = {
    "order_no": "FREE",
    "items": [{"sku": "SKU-1", "quantity": 1}],
    "reason": "no_reason",
    "shipping": "pickup",
}
PICKED: dict[str, Any] = {"event": "picked_up", "case_no": "CASE", "carrier": "顺丰", "tracking_no": "SF1002"}
PARCEL: dict[str, Any] = {**ARRIVED, "case_no": "CASE", "tracking_no": "SF1002"}
APPROVE: dict[str, Any] = {"decision": "approve"}


def no_right(key: str, label: str, code: str) -> str:
    return f"密钥 {key} 没有“{label}”权限，请换一把有权限的密钥，或在 api-keys.yaml 的 rights 中加上 {code}。"


def bad(name: str) -> str:
    return f"“{name}”的值不对，请按接口文档填写。"


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in body.items() if each != name}


def row(
    name: str, path: str, body: Any, status: int, sentence: str, *, method: str = "POST", at: str = "review", **how: Any
) -> Any:
    """A bad request about the case at a gate; `sentence` is the whole of its answer, or a part between dots."""
    return pytest.param(method, path, body, {"at": at, **how}, status, sentence, id=name)


REQUESTS = [
    # who calls
    row("no signature", APPLY, ASKED, 401, SHAPE, **{signatures.HEADER: ""}),
    row("half a signature", APPLY, ASKED, 401, SHAPE, **{signatures.HEADER: "t=1"}),
    row("a signature as of a callback", APPLY, ASKED, 401, WRONG, **{signatures.HEADER: f"t=1,v1={'0' * 64}"}),
    row("another secret", APPLY, ASKED, 401, WRONG, secret="another-secret-entirely"),
    row("the name of no key", APPLY, ASKED, 401, WRONG, key="nobody"),
    row("the name of another key", APPLY, ASKED, 401, WRONG, key="store", secret="the-secret-of-somebody"),
    row("no name of a key", APPLY, ASKED, 401, NAMELESS, key=""),
    row("a name that is a path", APPLY, ASKED, 401, WRONG, key="../../etc/passwd"),
    row("signed six minutes ago", APPLY, ASKED, 401, LATE, late=timedelta(minutes=6)),
    row("signed in six minutes", APPLY, ASKED, 401, LATE, late=timedelta(minutes=-6)),
    row("signed for another address", APPLY, ASKED, 401, WRONG, signed_for=("POST", SCANS)),
    row("signed for another method", APPLY, ASKED, 401, WRONG, signed_for=("PUT", APPLY)),
    row("signed without its query", f"{APPLY}?a=1", ASKED, 401, WRONG, signed_for=("POST", APPLY)),
    row("signed for another case", REVIEW, APPROVE, 401, WRONG, signed_for=("POST", "/v1/cases/RT-1-1/decisions/review")),
    row("asked without a signature", "/v1/cases/CASE", b"", 401, SHAPE, method="GET", **{signatures.HEADER: ""}),
    row("a key that may not apply", APPLY, ASKED, 403, no_right("cashier", "提交申请", "apply"), key="cashier"),
    row("a key that may not review", REVIEW, APPROVE, 403, no_right("store", "审核申请", "review"), key="store"),
    row("a key that may not pick up", SCANS, PICKED, 403, no_right("warehouse", "登记取件", "pickup"), key="warehouse", at="pickup"),
    row("a key that may not receive", SCANS, PARCEL, 403, no_right("logistics", "登记收货", "receive"), key="logistics", at="receipt"),
    row("a key that may not pay", "/v1/cases/CASE/decisions/refund", {"amount": "188.00"}, 403, no_right("service", "确认退款", "refund"), at="refund"),
    row("a key without rights beyond asking", SCANS, PICKED, 403, no_right("store", "登记取件", "pickup"), key="store"),
    # its number
    row("no number", APPLY, ASKED, 422, NUMBER, number=""),
    row("a number with blanks", APPLY, ASKED, 422, NUMBER, number="a b"),
    row("a number that is a path", SCANS, PICKED, 422, NUMBER, number="../1", key="logistics"),
    row("a number too long", REVIEW, APPROVE, 422, NUMBER, number="n" * 101),
    row("a number with quotes", REVIEW, APPROVE, 422, NUMBER, number="1'--"),
    # what it is
    row("nothing", APPLY, b"", 422, JSON),
    row("no JSON", APPLY, b"{", 422, JSON),
    row("HTML", SCANS, b"<html>", 422, JSON, key="logistics"),
    row("a list", APPLY, b"[]", 422, CONTENT),
    row("a decision that is a list", REVIEW, b"[]", 422, CONTENT),
    row("a decision that is null", REVIEW, b"null", 422, CONTENT),
    row("a decision that is a word", REVIEW, b'"approve"', 422, CONTENT),
    row("not UTF-8", APPLY, b'{"order_no": "\xff"}', 422, JSON),
    row("NaN", APPLY, b'{"order_no": NaN}', 422, JSON),
    row("infinity in a decision", REVIEW, b'{"decision": Infinity}', 422, JSON),
    row("a name twice", APPLY, b'{"order_no": "a", "order_no": "b"}', 422, JSON),
    row("a name twice in a row of goods", SCANS, b'{"event": "received", "items": [{"sku": "a", "sku": "b"}]}', 422, JSON, key="warehouse"),
    row("a name twice in a decision", REVIEW, b'{"decision": "reject", "decision": "approve"}', 422, JSON),
    row("very deep", APPLY, b"[" * 30_000, 422, JSON),
    row("JSON twice", SCANS, b"{}{}", 422, JSON, key="logistics"),
    row("a number of 50,000 digits", REVIEW, b'{"decision": ' + b"9" * 50_000 + b"}", 422, JSON),
    row("too long", APPLY, b" " * 70_000, 413, reading.TOO_LONG),
    row("a decision too long", REVIEW, b'{"remark": "' + b"a" * 70_000 + b'"}', 413, reading.TOO_LONG),
    # applications
    row("no order", APPLY, without(ASKED, "order_no"), 422, "缺少“order_no”，请按接口文档补上。"),
    row("no goods at all", APPLY, without(ASKED, "items"), 422, "缺少“items”，请按接口文档补上。"),
    row("more than asked", APPLY, {**ASKED, "phone": "13800001234"}, 422, "多了“phone”，接口文档里没有这一项，请去掉。"),
    row("a name that is half a surrogate pair", APPLY, json.dumps({**ASKED, "\ud800": 1}).encode(), 422, CONTENT),
    row("an order that is a number", APPLY, {**ASKED, "order_no": 1}, 422, bad("order_no")),
    row("an order that is null", APPLY, {**ASKED, "order_no": None}, 422, bad("order_no")),
    row("half a surrogate pair", APPLY, b'{"order_no": "\\ud800", "items": [], "reason": "a", "shipping": "self"}', 422, UNSTORABLE),
    row("half a surrogate pair in a scan", SCANS, json.dumps({**PICKED, "carrier": "\ud800"}).encode(), 422, UNSTORABLE, key="logistics", at="pickup"),
    row("half a surrogate pair in a decision", REVIEW, b'{"decision": "approve", "remark": "\\ud800"}', 422, "…备注：含有无法保存的字符，请删去后重填…"),
    row("a name in a decision that is half a surrogate pair", REVIEW, b'{"decision": "approve", "\\ud800": 1}', 422, "…审核没有填对（审核：有多余的项目，只能填写：…"),
    row("a name among the goods that is half a surrogate pair", APPLY, b'{"order_no": "FREE", "items": [{"sku": "SKU-1", "quantity": 1, "\\ud800": 1}], "reason": "no_reason", "shipping": "pickup"}', 422, UNSTORABLE),
    row("a NUL in a scan", SCANS, {**PICKED, "carrier": "a\x00"}, 422, "承运商要写成文字，不能含空字符，且最多 500 字。", key="logistics", at="pickup"),
    row("goods that are a table", APPLY, {**ASKED, "items": {"sku": "SKU-1"}}, 422, bad("items")),
    row("goods that are words", APPLY, {**ASKED, "items": ["SKU-1"]}, 422, bad("items.0")),
    row("evidence that is a table", APPLY, {**ASKED, "evidence": {}}, 422, bad("evidence")),
    row("an empty list of goods", APPLY, {**ASKED, "items": []}, 422, "退货申请没有填对（退货商品：请至少填写一行），请改正后重新提交。"),
    row("half a unit", APPLY, {**ASKED, "items": [{"sku": "SKU-1", "quantity": 0.5}]}, 422, "…退货商品第1行数量：请填写整数，至少为 1…"),
    row("a unit in quotes", APPLY, {**ASKED, "items": [{"sku": "SKU-1", "quantity": "1"}]}, 422, "…退货商品第1行数量：请填写整数，至少为 1…"),
    row("a unit that is true", APPLY, {**ASKED, "items": [{"sku": "SKU-1", "quantity": True}]}, 422, "…退货商品第1行数量：请填写整数，至少为 1…"),
    row("no unit", APPLY, {**ASKED, "items": [{"sku": "SKU-1", "quantity": 0}]}, 422, "…退货商品第1行数量：请填写整数，至少为 1…"),
    row("a price among the goods", APPLY, {**ASKED, "items": [{"sku": "SKU-1", "quantity": 1, "price": "1"}]}, 422, "…退货商品第1行：有多余的项目，只能填写：商品编码、数量…"),
    row("an unknown reason", APPLY, {**ASKED, "reason": "because"}, 422, "…退货原因：请选择：…"),
    row("an unknown way to send", APPLY, {**ASKED, "shipping": "drone"}, 422, "…寄回方式：请选择：上门取件、自行寄回…"),
    row("a NUL in a remark", APPLY, {**ASKED, "remark": "a\x00"}, 422, "…备注：含有不可见的控制字符，请删去后重填…"),
    row("a remark too long", APPLY, {**ASKED, "remark": "长" * 501}, 422, "…备注：请填写最多 500 字，不含控制字符…"),
    row("an owner who is not ours", APPLY, {**ASKED, "operator": "X99"}, 422, "经办人“X99”不在员工名单中，请用员工编号，如 C07。"),
    row("an owner who may not", APPLY, {**ASKED, "operator": "W02"}, 422, "经办人 W02 郑凯 没有“提交申请”权限，请换有权限的员工处理。"),
    row("Prefect does not run", APPLY, ASKED, 503, "系统暂时不可用，这份申请还没有受理，请稍后重试。", leaves="applications"),
    row("an application that there is not", f"{APPLY}/2f6e1a9c-8f3b-4f0e-9f62-0d6d6c7b1a11", b"", 404, NOT_ASKED, method="GET"),
    row("an application by no id", f"{APPLY}/1%27--", b"", 404, NOT_ASKED, method="GET"),
    # scans
    row("no event", SCANS, without(PICKED, "event"), 422, "缺少“event”，请按接口文档补上。", key="logistics"),
    row("an unknown event", SCANS, {**PICKED, "event": "lost"}, 422, bad("event"), key="logistics"),
    row("picked up for no case", SCANS, without(PICKED, "case_no"), 404, NO_CASE, key="logistics"),
    row("picked up for what is no case", SCANS, {**PICKED, "case_no": "' or 1=1"}, 404, NO_CASE, key="logistics"),
    row("picked up for another's case", SCANS, {**PICKED, "case_no": "RT-20000101-0001"}, 404, UNKNOWN, key="logistics"),
    row("picked up with goods", SCANS, {**PICKED, "items": [{"sku": "SKU-1", "quantity": 1}]}, 422, "…“已取件”没有“items”这一项…", key="logistics", at="pickup"),
    row("a bad parcel number", SCANS, {**PICKED, "tracking_no": "不是单号"}, 422, "运单号没有填对，请写4～40 位字母、数字或短横线。", key="logistics", at="pickup"),
    row("an amount in exponents", SCANS, {**PICKED, "freight": "1e3"}, 422, "承运凭证金额没有填对，请写最多两位小数的金额，如 19.99。", key="logistics", at="pickup"),
    row("an amount that is a number", SCANS, {**PICKED, "freight": 13.5}, 422, bad("freight"), key="logistics", at="pickup"),
    row("received without goods", SCANS, without(PARCEL, "items"), 422, "…实收商品：必填…", key="warehouse", at="receipt"),
    row("received an empty parcel", SCANS, {**PARCEL, "items": []}, 422, "…实收商品：请至少填写一行…", key="warehouse", at="receipt"),
    row("received in part or whole, nobody says", SCANS, without(PARCEL, "rest"), 422, "…是否到齐：必填…", key="warehouse", at="receipt"),
    row("received without case and number", SCANS, ARRIVED, 422, "…运单号：必填…", key="warehouse"),
    row("received a unit as a word", SCANS, {**PARCEL, "items": [{"sku": "SKU-1", "quantity": "eins"}]}, 422, "…实收商品第1行数量：…", key="warehouse", at="receipt"),
    row("received a unit in quotes", SCANS, {**PARCEL, "items": [{"sku": "SKU-1", "quantity": "1"}]}, 422, "…实收商品第1行数量：请填写整数，至少为 1…", key="warehouse", at="receipt"),
    row("received what was never asked for", SCANS, {**PARCEL, "items": [{"sku": "SKU-9", "quantity": 1}]}, 409, "…SKU-9…", key="warehouse", at="receipt", leaves=REFUSED_DECISION),
    # decisions
    row("a decision about what is no case", "/v1/cases/CASE%00/decisions/review", APPROVE, 404, NO_CASE),
    row("a decision about another's case", "/v1/cases/RT-20000101-0001/decisions/review", APPROVE, 404, UNKNOWN),
    row("a gate that there is not", "/v1/cases/CASE/decisions/approve", APPROVE, 404, "…没有“approve”这个环节，可以填写：review（审核）…"),
    row("a gate that is not open", "/v1/cases/CASE/decisions/review", APPROVE, 409, "…CASE 的审核已由 C08 陈晓 于 …", at="pickup"),
    row("a gate that is not open yet", "/v1/cases/CASE/decisions/inspection", {"result": "pass"}, 409, "CASE 现在待审核，还不能办理验收。", key="warehouse"),
    row("a decision that is none", REVIEW, {"decision": "maybe"}, 422, "…审核结果：请选择：通过、驳回、请客户补充…"),
    row("nothing decided", REVIEW, {}, 422, "…审核结果：必填…"),
    row("rejected without a reason", REVIEW, {"decision": "reject"}, 422, "…驳回理由：必填…"),
    row("somebody else as who decides", REVIEW, {**APPROVE, "operator": "C01"}, 422, "多了“operator”，它由地址和密钥决定，请去掉。"),
    row("another gate in the content", REVIEW, {**APPROVE, "gate": "RT-1 review-0-1"}, 422, "多了“gate”，它由地址和密钥决定，请去掉。"),
    row("more than the form has", REVIEW, {**APPROVE, "amount": "1"}, 422, "…审核：有多余的项目…"),
    row("another amount than is due", "/v1/cases/CASE/decisions/refund", {"amount": "1.00", "reference": "WX-1"}, 409, "…188.00…", key="cashier", at="refund", leaves=REFUSED_DECISION),
    row("money before its turn", "/v1/cases/CASE/decisions/refund", {"amount": "188.00", "reference": "WX-1"}, 409, "CASE 现在待例外审批，还不能办理退款。", key="manager", at="exception"),
    row("a case that is no case", "/v1/cases/everything", b"", 404, NO_CASE, method="GET"),
    row("a case of another", "/v1/cases/RT-20000101-0001", b"", 404, UNKNOWN, method="GET"),
    # where to
    row("nowhere", "/v1/orders", ASKED, 404, ADDRESS),
    row("an address within a case", "/v1/cases/CASE/history", b"", 404, ADDRESS, method="GET"),
    row("a decision that is read", REVIEW, b"", 405, METHOD, method="GET"),
    row("a case that is deleted", "/v1/cases/CASE", b"", 405, METHOD, method="DELETE"),
    row("scans that are listed", SCANS, b"", 405, METHOD, method="GET"),
    row("a decision that is put", REVIEW, APPROVE, 405, METHOD, method="PUT"),
]  # fmt: skip


@pytest.fixture(scope="module")
async def shops(house: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shops]:
    """One service for the whole table."""
    running = Shops(house.url.replace("+psycopg", ""), tmp_path_factory.mktemp("serve"))
    yield running
    running.stop()


@pytest.mark.parametrize(("method", "path", "body", "how", "status", "sentence"), REQUESTS)
async def test_a_request_that_is_wrong_gets_one_sentence_and_changes_nothing(
    house: House, shops: Shops, method: str, path: str, body: Any, how: dict[str, Any], status: int, sentence: str
):
    how = dict(how)
    case_no, leaves = house.at[how.pop("at")].case_no, how.pop("leaves", "")
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    raw = raw.replace(b'"CASE"', f'"{case_no}"'.encode())

    # what could not be handed over is written down, to be handed over when it is sent again
    unchanged = nullcontext() if leaves == "applications" else nothing_changes(house, leaves)
    with unchanged:
        answer = await shops.call(method, path.replace("CASE", case_no), raw, **how)

    assert answer.status_code == status, answer.text
    said, expected = answer.json(), sentence.replace("CASE", case_no)
    assert set(said) == {"error"}
    if expected.startswith("…"):
        assert expected.strip("…") in said["error"]
    else:
        assert said["error"] == expected
    assert "Traceback" not in answer.text and SECRET not in answer.text


# --- the file of keys -----------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {"secrets": ["a-secret-that-is-long"], "rights": ["receive"], "staff": "W02"}


def file(name: str, text: Any, sentence: str) -> Any:
    return pytest.param(text, sentence, id=name)


KEYS_FILES = [
    file("no YAML", "erp: [", "不是 YAML 或 JSON，请检查缩进和半角冒号，密钥要加引号"),
    file("a list for a table", ["erp"], "应当是一张表：密钥编号，其后写 secrets、rights、staff"),
    file("a secret alone", "a-secret-that-is-long", "应当是一张表"),
    file("a name in capitals", {"ERP": GOOD}, "的密钥编号 ERP 不对，请用小写字母、数字和短横线，如 erp。"),
    file("a secret as a name", {"a secret that is long": GOOD}, "的密钥编号 （不是代码） 不对"),
    file("a key twice", "erp: {}\nerp: {}", "不是 YAML 或 JSON"),
    file("no table", {"erp": "a-secret-that-is-long"}, "的 erp 应当是一张表，可写 secrets、rights、staff"),
    file("a field that there is not", {"erp": {**GOOD, "secret": "x"}}, "的 erp 没有这一项：secret，可写：secrets、rights、staff。"),
    file("no secret", {"erp": without(GOOD, "secrets")}, "的 erp.secrets 要写一个或两个（新的在前）密钥"),
    file("a short secret", {"erp": {**GOOD, "secrets": "short"}}, "每个至少 16 个英文字母、数字或符号"),
    file("a secret with blanks", {"erp": {**GOOD, "secrets": "a secret that is long"}}, "的 erp.secrets 要写"),
    file("a number for a secret", {"erp": {**GOOD, "secrets": 1234567890123456}}, "的 erp.secrets 要写"),
    file("three secrets", {"erp": {**GOOD, "secrets": ["a-secret-that-is-long"] * 3}}, "的 erp.secrets 要写一个或两个"),
    file("no rights", {"erp": {**GOOD, "rights": []}}, "的 erp.rights 要写权限的列表，可写：apply（提交申请）、review（审核申请）"),
    file("a right that there is not", {"erp": {**GOOD, "rights": ["everything"]}}, "的 erp.rights 要写权限的列表"),
    file("a right of people alone", {"erp": {**GOOD, "rights": ["view_contact"], "staff": "C01"}}, "的 erp.rights 要写权限的列表"),
    file("nobody to act as", {"erp": without(GOOD, "staff")}, "的 erp.staff 要写一个员工编号"),
    file("somebody who is not ours", {"erp": {**GOOD, "staff": "X99"}}, "的 erp.staff 要写一个员工编号"),
    file("more than who it acts as", {"erp": {**GOOD, "rights": ["receive", "refund"]}}, "的 erp.rights 超出了员工 W02 郑凯 的权限（refund）"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), KEYS_FILES)
def test_a_file_of_keys_that_is_wrong_is_refused_without_being_quoted(tmp_path: Path, text: Any, sentence: str):
    path = tmp_path / "api-keys.yaml"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    path.chmod(0o600)

    with pytest.raises(Unable) as refused:
        keys.load(Settings(home=tmp_path), staff=terms.load().staff())

    assert sentence in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "long" not in str(refused.value) and "short" not in str(refused.value)


def test_a_file_of_keys_that_others_can_read_is_refused(tmp_path: Path):
    path = tmp_path / "api-keys.yaml"
    path.write_text(json.dumps({"erp": GOOD}))
    path.chmod(0o644)

    with pytest.raises(Unable, match="里有密钥，别的用户也能读，请先运行 chmod 600"):
        keys.load(Settings(home=tmp_path), staff=terms.load().staff())


def test_the_keys_are_read_from_the_file_or_the_environment(tmp_path: Path):
    (tmp_path / "api-keys.yaml").write_text(json.dumps({"erp": GOOD}))
    (tmp_path / "api-keys.yaml").chmod(0o600)
    staff = terms.load().staff()

    assert keys.load(Settings(home=tmp_path), staff=staff)["erp"].secrets == ("a-secret-that-is-long",)
    assert list(keys.load(Settings(home=tmp_path, api_keys='{"wms": ' + json.dumps(GOOD) + "}"), staff=staff)) == [
        "wms"
    ]
    assert keys.load(Settings(home=tmp_path / "nowhere"), staff=staff) == {}
    assert "long" not in repr(keys.load(Settings(home=tmp_path), staff=staff))


def test_the_interface_is_called_by_its_names():
    assert (intake.KEY, intake.ONCE) == ("X-Aftersales-Key", "Idempotency-Key")
