"""Applying for a return on the page: one case a form, photos that are nothing but pictures (SLF-03, POL-08, RET-01)."""

from __future__ import annotations

import io
import re
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import text

from aftersales import links
from aftersales.desk import leg as legs
from aftersales.page.words import WORDS
from aftersales.store import applications
from aftersales.store.engine import transaction
from aftersales.terms import load
from tasks import intake, records
from tests.page.conftest import ORDER, Page, Visitor, hidden, photo, said, serving
from tests.stories.conftest import Shop

JPEG = ("IMG_0001.jpg", photo(), "image/jpeg")


async def rows(query: str) -> list[Any]:
    async with transaction() as connection:
        return list((await connection.execute(text(query))).all())


def kept(home: Path) -> list[Path]:
    return sorted((home / "files").iterdir()) if (home / "files").exists() else []


async def test_slf03_an_application_becomes_a_case(customer: Visitor, told_at_once: list[dict[str, Any]]):
    sent = await customer.apply(remark="请 9 点后来")

    assert (sent.status_code, sent.headers["location"]) == (303, "/order")
    ((case_no, operator),) = await rows("select case_no, operator from cases")
    told = (await customer.get("/order")).text
    assert case_no in told and said("owed.review") in told
    assert operator not in told, "who looks after it is the house's own matter"
    ((actor, via),) = await rows("select actor, data->>'via' from journal where kind = 'opened'")
    assert (actor, via) == ("customer", "page")


async def test_what_is_being_taken_in_and_what_was_turned_away_are_told(
    customer: Visitor, monkeypatch: pytest.MonkeyPatch
):
    async def later(known: Any) -> None:
        async with transaction() as connection:
            await applications.hand(connection, known.id, uuid4())

    monkeypatch.setattr(intake, "_hand_over", later)

    await customer.apply()

    assert said("applied.taking") in (await customer.get("/order")).text


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        pytest.param(
            "订单 D1 的商品已过可退期限，请联系客服。", "订单 D1 的商品已过可退期限", id="a reason for customers"
        ),
        pytest.param("C07 王小明 没有“提交申请”权限。", said("applied.ask"), id="one that names staff"),
    ],
)
async def test_why_an_application_was_turned_away(
    customer: Visitor, monkeypatch: pytest.MonkeyPatch, reason: str, shown: str
):
    async def refuse(known: Any) -> None:
        async with transaction() as connection:
            await applications.hand(connection, known.id, uuid4())
            await connection.execute(
                text(
                    "insert into refusals (at, operator, order_no, reason, run_id, data)"
                    " select now(), 'C07', order_no, :reason, run_id, '{}' from applications"
                ),
                {"reason": reason},
            )

    monkeypatch.setattr(intake, "_hand_over", refuse)
    await customer.apply()

    told = (await customer.get("/order")).text

    assert said("applied.refused") in told and shown in told
    assert "王小明" not in told and "C07" not in told


async def test_a_form_that_is_sent_twice_is_one_case(customer: Visitor, told_at_once: list[dict[str, Any]]):
    token = await customer.token("/apply")

    first, second = await customer.apply(token=token), await customer.apply(token=token)

    # nothing of the order is left for the second: it is told of what the first has opened, not of a mistake
    assert [(each.status_code, each.headers["location"]) for each in (first, second)] == [(303, "/order")] * 2
    assert len(await rows("select 1 from cases")) == len(told_at_once) == 1


async def test_what_did_not_get_through_is_not_said_to_be_taken(customer: Visitor):
    """No Prefect runs here: sent again with a mistake it is a mistake."""
    token = await customer.token("/apply")
    first = await customer.apply(token=token)

    again = await customer.apply(token=token, reason="")

    assert (first.status_code, again.status_code) == (503, 422)


async def test_a_form_that_is_sent_twice_with_another_mistake_names_it(
    customer: Visitor, told_at_once: list[dict[str, Any]]
):
    token = await customer.token("/apply")
    await customer.apply(token=token)

    assert (await customer.apply(token=token, reason="")).status_code == 422


async def test_a_form_that_is_sent_twice_with_goods_left_is_one_case_too(
    page: Page, shop: Shop, told_at_once: list[dict[str, Any]]
):
    await shop.order(lines=[("SKU-1", "台灯", 3, "600.00")])
    customer = await page.visitor().find()
    token = await customer.token("/apply")

    first, again, other = [await customer.apply(token=token, **changes) for changes in ({}, {}, {"remark": "另一份"})]

    assert (first.status_code, again.status_code) == (303, 303)
    assert other.status_code == 409 and said("apply.twice") in other.text
    assert len(await rows("select 1 from cases")) == 1


async def test_an_order_of_many_lines_can_be_applied_for(page: Page, shop: Shop, told_at_once: list[dict[str, Any]]):
    await shop.order("D9", lines=[(f"SKU-{n}", "台灯", 1, "2.00") for n in range(1, 701)])
    customer = await page.visitor().find("D9")
    form = (await customer.get("/apply")).text
    printed = dict.fromkeys(re.findall(r'name="(quantity-[0-9]+)"', form), "0")
    assert len(printed) == 700

    sent = await customer.apply(**{**printed, "quantity-1": "0", "quantity-700": "1"})
    absurd = await customer.apply(**printed, **{f"f{n}": "1" for n in range(600)})

    assert (sent.status_code, sent.headers["location"]) == (303, "/order")
    assert [each["items"] for each in told_at_once] == [[{"sku": "SKU-700", "quantity": 1}]]
    assert absurd.status_code == 400


async def test_while_prefect_is_away_nothing_is_lost(customer: Visitor):
    """No Prefect runs here, and nobody stands in for it."""
    refused = await customer.apply(JPEG, remark="请轻放", reason="quality")

    assert refused.status_code == 503
    assert said("apply.unavailable") in refused.text
    assert "请轻放</textarea>" in refused.text and 'value="quality" checked' in refused.text
    assert len(hidden(refused, "kept")) == 1
    assert said("applied.taking") not in (await customer.get("/order")).text


async def test_what_could_not_be_taken_in_is_the_same_one_when_it_is_sent_again(
    customer: Visitor, told_at_once: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    hand_over = intake._hand_over
    monkeypatch.undo()
    refused = await customer.apply()
    monkeypatch.setattr(intake, "_hand_over", hand_over)

    sent = await customer.apply(token=hidden(refused, "token")[0])

    assert (refused.status_code, sent.status_code) == (503, 303)
    assert len(await rows("select 1 from applications")) == len(await rows("select 1 from cases")) == 1


async def test_mistakes_are_told_at_the_top_and_at_their_fields(customer: Visitor):
    refused = await customer.apply(**{"quantity-1": "0", "reason": "", "shipping": ""})

    assert refused.status_code == 422
    assert '<div class="summary" role="alert"' in refused.text
    for field in ("goods", "reason", "shipping"):
        wrong = said(f"wrong.{field}.none")
        assert f'<a href="#{field}">{wrong}</a>' in refused.text
        assert f'id="{field}-wrong"><p>{wrong}' in refused.text and f'id="{field}"' in refused.text


async def test_personal_data_in_the_remark_is_masked(customer: Visitor, told_at_once: list[dict[str, Any]]):
    await customer.apply(remark="打 13800001234 找张三")

    assert "13800001234" not in repr(told_at_once)
    assert "13800001234" not in repr(await rows("select data from journal"))
    assert "13800001234" not in repr(await rows("select request from applications"))


async def test_gen10_what_a_customer_writes_is_handed_to_neither_prefect_nor_the_journal(
    customer: Visitor, told_at_once: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    shown: list[str] = []

    async def wait(self: Any, entry: str, schema: Any, summary: str, answered: Any) -> None:
        shown.append(summary)
        raise legs.Waiting(self.case_no, entry)

    monkeypatch.setattr("aftersales.desk.bare.Bare.wait", wait)
    await customer.apply(remark="请到花园路找张三")

    assert told_at_once and "张三" not in repr(told_at_once)
    assert "张三" not in repr(await rows("select data from journal"))
    assert shown and "备注：请到花园路找张三" in shown[0], "the reviewer reads it above the form"


async def test_an_order_is_not_flooded_with_forms(customer: Visitor, home: Path):
    for _ in range(20):
        assert (await customer.apply(reason="")).status_code == 422

    assert (await customer.apply(JPEG)).status_code == 429
    assert kept(home) == [], "what is too much is not read"

    assert (await customer.apply()).status_code == 429


async def test_every_reason_and_way_of_paying_has_an_english_name():
    terms = load()

    assert set(terms.selfservice.english.reasons) == set(terms.returns.reasons)
    assert set(terms.selfservice.english.payment_routes) >= set(terms.returns.payment_routes)
    assert all(len(pair) == 2 and all(pair) for pair in WORDS.values())


# --- photos ---------------------------------------------------------------------------------------------------------


async def test_pol08_photos_are_kept_under_their_hash_and_named_in_the_case(
    customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]
):
    png = ("b.png", photo(kind="PNG", color="blue"), "image/png")

    sent = await customer.apply(JPEG, png, reason="quality")

    assert sent.status_code == 303
    files = kept(home)
    assert len(files) == 2
    for file in files:
        assert file.name == sha256(file.read_bytes()).hexdigest()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert Image.open(file).format == "JPEG"
    ((case_no,),) = await rows("select case_no from cases")
    pieces = await records.evidence(case_no)
    assert {piece.file for piece in pieces} == {file.name for file in files}
    assert told_at_once[0]["evidence"] == [piece.label for piece in pieces]


async def test_gen10_where_and_with_what_a_photo_was_taken_is_gone(
    customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]
):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "MAKER-SECRET", 6  # the device, and: turned by a quarter
    exif.get_ifd(0x8825)[1] = "N"
    comment = photo((60, 40), exif=exif.tobytes(), comment=b"SECRET", icc_profile=b"SECRET")

    await customer.apply(("a.jpg", comment, "image/jpeg"))

    (file,) = kept(home)
    picture = Image.open(file)
    assert not picture.getexif() and "icc_profile" not in picture.info and "comment" not in picture.info
    assert b"SECRET" not in file.read_bytes()
    assert picture.size == (40, 60), "it stands upright without what said so"


async def test_a_file_that_is_a_photo_and_something_else_is_only_a_photo(
    customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]
):
    both = photo() + b"<script>alert(1)</script>" + b"PK\x03\x04"

    await customer.apply(("../../../page/app.py", both, "text/html"))

    (file,) = kept(home)
    assert b"<script" not in file.read_bytes() and b"PK" not in file.read_bytes()
    assert len(file.name) == 64, "what it was called is nobody's business"


async def test_large_photos_become_smaller_and_clear_ones_lie_on_white(
    customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]
):
    clear = Image.new("RGBA", (3000, 1000), (0, 0, 0, 0))
    clear.save(out := io.BytesIO(), "PNG")

    await customer.apply(("a.png", out.getvalue(), "image/png"))

    picture = Image.open(kept(home)[0])
    assert picture.size == (2400, 800)
    assert picture.getpixel((5, 5)) == (255, 255, 255)


async def test_pol08_a_photo_that_arrived_is_not_asked_for_again(
    customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]
):
    refused = await customer.apply(JPEG, reason="quality", shipping="")
    token, photos = hidden(refused, "token")[0], hidden(refused, "kept")
    assert said("apply.photos.kept", count=1) in refused.text

    sent = await customer.apply(token=token, reason="quality", kept=photos)

    assert sent.status_code == 303
    assert len(told_at_once[0]["evidence"]) == len(kept(home)) == 1


async def test_a_photo_of_somebody_elses_form_is_none(customer: Visitor, page: Page, shop: Shop):
    await shop.order("D2", phone="10299999999")
    mine = hidden(await customer.apply(JPEG, reason="quality", shipping=""), "kept")
    other = await page.visitor().find("D2", "10299999999")

    refused = await other.apply(reason="quality", kept=mine)

    assert refused.status_code == 422
    assert said("wrong.photos.needed") in refused.text


async def test_photos_are_served_to_nobody(customer: Visitor, home: Path, told_at_once: list[dict[str, Any]]):
    await customer.apply(JPEG)
    (file,) = kept(home)

    for path in (f"/files/{file.name}", f"/{file.name}", f"/photo/{file.name}"):
        assert (await customer.get(path)).status_code == 404


# --- links ----------------------------------------------------------------------------------------------------------


def bring(visitor: Visitor, cookies: dict[str, str]) -> None:
    """Come with the cookies of before, as after a restart of the page."""
    for name, value in cookies.items():
        visitor.client.cookies.set(name, value, domain="127.0.0.1")


async def test_a_new_key_signs_and_the_old_one_is_still_read(database: str, home: Path, shop: Shop):
    await shop.order(ORDER)
    async with serving(database, home, AFTERSALES_LINK_KEY="the-old-one-of-the-shop") as page:
        customer = await page.visitor().find()
        cookies = dict(customer.client.cookies)
    async with serving(database, home, AFTERSALES_LINK_KEY="a-new-one-of-the-shop, the-old-one-of-the-shop") as page:
        visitor = page.visitor()
        bring(visitor, cookies)
        assert (await visitor.get("/order")).status_code == 200
        renewed = dict(visitor.client.cookies)
    async with serving(database, home, AFTERSALES_LINK_KEY="a-new-one-of-the-shop") as page:
        for known, status in ((cookies, 303), (renewed, 200)):
            visitor = page.visitor()
            bring(visitor, known)
            assert (await visitor.get("/order")).status_code == status


async def test_a_key_of_our_own_is_made_once_and_readable_by_nobody_else(page: Page, home: Path, visitor: Visitor):
    await visitor.get("/")
    file = home / links.FILE
    key = file.read_text()

    links._kept.cache_clear()
    await visitor.find()

    assert file.read_text() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
