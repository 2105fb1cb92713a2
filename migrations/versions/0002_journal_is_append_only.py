"""The journal and the looks are append-only: the database itself refuses to change what was written (AUD-01, GEN-10)."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Refuse UPDATE, DELETE and TRUNCATE, whoever asks."""
    op.execute(
        """
        create function journal_is_append_only() returns trigger language plpgsql as $$
        begin
            raise exception '流水只能追加，不能修改或删除（%）；更正请另写一条。', tg_op
                using errcode = 'restrict_violation';
        end
        $$
        """
    )
    for table in ("journal", "looks"):
        op.execute(
            f"""
            create trigger {table}_keeps_rows before update or delete on {table}
                for each row execute function journal_is_append_only()
            """
        )
        op.execute(
            f"""
            create trigger {table}_keeps_all before truncate on {table}
                for each statement execute function journal_is_append_only()
            """
        )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
