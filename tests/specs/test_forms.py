"""What people may fill in, what the server refuses before a run resumes, and what Python refuses again (RET-01 …)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import Field

from aftersales import forms
from aftersales.forms.fields import MOST_UNITS, Money, Text
from aftersales.terms import WAITING
from aftersales.words import FOLLOWING_UP, Grade, Shipping

REF = "RT-20261122-0007 review-1-0"
STAFF = ["C07 王小明", "C08 陈晓"]
REASONS = {"no_reason": "七天无理由", "quality": "质量问题"}
LINES = {"1": "第1行 TS-01 纯棉T恤", "2": "第2行 KB-88 机械键盘"}
OPTIONS: dict[type[forms.Form], dict[str, Any]] = {
    forms.ReturnRequest: {"operator": STAFF, "reason": REASONS},
    forms.ReviewForm: {"operator": STAFF},
    forms.CorrectionForm: {"operator": STAFF, "reason": REASONS},
    forms.ExceptionForm: {"operator": STAFF},
    forms.PickupForm: {"operator": STAFF},
    forms.ReceiptForm: {"operator": STAFF, "line": LINES},
    forms.InspectionForm: {"operator": STAFF, "line": LINES, "cause": REASONS},
    forms.RefundForm: {"operator": STAFF},
    forms.ArrivalForm: {"operator": STAFF},
    forms.CancelForm: {"operator": STAFF},
}
WHO = {"gate": REF, "operator": "C07 王小明"}
SHIRT = {"sku": "TS-01", "quantity": 2}
SHIRT_LINE = {"line": "第1行 TS-01 纯棉T恤", "quantity": 2}
# A complete answer to each form, as the UI sends it.
ANSWERS: dict[type[forms.Form], dict[str, Any]] = {
    forms.ReturnRequest: {
        "operator": "C07 王小明",
        "order_no": "536365",
        "items": [SHIRT],
        "reason": "质量问题",
        "shipping": "上门取件",
        "wish": "退货退款",
    },
    forms.ReviewForm: WHO | {"decision": "通过"},
    forms.CorrectionForm: WHO | {"decision": "补正重提", "reason": "不变", "shipping": "不变", "items_": []},
    forms.ExceptionForm: WHO | {"decision": "批准", "reason": "同意"},
    forms.PickupForm: WHO | {"carrier": "顺丰速运", "tracking_no": "SF-123456"},
    forms.ReceiptForm: WHO | {"items_": [SHIRT_LINE], "rest": "全部到齐"},
    forms.InspectionForm: WHO | {"items_": [SHIRT_LINE | {"grade": "可再销售", "cause": "质量问题"}], "result": "通过"},
    forms.RefundForm: WHO | {"amount": "19.99", "reference": "4200001234"},
    forms.ArrivalForm: {
        "operator": "C07 王小明",
        "tracking_no": "SF123456",
        "items": [SHIRT],
        "rest": "全部到齐",
    },
    forms.CancelForm: {"operator": "C07 王小明", "case_no": "RT-20261122-0007", "reason": "不想退了"},
}
EVERY = pytest.mark.parametrize("form", ANSWERS, ids=lambda form: form.__name__)


def drawn(form: type[forms.Form], **more: Any) -> dict[str, Any]:
    ref = REF if issubclass(form, forms.GateForm) else ""
    return forms.schema(form, options=OPTIONS[form], ref=ref, **more)


def server_takes(form: type[forms.Form], answer: dict[str, Any], **more: Any) -> bool:
    """Ask what Prefect's server asks: JSON schema 2020-12, without formats."""
    return jsonschema.Draft202012Validator(drawn(form, **more)).is_valid(answer)


def python_takes(form: type[forms.Form], answer: dict[str, Any]) -> bool:
    try:
        forms.read(form, answer, options=OPTIONS[form])
    except forms.Misfilled:
        return False
    return True


def taken(form: type[forms.Form], answer: dict[str, Any]) -> tuple[bool, bool]:
    return server_takes(form, answer), python_takes(form, answer)


def refusal(form: type[forms.Form], answer: Any, **more: Any) -> str:
    with pytest.raises(forms.Misfilled) as caught:
        forms.read(form, answer, **({"options": OPTIONS[form]} | more))
    return str(caught.value)


# --- every form -----------------------------------------------------------------------------------------------------


@EVERY
def test_a_complete_answer_is_taken_by_server_and_python(form: type[forms.Form]) -> None:
    assert taken(form, ANSWERS[form]) == (True, True)


@EVERY
def test_what_is_read_is_read_again_from_its_json(form: type[forms.Form]) -> None:
    read = forms.read(form, ANSWERS[form], options=OPTIONS[form])

    again = forms.read(form, json.loads(read.model_dump_json()), options=OPTIONS[form])

    assert again == read


@EVERY
def test_whoever_leaves_out_a_required_field_is_refused_by_both(form: type[forms.Form]) -> None:
    for name in drawn(form)["required"]:
        without = {key: value for key, value in ANSWERS[form].items() if key != name}
        assert taken(form, without) == (False, False), name


@EVERY
def test_an_unknown_field_is_refused_by_both(form: type[forms.Form]) -> None:
    assert taken(form, ANSWERS[form] | {"phone": "13800000000"}) == (False, False)


@EVERY
def test_an_empty_answer_decides_nothing(form: type[forms.Form]) -> None:
    required = drawn(form)["required"]

    assert "operator" in required
    assert not {"decision", "result", "rest"} & set(form.model_fields) - set(required)
    assert all("default" not in drawn(form)["properties"][name] for name in set(required) - {"gate"})
    assert taken(form, {}) == (False, False)


@EVERY
def test_every_field_has_a_chinese_title_a_position_and_no_type_tabs(form: type[forms.Form]) -> None:
    def look(properties: dict[str, Any]) -> None:
        assert [found["position"] for found in properties.values()] == list(range(1, len(properties) + 1))
        for name, found in properties.items():
            assert not found["title"].isascii(), name
            assert isinstance(found["type"], str), name
            assert not {"anyOf", "oneOf", "allOf", "$ref"} & set(found), name
            look(found.get("items", {}).get("properties", {}))

    look(drawn(form)["properties"])


@EVERY
def test_no_resume_form_sends_a_word_of_json_schema(form: type[forms.Form]) -> None:
    # The UI checks the answer as if it were a schema: with a list called `items` a form could never be sent.
    if issubclass(form, forms.GateForm):
        assert "items" not in drawn(form)["properties"]
        jsonschema.Draft202012Validator.check_schema(ANSWERS[form])


@EVERY
def test_no_form_asks_for_contact_data(form: type[forms.Form]) -> None:
    titles = json.dumps([found.title for found in form.model_fields.values()], ensure_ascii=False)

    assert not any(word in titles for word in ("电话", "手机", "邮箱", "姓名", "地址", "账号"))


@EVERY
def test_a_schema_is_plain_json(form: type[forms.Form]) -> None:
    assert json.loads(json.dumps(drawn(form))) == drawn(form)


# --- gates ----------------------------------------------------------------------------------------------------------


def test_every_gate_has_its_form() -> None:
    assert sorted(forms.GATES) == sorted({*WAITING, *FOLLOWING_UP})


@pytest.mark.parametrize("name", ["review", "review-2", "2nd"])
def test_a_gate_name_of_small_letters_digits_and_dashes_is_good(name: str) -> None:
    assert forms.key(name) == name


@pytest.mark.parametrize("name", ["Review", "review_1", "审核", "", "-review", "review\n", "a b"])
def test_trap_6_a_bad_gate_name_cannot_be_defined(name: str) -> None:
    with pytest.raises(ValueError, match="不能作节点名"):

        class BadForm(forms.GateForm, name=name, title="坏"):
            pass


def test_a_field_without_a_title_cannot_be_defined() -> None:
    with pytest.raises(ValueError, match="Chinese title"):

        class BareForm(forms.Form, title="无题"):
            note: Annotated[str, Text()] = Field(default="")


def test_the_gate_is_one_preselected_choice_and_a_stale_form_is_refused() -> None:
    stale = ANSWERS[forms.ReviewForm] | {"gate": "RT-20261122-0007 review-0-0"}

    gate = drawn(forms.ReviewForm)["properties"]["gate"]

    assert (gate["title"], gate["enum"], gate["default"]) == ("受理环节", [REF], REF)
    assert not server_takes(forms.ReviewForm, stale)
    assert "受理环节：这张表单已过期" in refusal(forms.ReviewForm, stale, ref=REF)


# --- drop-downs -----------------------------------------------------------------------------------------------------


def test_choices_are_shown_in_chinese_and_stored_as_codes() -> None:
    shown = drawn(forms.ReviewForm)["properties"]
    read = forms.read(forms.ReviewForm, ANSWERS[forms.ReviewForm], options=OPTIONS[forms.ReviewForm])

    assert shown["decision"]["enum"] == ["通过", "驳回", "请客户补充"]
    assert shown["operator"]["enum"] == STAFF
    assert read.model_dump(mode="json")["decision"] == "approve"
    assert read.operator == "C07"


@pytest.mark.parametrize(
    ("field", "written", "stored"),
    [
        pytest.param("reason", "质量问题", "quality", id="a reason by its label"),
        pytest.param("reason", "quality", "quality", id="a reason by its code"),
        pytest.param("shipping", "自行寄回", Shipping.SELF, id="a way of sending by its label"),
        pytest.param("shipping", "self", Shipping.SELF, id="a way of sending by its code"),
        pytest.param("operator", "C08", "C08", id="staff by id"),
        pytest.param("operator", "C08 陈晓", "C08", id="staff as shown"),
    ],
)
def test_python_reads_code_and_label(field: str, written: str, stored: Any) -> None:
    answer = ANSWERS[forms.ReturnRequest] | {field: written}

    read = forms.read(forms.ReturnRequest, answer, options=OPTIONS[forms.ReturnRequest])

    assert getattr(read, field) == stored


@pytest.mark.parametrize("who", ["C99", "C07 陈晓", "王小明", ""])
def test_who_is_not_offered_cannot_be_the_operator(who: str) -> None:
    assert taken(forms.ReviewForm, WHO | {"decision": "通过", "operator": who}) == (False, False)


@pytest.mark.parametrize("line", ["第1行 TS-01 纯棉T恤", "第1行", "1", 1])
def test_a_line_is_known_by_its_label_or_its_number(line: Any) -> None:
    answer = WHO | {"items": [{"line": line, "quantity": 1}], "rest": "complete"}

    read = forms.read(forms.ReceiptForm, answer, options=OPTIONS[forms.ReceiptForm])

    assert read.items[0].line == 1


@pytest.mark.parametrize("line", ["第3行", "3", "第1行 别的商品", "衬衫", True])
def test_a_line_that_is_not_in_the_case_is_refused(line: Any) -> None:
    answer = WHO | {"items": [{"line": line, "quantity": 1}], "rest": "complete"}

    assert "实收商品第1行订单行：" in refusal(forms.ReceiptForm, answer)


def test_left_alone_a_correction_changes_nothing() -> None:
    unchanged = forms.read(forms.CorrectionForm, ANSWERS[forms.CorrectionForm], options=OPTIONS[forms.CorrectionForm])

    assert (unchanged.items, unchanged.reason, unchanged.shipping, unchanged.evidence) == ((), "", None, ())


# --- money, numbers, texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefill", [{}, {"amount": Decimal("99.9")}], ids=["empty", "prefilled"])
@pytest.mark.parametrize(
    ("amount", "is_good"),
    [
        pytest.param("19.99", True, id="19.99"),
        pytest.param("0.07", True, id="0.07"),
        pytest.param("4.3", True, id="one decimal"),
        pytest.param("5", True, id="no decimal"),
        pytest.param("999999999.99", True, id="nine digits"),
        pytest.param("1000000000", False, id="ten digits"),
        pytest.param("-1", False, id="-1"),
        pytest.param("1.234", False, id="1.234"),
        pytest.param("abc", False, id="abc"),
        pytest.param("1,000.00", False, id="thousands"),
        pytest.param("１９.99", False, id="full-width digits"),
        pytest.param("1e3", False, id="exponent"),
        pytest.param("NaN", False, id="NaN"),
        pytest.param("", False, id="nothing"),
        pytest.param(19.99, False, id="a JSON number"),
        pytest.param(True, False, id="true"),
    ],
)
def test_trap_4_prefilled_money_stays_limited(prefill: dict[str, Any], amount: Any, is_good: bool) -> None:
    answer = ANSWERS[forms.RefundForm] | {"amount": amount}

    assert server_takes(forms.RefundForm, answer, prefill=prefill) is is_good
    assert python_takes(forms.RefundForm, answer) is is_good


def test_money_is_an_exact_decimal_with_two_places_at_once() -> None:
    read = forms.read(forms.RefundForm, ANSWERS[forms.RefundForm] | {"amount": "4.3"})

    assert (type(read.amount), str(read.amount)) == (Decimal, "4.30")


def test_prefilled_money_is_shown_with_two_decimals_and_keeps_its_title() -> None:
    amount = drawn(forms.RefundForm, prefill={"amount": Decimal("99.9")})["properties"]["amount"]

    assert (amount["default"], amount["title"], amount["type"]) == ("99.90", "退款金额", "string")
    assert "pattern" in amount


@pytest.mark.parametrize(
    ("freight", "amount"), [("", None), (None, None), ("12", Decimal("12.00"))], ids=["empty", "null", "12"]
)
def test_an_unknown_freight_may_stay_empty(freight: str | None, amount: Decimal | None) -> None:
    read = forms.read(forms.PickupForm, ANSWERS[forms.PickupForm] | {"freight": freight})

    assert read.freight == amount


def test_the_server_takes_an_empty_freight_but_no_bad_one() -> None:
    assert server_takes(forms.PickupForm, ANSWERS[forms.PickupForm] | {"freight": ""})
    assert not server_takes(forms.PickupForm, ANSWERS[forms.PickupForm] | {"freight": "-1"})


@pytest.mark.parametrize(
    ("quantity", "is_good"),
    [(1, True), (MOST_UNITS, True), (0, False), (-1, False), (MOST_UNITS + 1, False), (1.5, False), (True, False)],
)
def test_a_quantity_is_a_whole_number_of_at_least_one(quantity: Any, is_good: bool) -> None:
    answer = ANSWERS[forms.ReturnRequest] | {"items": [{"sku": "TS-01", "quantity": quantity}]}

    assert taken(forms.ReturnRequest, answer) == (is_good, is_good)


def test_a_list_that_needs_a_row_is_not_empty() -> None:
    assert taken(forms.ReturnRequest, ANSWERS[forms.ReturnRequest] | {"items": []}) == (False, False)


@pytest.mark.parametrize(
    ("number", "is_good"),
    [
        ("SF12", True),
        ("SF-1234567890", True),
        (" SF123456 ", True),
        ("A" * 40, True),
        ("A" * 41, False),
        ("SF1", False),
        ("SF 123456", False),
        ("顺丰123456", False),
    ],
)
def test_a_tracking_number_is_4_to_40_letters_digits_or_dashes(number: str, is_good: bool) -> None:
    answer = ANSWERS[forms.PickupForm] | {"tracking_no": number}

    assert taken(forms.PickupForm, answer) == (is_good, is_good)


@pytest.mark.parametrize(
    ("remark", "is_good"),
    [
        pytest.param("第一行\n第二行\t。", True, id="lines and tabs"),
        pytest.param("字" * 500, True, id="500 characters"),
        pytest.param("字" * 501, False, id="501 characters"),
        pytest.param("a\x00b", False, id="NUL"),
        pytest.param("a\x1bb", False, id="escape"),
        pytest.param("a\x7fb", False, id="delete"),
        pytest.param(7, False, id="a number"),
    ],
)
def test_free_text_is_limited_and_has_no_control_characters(remark: Any, is_good: bool) -> None:
    answer = ANSWERS[forms.ReviewForm] | {"remark": remark}

    assert taken(forms.ReviewForm, answer) == (is_good, is_good)


@pytest.mark.parametrize("reason", ["\u200b\u200b", " \ufeff\u200e ", "\u202e\u202c", "\u00ad"])
def test_what_nobody_sees_is_no_reason(reason: str) -> None:
    answer = WHO | {"decision": "驳回", "reason": reason}

    assert taken(forms.ReviewForm, answer) == (False, False)
    assert "驳回理由：必填" in refusal(forms.ReviewForm, answer)


def test_a_long_list_is_refused_though_it_says_the_same_all_over() -> None:
    assert taken(forms.ReviewForm, ANSWERS[forms.ReviewForm] | {"missing": ["发票"] * 21}) == (False, False)


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "备注" in refusal(forms.ReviewForm, ANSWERS[forms.ReviewForm] | {"remark": "\ud800"})


def test_texts_are_trimmed_and_empty_ones_left_out() -> None:
    answer = ANSWERS[forms.ReviewForm] | {"remark": "  好的\r\n ", "missing": [" 发票 ", "发票", None]}

    read = forms.read(forms.ReviewForm, answer)

    assert (read.remark, read.missing) == ("好的", ("发票",))


# --- rules between fields -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "answer", "needed"),
    [
        pytest.param(forms.ReviewForm, {"decision": "驳回"}, {"reason": "缺发票"}, id="a rejection says why"),
        pytest.param(
            forms.InspectionForm, {"result": "不通过"}, {"reason": "有划痕"}, id="a failed inspection says why"
        ),
        pytest.param(forms.ReviewForm, {"decision": "请客户补充"}, {"question": "吊牌照片"}, id="a question says what"),
        pytest.param(
            forms.InspectionForm, {"result": "请客户补充"}, {"question": "划痕何时有的"}, id="so does an inspector's"
        ),
        pytest.param(forms.ArrivalForm, {"tracking_no": ""}, {"tracking_no": "SF12"}, id="no case, then the parcel"),
        pytest.param(forms.ArrivalForm, {"tracking_no": ""}, {"case_no": "RT-1"}, id="no parcel, then the case"),
    ],
)
def test_trap_5_one_answer_makes_another_field_required(
    form: type[forms.Form], answer: dict[str, Any], needed: dict[str, Any]
) -> None:
    lacking = ANSWERS[form] | answer

    assert taken(form, lacking) == (False, False)
    assert taken(form, lacking | {name: "  " for name in needed}) == (False, False)
    assert taken(form, lacking | needed) == (True, True)


@pytest.mark.parametrize("decision", ["驳回", "reject"])
def test_the_rule_holds_for_label_and_code(decision: str) -> None:
    assert "驳回理由：必填" in refusal(forms.ReviewForm, WHO | {"decision": decision})


def test_an_exception_is_always_explained() -> None:
    for reason, is_good in (("同意", True), ("行", False), (" 行 ", False), ("", False)):
        assert taken(forms.ExceptionForm, ANSWERS[forms.ExceptionForm] | {"reason": reason}) == (is_good, is_good)


def test_every_rule_of_the_server_is_told_in_chinese() -> None:
    told = {name: found["description"] for name, found in drawn(forms.ReviewForm)["properties"].items()}
    amount = drawn(forms.RefundForm)["properties"]["amount"]["description"]

    assert "审核结果选“驳回”时必填" in told["reason"]
    assert "500 字" in told["reason"]
    assert "不能为负，最多两位小数，如 19.99" in amount
    assert "售后单号未填时必填" in drawn(forms.ArrivalForm)["properties"]["tracking_no"]["description"]


# --- prefilling -----------------------------------------------------------------------------------------------------


def test_prefilled_rows_show_labels() -> None:
    found = drawn(
        forms.InspectionForm,
        prefill={"items": [{"line": 2, "quantity": 1, "grade": Grade.SELLABLE, "cause": "quality"}, {"line": 1}]},
    )["properties"]["items_"]["default"]

    assert found == [
        {"line": "第2行 KB-88 机械键盘", "quantity": 1, "grade": "可再销售", "cause": "质量问题"},
        {"line": "第1行 TS-01 纯棉T恤"},
    ]


def test_a_prefilled_reason_that_is_no_longer_offered_is_left_open() -> None:
    found = drawn(forms.InspectionForm, prefill={"items": [{"line": 1, "quantity": 1, "cause": "gone"}]})

    assert found["properties"]["items_"]["default"] == [{"line": "第1行 TS-01 纯棉T恤", "quantity": 1}]


@pytest.mark.parametrize("name", ["decision", "operator"])
def test_a_decision_and_its_operator_are_never_prefilled(name: str) -> None:
    with pytest.raises(ValueError, match="never prefilled"):
        drawn(forms.ReviewForm, prefill={name: "x"})


def test_options_of_an_unknown_field_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no field colour"):
        forms.schema(forms.ReviewForm, options={"colour": ["红"]})


# --- deployments ----------------------------------------------------------------------------------------------------


def test_a_deployment_takes_the_answer_as_one_parameter_and_keeps_its_rules() -> None:
    schema = forms.parameters(forms.ArrivalForm, options=OPTIONS[forms.ArrivalForm])
    lacking = {key: value for key, value in ANSWERS[forms.ArrivalForm].items() if key != "tracking_no"}
    server = jsonschema.Draft202012Validator(schema)

    assert schema["properties"]["request"]["title"] == "到件登记"
    assert server.is_valid({"request": ANSWERS[forms.ArrivalForm]})
    assert not server.is_valid({"request": lacking})
    assert not server.is_valid({"request": ANSWERS[forms.ArrivalForm], "other": 1})
    assert not server.is_valid({})


@pytest.mark.parametrize("nonsense", [None, [], "x", 7], ids=["null", "a list", "text", "a number"])
def test_an_answer_that_is_no_form_is_refused_with_a_sentence(nonsense: Any) -> None:
    assert refusal(forms.ReturnRequest, nonsense) == "退货申请没有内容，请重新打开表单填写。"


@pytest.mark.parametrize("junk", [None, [], {}, "", "垃圾", 7, 1.5, True, [None], [[]], {"items": 1}, "\x00"])
def test_junk_in_any_field_is_refused_or_read_but_never_breaks(junk: Any) -> None:
    for form, answer in ANSWERS.items():
        for name in form.model_fields:
            python_takes(form, answer | {name: junk})


# --- what a refusal says --------------------------------------------------------------------------------------------


def test_one_sentence_names_every_wrong_field() -> None:
    said = refusal(forms.RefundForm, WHO | {"amount": "1.234", "reference": "x"})

    assert said == (
        "退款确认没有填对（退款金额：请填写金额（元），不能为负，最多两位小数，如 19.99；"
        "交易流水号：请填写4～64 位字母、数字或 - _ . / : #），请改正后重新提交。"
    )


def test_a_refusal_never_repeats_what_was_written() -> None:
    said = refusal(forms.RefundForm, WHO | {"amount": "13800001234元", "reference": "张三 6222020000000000"})

    assert "13800001234" not in said
    assert "6222" not in said


def test_a_wrong_cell_is_named_by_row_and_title() -> None:
    said = refusal(forms.ReturnRequest, ANSWERS[forms.ReturnRequest] | {"items": [SHIRT, {"sku": "", "quantity": 0}]})

    assert "退货商品第2行商品编码：" in said
    assert "退货商品第2行数量：请填写整数，至少为 1" in said


def test_free_text_is_known_so_that_steps_can_scrub_it() -> None:
    assert forms.free_text(forms.ReturnRequest) == {"evidence", "remark"}
    assert forms.free_text(forms.ReviewForm) == {"reason", "missing", "question", "remark"}
    assert forms.free_text(forms.RefundForm) == {"remark"}


# --- the command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "pairs", "answer"),
    [
        pytest.param(forms.ReviewForm, ["decision=approve"], {"decision": "approve"}, id="name and code"),
        pytest.param(forms.ReviewForm, ["审核结果=通过"], {"decision": "通过"}, id="title and label"),
        pytest.param(forms.ReviewForm, ["missing=发票,照片"], {"missing": ["发票", "照片"]}, id="a list"),
        pytest.param(forms.ReviewForm, ["missing=发票，照片"], {"missing": ["发票", "照片"]}, id="a Chinese comma"),
        pytest.param(forms.ReviewForm, ["missing=a", "missing=b"], {"missing": ["a", "b"]}, id="a key twice"),
        pytest.param(
            forms.InspectionForm,
            [r"evidence=https://x/?a=1\,2"],
            {"evidence": ["https://x/?a=1,2"]},
            id="a literal comma",
        ),
        pytest.param(forms.ReviewForm, ["reason=a=b, c"], {"reason": "a=b, c"}, id="text stays text"),
        pytest.param(forms.CorrectionForm, ["items="], {"items": []}, id="an empty list"),
        pytest.param(
            forms.ReceiptForm,
            ["items=第1行:2,2:1"],
            {"items": [{"line": "第1行", "quantity": "2"}, {"line": "2", "quantity": "1"}]},
            id="rows",
        ),
        pytest.param(
            forms.InspectionForm,
            ["验收明细=1：2：可再销售：质量问题"],
            {"items": [{"line": "1", "quantity": "2", "grade": "可再销售", "cause": "质量问题"}]},
            id="a row with Chinese colons",
        ),
        pytest.param(
            forms.CorrectionForm, [r"items=A\:1:2"], {"items": [{"sku": "A:1", "quantity": "2"}]}, id="a literal colon"
        ),
    ],
)
def test_words_of_the_command_line(form: type[forms.Form], pairs: list[str], answer: dict[str, Any]) -> None:
    assert forms.from_pairs(form, pairs) == answer


def test_words_of_the_command_line_are_read_like_a_form() -> None:
    answer = forms.from_pairs(forms.InspectionForm, ["items=第1行:2:sellable:质量问题", "验收结论=pass"])

    read = forms.read(forms.InspectionForm, WHO | answer, options=OPTIONS[forms.InspectionForm])

    assert read.items == (forms.InspectionItem(line=1, quantity=2, grade="sellable", cause="quality"),)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        pytest.param("colour=red", "可以填写：decision（审核结果）、reason（驳回理由）", id="an unknown key"),
        pytest.param("approve", "没有写成“项目=内容”", id="no equals sign"),
        pytest.param("operator=C08", "--as", id="the operator is said elsewhere"),
        pytest.param("gate=x", "没有“gate”这一项", id="the gate is known"),
        pytest.param("decision=reject", "审核结果写了两次", id="twice"),
    ],
)
def test_wrong_words_are_told(pair: str, said: str) -> None:
    with pytest.raises(forms.Misfilled, match=said):
        forms.from_pairs(forms.ReviewForm, ["decision=approve", pair])


def test_a_row_with_too_many_columns_is_told() -> None:
    with pytest.raises(forms.Misfilled, match="应写成：订单行:实收数量"):
        forms.from_pairs(forms.ReceiptForm, ["items=1:2:3"])


def test_a_kind_shows_nothing_for_an_empty_amount() -> None:
    assert Money(optional=True).show("") == ""
