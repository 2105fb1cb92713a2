"""The migrated database is what the tables in code say, and it guards the journal itself (AUD-01)."""

import psycopg
import pytest

from aftersales.stack import schema
from aftersales.words import Unable

ENTRY = """
    insert into journal (case_no, seq, entry, kind, at, actor, data, hash)
    values ('RT-1', 1, 'opened', 'case', now(), 'C07', '{}', 'x')
"""


def test_migrated_database_and_tables_in_code_agree(empty_database):
    schema.upgrade(empty_database)

    assert schema.differences(empty_database) == []


def test_a_second_upgrade_changes_nothing(empty_database):
    schema.upgrade(empty_database)
    schema.upgrade(empty_database)

    assert schema.version(empty_database) == schema.newest()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param("update journal set actor = 'C08'", id="rewriting a row"),
        pytest.param("delete from journal", id="removing a row"),
        pytest.param("truncate journal", id="emptying the table"),
    ],
)
def test_the_database_refuses_to_change_the_journal(empty_database, attack):
    schema.upgrade(empty_database)
    with psycopg.connect(schema.plain(empty_database), autocommit=True) as connection:
        connection.execute(ENTRY)

        with pytest.raises(psycopg.errors.RestrictViolation, match="流水只能追加"):
            connection.execute(attack)

        assert connection.execute("select actor from journal").fetchall() == [("C07",)]


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        pytest.param("0000", "请重新运行 make run", id="an older database is upgraded by make run"),
        pytest.param("9999", "请把程序更新到同一版本", id="a newer database needs the newer program"),
    ],
)
def test_a_database_of_another_version_is_refused(empty_database, found, sentence):
    schema.upgrade(empty_database)
    with psycopg.connect(schema.plain(empty_database), autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = %s", [found])

    with pytest.raises(Unable, match=sentence):
        schema.require(empty_database)


def test_a_database_of_this_version_and_an_empty_one_are_accepted(empty_database):
    schema.require(empty_database)
    schema.require(empty_database)

    assert schema.version(empty_database) == schema.newest()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        pytest.param("postgresql://nobody@127.0.0.1:1/shop", "连不上数据库 127.0.0.1:1/shop", id="nobody listens"),
        pytest.param("postgresql://nobody@no-such-host.invalid/shop", "连不上数据库", id="no such host"),
    ],
)
def test_an_unreachable_database_is_one_sentence(url, sentence):
    with pytest.raises(Unable, match=sentence):
        schema.reach(url)
