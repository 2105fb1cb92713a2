"""
Secrets and addresses: they come from the environment, never from `config/`.

`AFTERSALES_HOME` holds everything that a running shop writes (design §10).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The environment of one installation."""

    model_config = SettingsConfigDict(env_prefix="AFTERSALES_", extra="ignore")

    home: Path = Path("var")
    database_url: str = ""
    prefect_database_url: str = ""
    auth: str = ""


@lru_cache
def settings() -> Settings:
    """Read the environment once."""
    return Settings()
