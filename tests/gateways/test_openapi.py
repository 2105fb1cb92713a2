"""The documents in `docs/openapi` say what the code does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema
import pytest
from ruamel.yaml import YAML

from aftersales.gateways.http import Answer, HttpCarrier, HttpMessages, HttpPayment, Never
from aftersales.rules import authority
from aftersales.serve import app, intake, signatures
from aftersales.serve.callbacks import CarrierCallback, PaymentCallback
from aftersales.words import Applied
from tests.gateways.provider import KEY, Running

ROOT = Path(__file__).parents[2] / "docs" / "openapi"


def document(name: str) -> dict[str, Any]:
    """A document, its references resolved within itself."""
    return YAML(typ="safe").load((ROOT / f"{name}.yaml").read_text())


def valid(name: str, schema: dict[str, Any], value: Any) -> None:
    """Hold a value against a schema of a document."""
    jsonschema.Draft202012Validator({**schema, "components": document(name)["components"]}).validate(value)


@pytest.mark.parametrize("name", ["payment", "carrier", "sms", "callbacks", "intake"])
def test_it_is_openapi(name):
    found = document(name)
    assert found["openapi"] == "3.1.0" and found["info"]["title"]
    for schema in found["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("model", [PaymentCallback, CarrierCallback])
def test_a_callback_has_exactly_the_fields_that_are_read(model):
    told = document("callbacks")["components"]["schemas"][model.__name__]
    read = model.model_json_schema()

    assert set(told["properties"]) == set(read["properties"])
    assert set(told["required"]) == set(read["required"])
    assert told["additionalProperties"] is False
    assert told["properties"]["event"]["enum"] == read["properties"]["event"]["enum"]


@pytest.mark.parametrize("name", ["payment", "carrier", "sms"])
def test_an_answer_has_the_states_that_are_read(name):
    told = document(name)["components"]["schemas"]["Answer"]

    assert told["properties"]["status"]["enum"] == list(get_args(Answer.model_fields["status"].annotation))
    assert set(told["properties"]) == set(Answer.model_fields)


@pytest.mark.parametrize(("name", "path"), [("payment", "/refunds"), ("carrier", "/shipments"), ("sms", "/messages")])
async def test_a_key_that_never_arrived_is_answered_as_the_document_says(provider: Running, name: str, path: str):
    told = document(name)["paths"][path]["get"]["responses"]["404"]["content"]["application/json"]["schema"]
    assert told == {"$ref": "#/components/schemas/Never"}
    never = document(name)["components"]["schemas"]["Never"]
    assert set(never["required"]) == set(never["properties"]) == set(Never.model_fields)
    assert [never["properties"]["status"]["const"]] == list(get_args(Never.model_fields["status"].annotation))

    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = await client.get(provider.url + path, params={"key": "RT-1/refund-0"})

    assert answer.status_code == 404
    valid(name, never, answer.json())


async def test_what_we_send_and_what_the_provider_answers_are_valid(provider: Running):
    what = {"case_no": "RT-1", "order_no": "D1", "amount": Decimal("5"), "route": "支付宝"}
    await HttpPayment(provider.url, KEY).refund("RT-1/refund-0", **what)
    goods = {"items": [{"sku": "TS-01", "quantity": 2}]}
    await HttpCarrier(provider.url, KEY).book("RT-1/book-pickup-0", case_no="RT-1", data=goods, contact={"name": "李"})
    await HttpMessages(provider.url, KEY).text("notice-1", to="10212345678", text="退款已完成")

    paths = {"payment": "/refunds", "carrier": "/shipments", "sms": "/messages"}
    for (name, path), sent in zip(paths.items(), provider.seen, strict=True):
        body = document(name)["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        valid(name, body, sent["body"])
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as client:
            answer = await client.get(provider.url + path, params={"key": sent["key"]})
        valid(name, document(name)["components"]["schemas"]["Answer"], answer.json())


def test_the_service_has_the_paths_of_the_document_and_the_header_its_name():
    found = document("callbacks")
    routes = {path for path, _ in _routes() if not path.startswith("/v1/")}

    assert routes == {"/health", "/callbacks/{sender}"}
    assert set(found["paths"]) == {"/health", "/callbacks/payment", "/callbacks/carrier"}
    assert found["components"]["parameters"]["Signature"]["name"] == signatures.HEADER


def _routes() -> set[tuple[str, str]]:
    """The addresses of the service, with their methods."""
    return {(path, method) for path, item in app.create(keys={}).openapi()["paths"].items() for method in item}


def test_the_interface_has_the_paths_headers_gates_and_names_of_the_document():
    found = document("intake")
    told = {(path, method) for path, item in found["paths"].items() for method in item}
    headers = {scheme["name"] for scheme in found["components"]["securitySchemes"].values()}

    assert {route for route in _routes() if route[0].startswith("/v1/")} == told
    assert headers == {intake.KEY, signatures.HEADER}
    assert found["components"]["parameters"]["Once"]["name"] == intake.ONCE
    assert intake.REPEATED in found["info"]["description"]
    assert found["components"]["schemas"]["Gate"]["enum"] == list(authority.RIGHTS)


@pytest.mark.parametrize("model", [intake.Application, intake.Scan])
def test_what_a_shop_system_sends_has_exactly_the_names_that_are_read(model):
    told = document("intake")["components"]["schemas"][model.__name__]
    read = model.model_json_schema()

    assert set(told["properties"]) == set(read["properties"])
    assert set(told["required"]) == set(read["required"])
    assert told["additionalProperties"] is False
    for name, field in read["properties"].items():
        assert told["properties"][name].get("type", "string") == field.get("type", "string"), name


def test_every_post_of_the_interface_is_sent_under_a_number():
    for path, item in document("intake")["paths"].items():
        for method, told in item.items():
            asks = {"$ref": "#/components/parameters/Once"} in told["parameters"]
            assert asks == (method == "post"), path


def test_an_application_is_in_one_of_the_states_of_the_document():
    told = document("intake")["components"]["schemas"]["Applied"]["properties"]["state"]["enum"]

    assert told == [state.value for state in Applied]
