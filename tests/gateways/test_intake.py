"""Shop systems call us, over real HTTP: signed with all that makes a request, once a number, held to the rules of the commands."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from aftersales import clock
from aftersales.rules import visits as calendar
from aftersales.rules.lists import NEXT
from aftersales.serve import intake, signatures
from aftersales.serve.once import ANOTHER, UNDER_WAY
from aftersales.store import applications, cases, engine, journal
from aftersales.terms import load
from aftersales.words import Stage
from tasks import visits
from tests import builders
from tests.conftest import copy_of, emptied
from tests.gateways.test_callbacks import Service, everything
from tests.gateways.test_openapi import document, valid
from tests.stories.conftest import Shop, Telling
from tests.visiting import a_visit

SECRET, OLD = "the-new-secret-of-everybody", "the-old-secret-of-everybody"
KEYS: dict[str, dict[str, Any]] = {
    "store": {"secrets": [SECRET, OLD], "rights": ["apply"]},
    "service": {"secrets": SECRET, "rights": ["apply", "review"], "staff": "C08"},
    "logistics": {"secrets": SECRET, "rights": ["pickup"], "staff": "L02"},
    "warehouse": {"secrets": SECRET, "rights": ["receive", "inspect"], "staff": "W02"},
    "caller": {"secrets": SECRET, "rights": ["visit"], "staff": "C07"},
    "helper": {"secrets": SECRET, "rights": ["visit"], "staff": "C08"},
    "cashier": {"secrets": SECRET, "rights": ["refund"], "staff": "A03"},
    "manager": {"secrets": SECRET, "rights": ["approve_exception", "refund"], "staff": "A01"},
}
INSPECTED = {"items": [{"line": 1, "quantity": 1, "grade": "sellable", "cause": "no_reason"}], "result": "pass"}
ARRIVED = {"event": "received", "items": [{"sku": "SKU-1", "quantity": 1}], "rest": "complete"}


def _as_documented(method: str, path: str, answer: httpx.Response) -> None:
    """Hold an answer against the document, where the address is one of it."""
    for shape, item in document("intake")["paths"].items():
        told = item.get(method.lower())
        if told is None or not re.fullmatch(re.sub(r"{\w+}", "[^/]+", shape), path.partition("?")[0]):
            continue
        responses = told["responses"]
        assert str(answer.status_code) in responses, f"{method} {shape} answers {answer.status_code}"
        response = responses[str(answer.status_code)]
        if "$ref" in response:
            response = document("intake")["components"]["responses"]["Refused"]
        valid("intake", response["content"]["application/json"]["schema"], answer.json())


class Shops(Service):
    """`aftersales serve` with keys of shop systems, and a shop system that signs."""

    def __init__(self, database_url: str, home: Path, **environment: str) -> None:
        super().__init__(database_url, home, **{"AFTERSALES_API_KEYS": json.dumps(KEYS), **environment})

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] = b"",
        *,
        key: str = "service",
        secret: str = SECRET,
        number: str | None = None,
        late: timedelta = timedelta(),
        signed_for: tuple[str, str] | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Send a request, signed unless a header says otherwise; each has a number of its own."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        number = ("" if method == "GET" else f"n-{uuid4()}") if number is None else number
        to = signatures.target(*(signed_for or (method, path)), number)
        sent = {
            intake.KEY: key,
            signatures.HEADER: signatures.sign(raw, key=secret, at=clock.now() - late, to=to),
            **({intake.ONCE: number} if number else {}),
            **headers,
        }
        answer = await self.client.request(method, path, content=raw, headers=sent)
        _as_documented(method, path, answer)
        return answer

    async def post(self, path: str, body: bytes | dict[str, Any], **how: Any) -> httpx.Response:
        """Send something."""
        return await self.call("POST", path, body, **how)

    async def get(self, path: str, **how: Any) -> httpx.Response:
        """Ask something."""
        return await self.call("GET", path, **how)


@pytest.fixture(scope="module")
def served(postgres: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Shops]]:
    """A database, and a service that is connected to it."""
    with copy_of(postgres, migrated) as url:
        running = Shops(url, tmp_path_factory.mktemp("serve"))
        yield url, running
        running.stop()


@pytest.fixture
async def database(served: tuple[str, Shops]) -> AsyncIterator[str]:
    """The service's database, empty again; this process is connected to it too."""
    emptied(served[0])
    engine.connect(served[0])
    yield engine.address(served[0]).render_as_string(hide_password=False)
    await engine.disconnect()


@pytest.fixture
def shops(served: tuple[str, Shops], database: str) -> Shops:
    return served[1]


@pytest.fixture
async def asked(shop: Shop) -> Telling:
    """A case that waits for its review."""
    await shop.order()
    return await shop.tell(shop.application())


@pytest.fixture
async def sent_off(asked: Telling) -> Telling:
    """A case whose goods are to be picked up."""
    return await asked.decide("review", "C08", decision="approve")


# --- a whole way ----------------------------------------------------------------------------------------------------


async def test_a_case_goes_all_its_way_over_http(shops: Shops, asked: Telling):
    at = f"/v1/cases/{asked.case_no}/decisions"
    picked_up = {"event": "picked_up", "case_no": asked.case_no, "carrier": "顺丰", "tracking_no": "sf100200300"}

    answers = [await shops.post(f"{at}/review", {"decision": "approve"})]
    await asked.again()
    answers.append(await shops.post("/v1/scans", picked_up, key="logistics"))
    await asked.again()
    answers.append(await shops.post("/v1/scans", {**ARRIVED, "tracking_no": "SF100200300"}, key="warehouse"))
    await asked.again()
    answers.append(await shops.post(f"{at}/inspection", INSPECTED, key="warehouse"))
    await asked.again()
    answers.append(await shops.post(f"{at}/refund", {"amount": "188.00", "reference": "WX-1"}, key="cashier"))
    await asked.again()

    assert [(answer.status_code, answer.json().get("error")) for answer in answers] == [(200, None)] * 5
    assert (await asked.case()).stage is Stage.CLOSED
    journal = await asked.journal()
    acted = {name: journal[f"{name}-0"].actor for name in ("review", "pickup", "receipt", "inspection", "refund")}
    assert acted == {"review": "C08", "pickup": "L02", "receipt": "W02", "inspection": "W02", "refund": "A03"}
    assert journal["review-0"].data["via"].startswith("api/service/")
    assert answers[2].json()["case_no"] == asked.case_no, "found by the parcel's number"
    seen = (await shops.get(f"/v1/cases/{asked.case_no}")).json()
    assert (seen["stage"], seen["refunded"], seen["department"], seen["due_at"]) == ("closed", "188.00", "", None)


async def test_gen10_where_a_case_stands_is_told_masked(shops: Shops, asked: Telling):
    answer = await shops.get(f"/v1/cases/{asked.case_no.lower()}", key="service")

    told = answer.json()
    assert answer.status_code == 200
    assert (told["case_no"], told["stage_label"], told["department"]) == (asked.case_no, "待审核", "customer_service")
    assert told["customer"] == {"name": "李**", "phone": "102****5678", "email": ""}
    assert told["due"].endswith(" 前") and told["is_overdue"] is False
    assert "10212345678" not in answer.text and "李小红" not in answer.text


async def test_a_parcel_without_a_case_waits_and_is_matched(shops: Shops, sent_off: Telling):
    lone = await shops.post("/v1/scans", {**ARRIVED, "tracking_no": "SF100200300"}, key="warehouse")
    matched = await shops.post(
        "/v1/scans", {**ARRIVED, "tracking_no": "SF100200300", "case_no": sent_off.case_no}, key="warehouse"
    )
    await sent_off.again()

    assert lone.json()["case_no"] == "" and "无主包裹 SF100200300" in lone.json()["told"]
    assert (matched.status_code, matched.json()["case_no"]) == (200, sent_off.case_no)
    assert "匹配" in matched.json()["told"]
    assert sent_off.at == "inspection-0", "what has arrived was picked up"


# --- once -----------------------------------------------------------------------------------------------------------


async def test_sent_again_it_gets_the_same_answer_and_nothing_happens(shops: Shops, asked: Telling, database: str):
    path, body = f"/v1/cases/{asked.case_no}/decisions/review", {"decision": "approve"}

    first = await shops.post(path, body, number="n-1")
    before = everything(database)
    again = await shops.post(path, body, number="n-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert intake.REPEATED not in first.headers and again.headers[intake.REPEATED] == "true"
    assert everything(database) == before


async def test_ten_at_the_same_instant_count_once_and_get_the_same_answer(shops: Shops, sent_off: Telling):
    body = {"event": "picked_up", "case_no": sent_off.case_no, "carrier": "顺丰"}

    answers = await asyncio.gather(*(shops.post("/v1/scans", body, key="logistics", number="n-1") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(await sent_off.rows("inbox")) == 1


async def test_two_services_at_the_same_instant_count_once(
    shops: Shops, sent_off: Telling, served: tuple[str, Shops], tmp_path: Path
):
    second = Shops(served[0], tmp_path)
    body = {"event": "picked_up", "case_no": sent_off.case_no, "carrier": "顺丰"}

    answers = await asyncio.gather(
        *(each.post("/v1/scans", body, key="logistics", number="n-1") for each in (shops, second) * 5)
    )
    second.stop()

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 409} <= {UNDER_WAY}
    assert len(await sent_off.rows("inbox")) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("review", {"decision": "reject", "reason": "看不清"}, id="another decision"),
        pytest.param("question", {"answer": "照片已发"}, id="another gate"),
    ],
)
async def test_the_same_number_for_something_else_is_refused(
    shops: Shops, asked: Telling, database: str, path: str, body: dict[str, Any]
):
    at = f"/v1/cases/{asked.case_no}/decisions"
    await shops.post(f"{at}/review", {"decision": "approve"}, number="n-1")
    before = everything(database)

    answer = await shops.post(f"{at}/{path}", body, number="n-1")

    assert (answer.status_code, answer.json()) == (422, {"error": ANOTHER})
    assert everything(database) == before


async def test_another_key_may_use_the_same_number(shops: Shops, asked: Telling):
    at = f"/v1/cases/{asked.case_no}/decisions"
    await shops.post(f"{at}/review", {"decision": "approve"}, number="n-1")
    await asked.again()

    picked_up = {"event": "picked_up", "case_no": asked.case_no, "carrier": "顺丰"}
    answer = await shops.post("/v1/scans", picked_up, key="logistics", number="n-1")

    assert answer.status_code == 200


async def test_what_could_not_be_done_is_tried_anew_under_its_number(shops: Shops, sent_off: Telling):
    path = f"/v1/cases/{sent_off.case_no}/decisions/inspection"

    early = await shops.post(path, INSPECTED, key="warehouse", number="n-1")
    await sent_off.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await sent_off.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    later = await shops.post(path, INSPECTED, key="warehouse", number="n-1")

    assert (early.status_code, early.json()["error"]) == (
        409,
        f"{sent_off.case_no} 现在待取件，还不能办理验收。",
    )
    assert later.status_code == 200


async def test_whoever_died_before_the_answer_was_kept_is_answered_as_the_first(
    shops: Shops, asked: Telling, database: str
):
    path, body = f"/v1/cases/{asked.case_no}/decisions/review", {"decision": "approve"}
    first = await shops.post(path, body, number="n-1")
    await _forget_the_answer()

    again = await shops.post(path, body, number="n-1")

    assert (again.status_code, again.json()) == (200, first.json())
    reviews = [entry for entry in (await asked.journal()).values() if entry.entry.startswith("review-")]
    assert [entry.kind for entry in reviews] == ["gate", "decision"]


async def _forget_the_answer() -> None:
    from sqlalchemy import text

    async with engine.transaction() as connection:
        await connection.execute(
            text("update requests set status = null, answer = '', begun_at = now() - interval '3 minutes'")
        )


async def test_the_second_is_told_who_was_first_and_when(shops: Shops, asked: Telling):
    path = f"/v1/cases/{asked.case_no}/decisions/review"
    await asked.decide("review", "C07", decision="approve")

    answer = await shops.post(path, {"decision": "reject", "reason": "看不清"})

    assert answer.status_code == 409
    assert answer.json()["error"].startswith(f"{asked.case_no} 的审核已由 C07 王小明 于 ")
    assert (await asked.journal())["review-0"].data["decision"] == "approve"


async def a_list_of(*orders: str) -> tuple[str, list[int]]:
    """A list of visits of today, or of the next working day; its form is drawn."""
    terms, today = load(), builders.today()
    on = calendar.day_after(today - timedelta(days=1), NEXT, terms=terms)
    numbers = [await a_visit(order, due=on.isoformat(), customer=f"U-{order}") for order in orders]
    async with engine.transaction() as connection:
        (list_no,) = (await visits.open_lists(connection, on)).opened
    await Telling({}, uuid4(), story="visits", case_no=list_no).again()
    return list_no, numbers


REACHED = {"outcome": "reached", "note": "没有问题"}


async def test_visits_of_a_list_are_recorded_one_after_the_other(shops: Shops):
    list_no, numbers = await a_list_of("O1", "O2")
    path = f"/v1/cases/{list_no}/decisions/visit"

    answers = [
        await shops.post(path, {**REACHED, "visit": number}, key="caller", number=f"n-{number}") for number in numbers
    ]
    again = await shops.post(path, {**REACHED, "visit": numbers[0]}, key="caller", number=f"n-{numbers[0]}")

    assert [answer.status_code for answer in answers] == [200, 200], "nobody has told the list on between the two"
    assert (again.content, again.headers[intake.REPEATED]) == (answers[0].content, "true")
    async with engine.transaction() as connection:
        entries = (await journal.read(connection, list_no)).values()
    assert [(each.actor, each.data["via"][:11]) for each in entries if each.kind == "decision"] == [
        ("C07", "api/caller/")
    ] * 2


async def test_whoever_died_before_the_answer_about_a_visit_was_kept_is_answered_as_the_first(shops: Shops):
    list_no, (number,) = await a_list_of("O1")
    sent = {"key": "caller", "number": "n-1"}
    first = await shops.post(f"/v1/cases/{list_no}/decisions/visit", {**REACHED, "visit": number}, **sent)
    await _forget_the_answer()

    again = await shops.post(f"/v1/cases/{list_no}/decisions/visit", {**REACHED, "visit": number}, **sent)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize("left", [(), ("O2",)], ids=["the last of its list", "with others left"])
async def test_who_is_second_with_a_visit_is_told_who_was_first_and_when(shops: Shops, left: tuple[str, ...]):
    list_no, (number, *_) = await a_list_of("O1", *left)
    path, body = f"/v1/cases/{list_no}/decisions/visit", {**REACHED, "visit": number}

    at_once = await asyncio.gather(*(shops.post(path, body, key=key) for key in ("caller", "helper") * 4))
    later = await shops.post(path, body, key="helper")

    (first,) = [answer.json() for answer in at_once if answer.status_code == 200]
    who = {"C07": "C07 王小明", "C08": "C08 陈晓"}[first["decided_by"]]
    losers = [answer for answer in (*at_once, later) if answer.status_code != 200]
    assert {answer.status_code for answer in losers} == {409}
    for answer in losers:
        assert answer.json()["error"].startswith(f"回访 {number} 已由 {who} 于 ")
        assert "登记为“已联系上”" in answer.json()["error"]


async def test_a_visit_is_recorded_on_the_list_where_it_stands(shops: Shops, asked: Telling):
    list_no, (number,) = await a_list_of("O1")
    path = f"/v1/cases/{list_no}/decisions/visit"

    unknown = await shops.post(path, {**REACHED, "visit": number + 1}, key="caller")
    unnamed = await shops.post(path, REACHED, key="caller")
    no_list = await shops.post(f"/v1/cases/{asked.case_no}/decisions/visit", {**REACHED, "visit": number}, key="caller")

    assert (unknown.status_code, unnamed.status_code, no_list.status_code) == (404, 422, 409)
    assert unknown.json()["error"].startswith(f"没有回访 {number + 1}，")
    assert "回访对象：必填" in unnamed.json()["error"]
    assert no_list.json()["error"] == f"{asked.case_no} 现在待审核，还不能办理回访。"


async def test_what_breaks_a_rule_is_refused_and_kept_like_that_of_a_command(shops: Shops, asked: Telling):
    await asked.decide("review", "C08", decision="approve")
    await asked.decide("pickup", "L02", carrier="顺丰", tracking_no="SF100200300")
    await asked.decide("receipt", "W02", items=[{"line": "1", "quantity": 1}], rest="complete")
    await asked.decide("inspection", "W03", **INSPECTED)

    answer = await shops.post(
        f"/v1/cases/{asked.case_no}/decisions/refund", {"amount": "1.00", "reference": "WX-1"}, key="cashier"
    )

    assert answer.status_code == 409
    refused = [entry for entry in (await asked.journal()).values() if entry.kind == "refused"]
    assert [entry.data["reason"] for entry in refused] == [answer.json()["error"]]
    assert refused[0].actor == "A03"


# --- who calls ------------------------------------------------------------------------------------------------------


async def test_the_old_secret_counts_beside_the_new_one(shops: Shops, asked: Telling):
    own = await _applied(asked.case_no, "store/n-1")

    answers = [await shops.get(f"/v1/applications/{own}", key="store", secret=secret) for secret in (SECRET, OLD)]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_captured_request_cannot_be_sent_as_something_new(shops: Shops, sent_off: Telling):
    """Whoever has seen a request has no secret: with another number, address or body its signature is wrong."""
    body = {"event": "picked_up", "case_no": sent_off.case_no, "carrier": "顺丰"}
    raw, path = json.dumps(body).encode(), "/v1/scans"
    seen = signatures.sign(raw, key=SECRET, at=clock.now(), to=signatures.target("POST", path, "n-1"))

    def sent(**changes: Any) -> Any:
        found = {"path": path, "number": "n-1", "raw": raw} | changes
        headers = {intake.KEY: "logistics", signatures.HEADER: seen, intake.ONCE: found["number"]}
        return shops.client.post(found["path"], content=found["raw"], headers=headers)

    assert (await sent()).status_code == 200
    assert (await sent()).headers[intake.REPEATED] == "true"
    for change in ({"number": "n-2"}, {"path": f"{path}?again=1"}, {"raw": raw + b" "}):
        assert (await sent(**change)).status_code == 401, change
    assert len(await sent_off.rows("inbox")) == 1


async def test_no_secret_is_ever_written_down(shops: Shops, asked: Telling, database: str):
    for secret in (SECRET, OLD, "a-secret-that-is-not-ours"):
        await shops.post(f"/v1/cases/{asked.case_no}/decisions/review", {"decision": "approve"}, secret=secret)

    kept = json.dumps(everything(database), ensure_ascii=False) + shops.log.read_text()
    assert not [secret for secret in (SECRET, OLD, "a-secret-that-is-not-ours") if secret in kept]


async def test_a_name_that_is_no_key_is_refused_like_a_wrong_signature(shops: Shops, asked: Telling):
    path = f"/v1/cases/{asked.case_no}"

    answers = [await shops.get(path, key="nobody", secret=secret) for secret in (SECRET, "")]
    answers.append(await shops.get(path, key="service", secret="a-secret-of-somebody-else"))

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert len({answer.text for answer in answers}) == 1 and answers[0].json()["error"]


async def test_a_key_that_only_applies_reads_what_became_of_its_own_alone(shops: Shops, asked: Telling):
    own = await _applied(asked.case_no, "store/n-1")
    strange = await _applied(asked.case_no, "other/n-1", is_opened=False)

    assert (await shops.get(f"/v1/applications/{own}", key="store")).status_code == 200
    assert (await shops.get(f"/v1/cases/{asked.case_no}", key="store")).status_code == 200
    assert (await shops.get(f"/v1/applications/{strange}", key="store")).status_code == 404
    assert (await shops.get(f"/v1/applications/{own}", key="service")).status_code == 404


async def test_a_key_that_only_applies_does_not_read_other_cases(shops: Shops, asked: Telling):
    refused = await shops.get(f"/v1/cases/{asked.case_no}", key="store")

    assert refused.status_code == 404
    assert refused.json() == (await shops.get("/v1/cases/RT-20200101-0001", key="store")).json() | {
        "error": f"没有售后单 {asked.case_no}，请核对单号（可用 aftersales case list 查看）。"
    }


async def _applied(case_no: str, key: str, *, is_opened: bool = True) -> UUID:
    """Write down that a case was opened for an application of this key."""
    application_id = uuid4()
    async with engine.transaction() as connection:
        run_id = await cases.run_of_case(connection, case_no)
        await applications.keep(
            connection,
            id=application_id,
            via="api",
            key=key,
            fingerprint="",
            request={},
            order_no="D1",
            operator="C07",
            created_at=clock.now(),
        )
        if is_opened:
            await applications.hand(connection, application_id, run_id)
    return application_id


async def test_an_application_without_prefect_is_not_lost_in_silence(shops: Shops, shop: Shop):
    await shop.order("D1")
    body = {"order_no": "D1", "items": [{"sku": "SKU-1", "quantity": 1}], "reason": "no_reason", "shipping": "self"}

    answers = [await shops.post("/v1/applications", body, key="store", number="n-1") for _ in range(2)]

    assert [(each.status_code, each.json()) for each in answers] == [
        (503, {"error": "系统暂时不可用，这份申请还没有受理，请稍后重试。"})
    ] * 2


HANDBOOK = Path(__file__).parents[2] / "docs" / "handbook" / "intake.md"


def block(language: str, holds: str) -> str:
    """A block of code of the handbook."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", HANDBOOK.read_text())
    return next(each for each in blocks if holds in each)


async def test_the_program_of_the_handbook_can_call_us(shops: Shops, sent_off: Telling):
    known: dict[str, Any] = {}
    exec(block("python", "def call").replace(":4300", f":{shops.port}"), known)
    picked_up = {"event": "picked_up", "case_no": sent_off.case_no, "carrier": "顺丰", "tracking_no": "SF100200300"}
    key = {"key": "logistics", "secret": SECRET}

    seen = await asyncio.to_thread(known["call"], "GET", f"/v1/cases/{sent_off.case_no}", **key)
    told = await asyncio.to_thread(known["call"], "POST", "/v1/scans", picked_up, number="n-1", **key)

    assert seen["stage"] == "pickup"
    assert told == {"case_no": sent_off.case_no, "told": f"{sent_off.case_no} 已登记“已取件”。"}


@pytest.mark.skipif(not shutil.which("openssl") or not shutil.which("curl"), reason="openssl and curl are not here")
async def test_the_shell_lines_of_the_handbook_can_call_us(shops: Shops):
    lines = block("sh", "openssl").replace(":4300", f":{shops.port}").replace("secret='…'", f"secret='{SECRET}'")
    lines = lines.replace("key=wms", "key=warehouse")

    shell = await asyncio.create_subprocess_exec("sh", "-c", lines, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(shell.communicate(), 60)

    assert "已登记无主包裹 SF100200300" in json.loads(said)["told"]


async def test_without_any_key_nothing_is_taken(served: tuple[str, Shops], tmp_path: Path):
    running = Shops(served[0], tmp_path, AFTERSALES_API_KEYS="")

    answer = await running.get("/v1/cases/RT-20261122-0001")
    running.stop()

    assert (answer.status_code, answer.json()) == (503, {"error": intake.NO_KEYS})


# --- gone, and elsewhere --------------------------------------------------------------------------------------------


async def test_a_sender_who_hangs_up_leaves_nothing_behind(shops: Shops, database: str):
    before, logged = everything(database), shops.log.read_text()
    head = b"POST /v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900\r\n\r\n{"
    for path in (b"/v1/scans", b"/callbacks/payment"):
        _, writer = await asyncio.open_connection("127.0.0.1", shops.port)
        writer.write(head.replace(b"/v1/scans", path))
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()
    await asyncio.sleep(0.3)

    assert (await shops.client.get("/health")).status_code == 200
    assert everything(database) == before
    assert shops.log.read_text() == logged


async def test_nobody_is_sent_to_where_a_request_says_it_came_to(shops: Shops):
    for path in ("/health/", "/v1/scans/", "/callbacks/payment/"):
        answer = await shops.client.get(path, headers={"host": "evil.example"})

        assert (answer.status_code, set(answer.json())) == (404, {"error"})
        assert "location" not in answer.headers
