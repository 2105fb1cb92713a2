"""What connects us to others is refused in one sentence before anything is started, if it could not work."""

from __future__ import annotations

import pytest

from aftersales.settings import Settings, settings
from aftersales.words import Unable


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nothing is connected, read anew."""
    for name in ("PAYMENT_URL", "PAYMENT_KEY", "CALLBACK_KEY", "PAYMENT_CALLBACK_KEY", "CARRIER_CALLBACK_KEY"):
        monkeypatch.delenv(f"AFTERSALES_{name}", raising=False)
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.mark.parametrize("key", ["钥匙", "a key", "key\n", "clé"])
def test_a_key_that_no_header_can_carry_is_refused(environment: pytest.MonkeyPatch, key: str):
    environment.setenv("AFTERSALES_PAYMENT_URL", "https://pay.example")
    environment.setenv("AFTERSALES_PAYMENT_KEY", key)

    with pytest.raises(Unable) as refused:
        settings()

    assert "AFTERSALES_PAYMENT_KEY" in str(refused.value) and "英文" in str(refused.value)
    assert key not in str(refused.value)


def test_a_sender_has_its_own_secrets_or_the_common_ones(environment: pytest.MonkeyPatch):
    environment.setenv("AFTERSALES_CALLBACK_KEY", "the-common-secret-of-all")
    environment.setenv("AFTERSALES_PAYMENT_CALLBACK_KEY", "the-new-secret-of-payment, the-old-secret-of-payment")

    assert Settings().callback_keys == {
        "payment": ("the-new-secret-of-payment", "the-old-secret-of-payment"),
        "carrier": ("the-common-secret-of-all",),
    }


def test_no_secret_no_callbacks(environment: pytest.MonkeyPatch):
    assert Settings().callback_keys == {"payment": (), "carrier": ()}


@pytest.mark.parametrize("name", ["CALLBACK_KEY", "PAYMENT_CALLBACK_KEY", "CARRIER_CALLBACK_KEY"])
@pytest.mark.parametrize("key", ["too-short", "long-enough-for-anybody,short", ","])
def test_a_secret_that_can_be_guessed_is_refused(environment: pytest.MonkeyPatch, name: str, key: str):
    environment.setenv(f"AFTERSALES_{name}", key)

    with pytest.raises(Unable, match=f"AFTERSALES_{name} 太短"):
        settings()


@pytest.mark.parametrize("url", ["desk.example", "ftp://desk.example", "https:// desk", "javascript:alert(1)"])
def test_what_is_no_address_of_the_plots_is_refused(environment: pytest.MonkeyPatch, url: str):
    environment.setenv("AFTERSALES_SERVE_URL", url)

    with pytest.raises(Unable, match="AFTERSALES_SERVE_URL 不是网址"):
        settings()


def test_the_plots_are_on_this_machine_unless_their_address_is_set(environment: pytest.MonkeyPatch):
    environment.setenv("PORT", "4250")
    environment.delenv("AFTERSALES_SERVE_PORT", raising=False)
    environment.delenv("AFTERSALES_SERVE_URL", raising=False)
    here = Settings().serve_address
    environment.setenv("AFTERSALES_SERVE_URL", "https://desk.example/")

    assert (here, Settings().serve_address) == ("http://127.0.0.1:4350", "https://desk.example")
