"""
Secrets and addresses: they come from the environment, never from `config/`.

`AFTERSALES_HOME` holds everything that a running shop writes (design §10).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from aftersales.words import Unable


class Settings(BaseSettings):
    """The environment of one installation."""

    model_config = SettingsConfigDict(env_prefix="AFTERSALES_", extra="ignore", env_ignore_empty=True)

    home: Path = Path("var")
    database_url: str = ""
    prefect_database_url: str = ""
    auth: str = ""
    host: str = Field(default="127.0.0.1", validation_alias="HOST")
    port: int = Field(default=4200, validation_alias="PORT")
    serve_port: int = 0
    serve_url: str = ""
    page_port: int = 0
    page_url: str = ""
    page_proxies: str = ""
    link_key: SecretStr = SecretStr("")
    payment_url: str = ""
    payment_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    carrier_url: str = ""
    carrier_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    sms_url: str = ""
    sms_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    channels: SecretStr = SecretStr("")
    channels_file: Path | None = None
    api_keys: SecretStr = SecretStr("")
    api_keys_file: Path | None = None
    ui_url: str = ""
    callback_key: SecretStr = SecretStr("")
    payment_callback_key: SecretStr = SecretStr("")
    carrier_callback_key: SecretStr = SecretStr("")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("port")
    @classmethod
    def _a_port(cls, port: int) -> int:
        if not 0 < port < 65536:
            raise ValueError
        return port

    @field_validator("auth")
    @classmethod
    def _user_and_password(cls, auth: str) -> str:
        if auth and not re.fullmatch(r"[^:\s]+:\S+", auth):
            raise ValueError
        return auth

    @field_validator("database_url", "prefect_database_url")
    @classmethod
    def _of_postgres(cls, url: str) -> str:
        if url and not re.match(r"postgres(ql)?(\+\w+)?://", url):
            raise ValueError
        return url

    @field_validator("serve_port", "page_port")
    @classmethod
    def _a_port_or_none(cls, port: int) -> int:
        if not 0 <= port < 65536:
            raise ValueError
        return port

    @field_validator("payment_url", "carrier_url", "sms_url")
    @classmethod
    def _safe_to_call(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and not (
            parts.hostname
            and not parts.username
            and not parts.query
            and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)))
        ):
            raise ValueError
        return url.rstrip("/")

    @field_validator("ui_url", "serve_url")
    @classmethod
    def _a_page(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise ValueError
        return url.rstrip("/")

    @field_validator("page_url")
    @classmethod
    def _a_public_page(cls, url: str) -> str:
        # it stands in cookies, headers and messages: no letter that means something else there
        if url and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?", url):
            raise ValueError
        parts = urlsplit(url)
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            # order numbers and phones would be read by everybody on the way
            raise ValueError
        return url.rstrip("/")

    @field_validator("page_proxies")
    @classmethod
    def _networks(cls, proxies: str) -> str:
        for each in _parted(proxies):
            network = ipaddress.ip_network(each, strict=False)
            if network.prefixlen == 0:
                # everybody could then say who they are
                raise ValueError
        return proxies

    @field_validator("payment_key", "carrier_key", "sms_key")
    @classmethod
    def _with_its_address(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        url = info.data.get(str(info.field_name).replace("_key", "_url"))
        if url is not None and bool(url) != bool(key.get_secret_value()):
            raise ValueError
        if not re.fullmatch(r"[\x21-\x7e]*", key.get_secret_value()):
            # no header can carry it, and every call would fail
            raise ValueError
        return key

    @field_validator("callback_key", "payment_callback_key", "carrier_callback_key", "link_key")
    @classmethod
    def _hard_to_guess(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and any(len(each) < 16 for each in _each(key)):
            raise ValueError
        return key

    @property
    def callbacks_port(self) -> int:
        """Where `aftersales serve` listens; a hundred above the desk unless set."""
        return self.serve_port or self._beside(100)

    @property
    def serve_address(self) -> str:
        """Where staff open the plots of `aftersales serve`; on this machine unless its address is set."""
        return self.serve_url or f"http://127.0.0.1:{self.callbacks_port}"

    @property
    def customers_port(self) -> int:
        """Where the customer's page listens; two hundred above the desk unless set."""
        return self.page_port or self._beside(200)

    @property
    def page_address(self) -> str:
        """Where customers find their page; on this machine unless its public address is set."""
        return self.page_url or f"http://127.0.0.1:{self.customers_port}"

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Who may say for whom they ask; nobody unless set."""
        return _parted(self.page_proxies)

    @property
    def link_keys(self) -> tuple[str, ...]:
        """The secrets that links are signed with, the new one first; empty: one that is kept in the home."""
        return _each(self.link_key)

    def _beside(self, distance: int) -> int:
        return self.port + distance if self.port + distance < 65536 else self.port - distance

    @property
    def callback_keys(self) -> dict[str, tuple[str, ...]]:
        """The secrets that each sender may sign with: its own, else the common ones; an old one while it is replaced."""
        own = {"payment": self.payment_callback_key, "carrier": self.carrier_callback_key}
        return {sender: _each(key if key.get_secret_value() else self.callback_key) for sender, key in own.items()}

    @property
    def is_loopback(self) -> bool:
        """True when nobody but this machine can reach the desk."""
        return _is_loopback(self.host)


def _each(keys: SecretStr) -> tuple[str, ...]:
    """Secrets that are parted by commas, the new one first."""
    return _parted(keys.get_secret_value())


def _parted(text: str) -> tuple[str, ...]:
    """What is parted by commas."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# one sentence for each variable: what it must look like (never the value of a secret)
WRONG = {
    "home": "环境变量 AFTERSALES_HOME 不是有效的目录，请改为一个可写目录的路径，或不设置它（默认 ./var）。",
    "port": "环境变量 PORT 不是 1 到 65535 之间的端口号，请改为例如 PORT=4200。",
    "serve_port": "环境变量 AFTERSALES_SERVE_PORT 不是 1 到 65535 之间的端口号，请改为例如 AFTERSALES_SERVE_PORT=4300。",
    "payment_url": (
        "环境变量 AFTERSALES_PAYMENT_URL 不是可用的地址，请写成 https://主机/路径（本机可以用 http://127.0.0.1:端口）。"
    ),
    "payment_key": (
        "环境变量 AFTERSALES_PAYMENT_URL 和 AFTERSALES_PAYMENT_KEY 必须一起设置，"
        "密钥只能用英文字母、数字和符号，请补上或更正，或都不设置。"
    ),
    "carrier_url": (
        "环境变量 AFTERSALES_CARRIER_URL 不是可用的地址，请写成 https://主机/路径（本机可以用 http://127.0.0.1:端口）。"
    ),
    "carrier_key": (
        "环境变量 AFTERSALES_CARRIER_URL 和 AFTERSALES_CARRIER_KEY 必须一起设置，"
        "密钥只能用英文字母、数字和符号，请补上或更正，或都不设置。"
    ),
    "sms_url": (
        "环境变量 AFTERSALES_SMS_URL 不是可用的地址，请写成 https://主机/路径（本机可以用 http://127.0.0.1:端口）。"
    ),
    "sms_key": (
        "环境变量 AFTERSALES_SMS_URL 和 AFTERSALES_SMS_KEY 必须一起设置，"
        "密钥只能用英文字母、数字和符号，请补上或更正，或都不设置。"
    ),
    "channels_file": "环境变量 AFTERSALES_CHANNELS_FILE 不是文件的路径，请改为渠道文件的路径，或不设置它。",
    "api_keys_file": "环境变量 AFTERSALES_API_KEYS_FILE 不是文件的路径，请改为接口密钥文件的路径，或不设置它。",
    "ui_url": (
        "环境变量 AFTERSALES_UI_URL 不是网址，请写成员工打开工作台的地址，如 https://desk.example.com，或不设置它。"
    ),
    "serve_url": (
        "环境变量 AFTERSALES_SERVE_URL 不是网址，请写成员工打开图的地址，如 https://desk.example.com/plots，或不设置它。"
    ),
    "page_port": "环境变量 AFTERSALES_PAGE_PORT 不是 1 到 65535 之间的端口号，请改为例如 AFTERSALES_PAGE_PORT=4400。",
    "page_url": (
        "环境变量 AFTERSALES_PAGE_URL 不是可用的网址，请写成顾客打开自助页面的地址，如 https://help.example.com"
        "（只有本机可以用 http://），或不设置它。"
    ),
    "page_proxies": (
        "环境变量 AFTERSALES_PAGE_PROXIES 不是地址，请写成自助页面前面的代理服务器的 IP 地址或网段，"
        "用英文逗号分开，如 127.0.0.1,10.0.0.0/8，或不设置它。"
    ),
    "link_key": (
        "环境变量 AFTERSALES_LINK_KEY 太短，请设为至少 16 个字符的随机文字；"
        "更换时可以用英文逗号写两个（新的在前），或不设置它（由系统生成并保存）。"
    ),
    **{
        name: (
            f"环境变量 AFTERSALES_{name.upper()} 太短，请设为至少 16 个字符的随机文字，与对方约定的一样；"
            "更换时可以用英文逗号写两个（新的在前）。"
        )
        for name in ("callback_key", "payment_callback_key", "carrier_callback_key")
    },
    "auth": "环境变量 AFTERSALES_AUTH 的格式不对，请写成“用户名:密码”（两者都不能为空，也不能含空格）。",
    "database_url": (
        "环境变量 AFTERSALES_DATABASE_URL 不是 PostgreSQL 地址，请写成 postgresql://用户:密码@主机:端口/数据库。"
    ),
    "prefect_database_url": (
        "环境变量 AFTERSALES_PREFECT_DATABASE_URL 不是 PostgreSQL 地址，请写成 postgresql://用户:密码@主机:端口/数据库。"
    ),
}


@lru_cache
def settings() -> Settings:
    """Read the environment once. Raises Unable with one sentence for the first variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        where = str(error.errors()[0]["loc"][0]).lower()
        raise Unable(WRONG.get(where, f"环境变量 {where} 的值不对，请更正。")) from None
