"""
Secrets and addresses: they come from the environment, never from `config/`.

`AFTERSALES_HOME` holds everything that a running shop writes (design §10).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationError, field_validator
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

    @property
    def is_loopback(self) -> bool:
        """True when nobody but this machine can reach the desk."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


# one sentence for each variable: what it must look like (never the value of a secret)
WRONG = {
    "home": "环境变量 AFTERSALES_HOME 不是有效的目录，请改为一个可写目录的路径，或不设置它（默认 ./var）。",
    "port": "环境变量 PORT 不是 1 到 65535 之间的端口号，请改为例如 PORT=4200。",
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
