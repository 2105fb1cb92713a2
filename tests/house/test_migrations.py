"""The migrated database is what the tables in code say, and it guards the journal itself (AUD-01)."""

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine

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


def test_what_was_told_before_rungs_had_names_is_named(empty_database):
    """Of a case by its history: what a longer ladder told before the last two belongs to the window before."""
    until = "0017"
    with create_engine(schema._address(empty_database)).connect() as connection:
        command.upgrade(schema._config(connection), until)
        connection.commit()
    with psycopg.connect(schema.plain(empty_database), autocommit=True) as connection:
        promise = (
            'insert into promises (case_no, entry, stage, owner, rule, "limit", started_at, due_at, provisional,'
            " calendars, trace, gate, rungs) values (%s, %s, %s, 'x', '', '2 wd', now(), now(), false, '', '{}', '{}', %s)"
        )
        for values in (("RT-1", "refund-0", "refund", 2), ("VL-1", "visit-0", "visit", 2), ("RT-2", "x-0", "x", 0)):
            connection.execute(promise, values)
        for seq, name in enumerate(("reminder", "breach", "breach", "lead", "lead"), 1):
            connection.execute(
                "insert into journal (case_no, seq, entry, kind, at, actor, rule, data, prev_hash, hash) values"
                " ('RT-1', %s, %s, 'rung', now(), 'system', '', jsonb_build_object('stage', 'refund', 'rung', %s::text),"
                " '', 'x')",
                (seq, f"refund-0.{seq}", name),
            )
        connection.execute(
            "insert into visits (key, kind, owner, due_on, rule, rungs, created_at)"
            " values ('a', 'purchase', 'x', now(), '', 3, now()), ('b', 'purchase', 'x', now(), '', 0, now())"
        )

    schema.upgrade(empty_database)

    with psycopg.connect(schema.plain(empty_database)) as connection:
        told = connection.execute("select told from promises order by id").fetchall()
        assert told == [(["breach", "lead"],), (["reminder", "breach"],), ([],)]
        told = connection.execute("select told from visits order by key").fetchall()
        assert told == [(["reminder", "breach", "head"],), ([],)]


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
