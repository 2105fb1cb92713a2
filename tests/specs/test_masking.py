"""What may be shown of personal data, and what of it never reaches our tables in free text (GEN-10)."""

from __future__ import annotations

import pytest

from aftersales.rules.masking import masked_email, masked_name, masked_phone, scrub


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("王小明", "王**", id="three characters keep the family name"),
        pytest.param("王明", "王*", id="two characters keep the family name"),
        pytest.param("欧阳娜娜", "欧阳**", id="a compound family name stays whole"),
        pytest.param("欧阳", "欧*", id="a name that only looks compound is not shown whole"),
        pytest.param("王", "王*", id="a single character still gets a star"),
        pytest.param("John Smith", "J*** S***", id="a Latin name keeps its initials"),
        pytest.param("  李雷 ", "李*", id="blanks around are dropped"),
        pytest.param("", "", id="no name stays no name"),
    ],
)
def test_masked_name(name: str, shown: str) -> None:
    assert masked_name(name) == shown


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        pytest.param("13800001234", "138****1234", id="a mobile number keeps 3 and 4"),
        pytest.param("+86 138-0000-1234", "138****1234", id="country code and separators are dropped"),
        pytest.param("008613800001234", "138****1234", id="a country code dialled with 00 is dropped"),
        pytest.param("010-8888 6666", "010****6666", id="a landline with area code is as long as a mobile"),
        pytest.param("88886666", "******66", id="a short number keeps the last 2"),
        pytest.param("12345", "*****", id="too short to show anything"),
        pytest.param("", "", id="no phone stays no phone"),
    ],
)
def test_masked_phone(phone: str, shown: str) -> None:
    assert masked_phone(phone) == shown


@pytest.mark.parametrize(
    ("email", "shown"),
    [
        pytest.param("xiaoming@example.com", "x***@example.com", id="first letter and domain"),
        pytest.param("x@example.com", "x***@example.com", id="length of the mailbox is not told"),
        pytest.param("not an address", "**************", id="without @ nothing is shown"),
        pytest.param("", "", id="no address stays no address"),
    ],
)
def test_masked_email(email: str, shown: str) -> None:
    assert masked_email(email) == shown


PERSONAL = [
    pytest.param("请打13800001234谢谢", "请打138****1234谢谢", id="a mobile number inside a sentence"),
    pytest.param("138 0000 1234", "138****1234", id="a mobile number with blanks"),
    pytest.param("138-0000-1234", "138****1234", id="a mobile number with dashes"),
    pytest.param("138.000.01234", "138****1234", id="a mobile number in groups of 3, 3 and 5"),
    pytest.param("1380 000 1234", "138****1234", id="a mobile number in groups of 4, 3 and 4"),
    pytest.param("1 3 8 0 0 0 0 1 2 3 4", "138****1234", id="a mobile number digit by digit"),
    pytest.param("+86 13800001234", "+86 138****1234", id="a mobile number with country code"),
    pytest.param("8613800001234", "86138****1234", id="a mobile number with the code run in"),
    pytest.param("１３８００００１２３４", "138****1234", id="a mobile number in full-width digits"),
    pytest.param("138\u200b0000\u200b1234", "138****1234", id="a mobile number torn apart by what nobody sees"),
    pytest.param("138\u200d0000\u200d1234", "138****1234", id="a mobile number torn apart by joiners"),
    pytest.param("10200000017", "102****0017", id="a number of the sample shop"),
    pytest.param("19912345678", "199****5678", id="the highest mobile prefix"),
    pytest.param("座机010-88886666", "座机010-******66", id="a landline"),
    pytest.param("(0755)2666 1234", "0755-**** **34", id="a landline with brackets"),
    pytest.param("+44 20 7946 0958", "+44 2* **** **58", id="a number abroad"),
    pytest.param("邮箱wang.xm@example.com。", "邮箱w***@example.com。", id="an email between Chinese characters"),
    pytest.param("wang＠example.com", "w***@example.com", id="an email with a full-width @"),
    pytest.param("证110101199003077715", "证110***************", id="an ID number with a right check digit"),
    pytest.param("110101199003077716", "110***************", id="an ID number with a slip in the check digit"),
    pytest.param("11010519491231002X", "110***************", id="an ID number that ends in X"),
    pytest.param("11010519491231002x", "110***************", id="an ID number that ends in a small x"),
    pytest.param("110101 19900307 7715", "110***************", id="an ID number in groups"),
    pytest.param("110101900307771", "110************", id="an old ID number of 15 digits"),
    pytest.param("订单号110101199003077715", "订单号110***************", id="an ID number called an order number"),
    pytest.param("6222021234567890128", "***************0128", id="a UnionPay card"),
    pytest.param("6222 0212 3456 7890 128", "***************0128", id="a UnionPay card by fours"),
    pytest.param("4111111111111111", "************1111", id="a Visa card with a right check digit"),
    pytest.param("4111 1111 1111 1112", "************1112", id="a card by fours with a slip"),
    pytest.param("卡号1234567890123456", "************3456", id="whatever is called a card number"),
    pytest.param("开户账号 120912345678", "********5678", id="a short bank account, called so"),
    pytest.param("138 0000 1234 139 0000 5678", "138****1234 139****5678", id="two numbers side by side"),
    pytest.param("订单号忘了，卡号 4111111111111112", "************1112", id="the nearest word counts"),
]


@pytest.mark.parametrize(("text", "kept"), PERSONAL)
def test_scrub_hides_personal_data(text: str, kept: str) -> None:
    scrubbed = scrub(text)

    assert scrubbed.endswith(kept)
    assert scrub(scrubbed) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("订单20261122000712345有破损", id="an order number of 17 digits"),
        pytest.param("202611220007123456", id="an order number of 18 digits that is no ID: no such region"),
        pytest.param("110101199013077715", id="18 digits that are no ID: no such month"),
        pytest.param("订单号110101199003077716", id="an order number built like an ID whose check digit is wrong"),
        pytest.param("订单号 4111111111111111", id="an order number that passes Luhn by chance"),
        pytest.param("4111111111111112", id="16 digits that fail Luhn"),
        pytest.param("售后单 RT-20261122-0007", id="a case number"),
        pytest.param("运单SF1234567890123", id="a parcel number with letters"),
        pytest.param("运单 773012345678901", id="a parcel number of 15 digits"),
        pytest.param("预计 120912345678 到", id="twelve digits that nobody called an account"),
        pytest.param("12800001234", id="eleven digits without a mobile prefix"),
        pytest.param("138000012345", id="twelve digits"),
        pytest.param("1380000123", id="ten digits"),
        pytest.param("2026-11-22 10:30 到 2026-12-13 15:30:00", id="dates and times"),
        pytest.param("退 3 件，每件 89.99 元，共 269.97 元", id="quantities and amounts"),
        pytest.param("尺码 38 39 40 41 42 43 44 45", id="a row of sizes"),
        pytest.param("客服热线 400-800-8820", id="a public service number"),
        pytest.param("👩\u200d🔧 已处理", id="a picture that is joined of two"),
        pytest.param("按@所有人的要求", id="an @ that is no address"),
        pytest.param("", id="nothing"),
    ],
)
def test_scrub_leaves_the_rest(text: str) -> None:
    assert scrub(text) == text
