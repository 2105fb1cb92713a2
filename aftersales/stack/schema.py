"""
The shape of our database and how it comes to its newest version.

Migrations live in `migrations/`; a new one is drafted with `make migration NAME=…` and read by a person.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from aftersales.store import tables  # noqa: F401 - the tables register themselves
from aftersales.words import Unable

MIGRATIONS = Path("migrations")
LOCK = 7_240_001  # any number, the same everywhere: two starts never migrate at once


def _address(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")


def plain(url: str) -> str:
    """The URL as libpq reads it, whichever driver the writer had in mind."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _config(connection: Connection | None = None) -> Config:
    if not MIGRATIONS.is_dir():
        raise Unable("这里不是项目目录（没有 migrations 文件夹），请先 cd 到项目根目录再运行。")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.absolute()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The version this program was written for."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def version(url: str) -> str | None:
    """The version a database has. None: it has no tables of ours. Raises Unable when it cannot be reached."""
    with reach(url) as connection:
        found = connection.execute("select to_regclass('alembic_version')").fetchone()
        if not found or found[0] is None:
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
        return row[0] if row else None


def reach(url: str) -> psycopg.Connection:
    """Connect, or raise Unable with one sentence that says what stands in the way."""
    address = make_url(url)
    where = f"{address.host or address.query.get('host') or '本机'}:{address.port or 5432}/{address.database or ''}"
    try:
        return psycopg.connect(plain(url), autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        said = str(error)
        if "password authentication failed" in said or "no password supplied" in said:
            raise Unable(f"数据库 {where} 拒绝了用户名或密码，请改正数据库地址里的用户和密码。") from None
        if "does not exist" in said and "database" in said:
            raise Unable(f"数据库 {where} 不存在，请先运行 make run（它会建库），或改正地址里的库名。") from None
        raise Unable(
            f"连不上数据库 {where}，请检查数据库是否已启动、地址（AFTERSALES_DATABASE_URL）和网络是否正确。"
        ) from None


def create(url: str) -> bool:
    """Make sure that a database exists. True when it was made just now."""
    address = make_url(url)
    name = address.database or ""
    try:
        reach(url).close()
        return False
    except Unable as reason:
        if "不存在" not in str(reason):
            raise
    try:
        with reach(address.set(database="postgres").render_as_string(hide_password=False)) as admin:
            admin.execute(sql.SQL("create database {} encoding 'UTF8' template template0").format(sql.Identifier(name)))
    except psycopg.errors.DuplicateDatabase:
        return False
    except psycopg.Error:
        raise Unable(
            f"数据库 {name} 不存在，而用户 {address.username or '（默认）'} 没有建库的权限；"
            f"请由管理员执行 CREATE DATABASE {name}，再重新运行。"
        ) from None
    return True


def need_trigrams(url: str) -> None:
    """Make sure that Prefect can search by name: it needs the extension pg_trgm."""
    with reach(url) as connection:
        try:
            connection.execute("create extension if not exists pg_trgm")
        except psycopg.Error:
            raise Unable(
                f"数据库 {make_url(url).database} 缺少 Prefect 需要的扩展 pg_trgm；"
                "请在数据库服务器上安装 postgresql-contrib，并由管理员在该库执行 CREATE EXTENSION pg_trgm。"
            ) from None


def upgrade(url: str) -> None:
    """Bring a database to the newest version; one at a time, and as a whole or not at all."""
    engine = create_engine(_address(url), poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": LOCK})
        connection.commit()
        command.upgrade(_config(connection), "head")
        connection.commit()
    engine.dispose()


def require(url: str) -> None:
    """Refuse to work on a database of another version; fill an empty one. Raises Unable."""
    found, wanted = version(url), newest()
    if found is None:
        upgrade(url)
    elif found < wanted:
        raise Unable(f"数据库是旧版本（{found}，需要 {wanted}），请重新运行 make run，它会升级数据库。")
    elif found > wanted:
        raise Unable(f"数据库比程序新（{found}，程序只认得 {wanted}），请把程序更新到同一版本。")


def differences(url: str) -> list:
    """What the tables in code and the migrated database do not agree on."""
    engine = create_engine(_address(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            return compare_metadata(context, SQLModel.metadata)
    finally:
        engine.dispose()


def draft(url: str, name: str, number: str, *, folder: Path) -> None:
    """Write a new migration from what the tables in code have and the migrated database lacks."""
    engine = create_engine(_address(url), poolclass=NullPool)
    with engine.connect() as connection:
        config = _config(connection)
        config.set_main_option("version_locations", str(folder.absolute()))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        command.revision(config, name, autogenerate=True, rev_id=number)
    engine.dispose()
