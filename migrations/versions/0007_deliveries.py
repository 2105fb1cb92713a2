"""Who was sent what: when a notice is looked at next, each address it goes to, digests, and who is away."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Let what waits in the outbox be found by when it is due, and keep a ledger of addresses and absences."""
    op.add_column("outbox", sa.Column("next_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outbox", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outbox", sa.Column("digest_id", sa.BigInteger(), nullable=True))
    op.drop_index("outbox_waiting", "outbox")
    op.create_index("outbox_due", "outbox", ["next_at", "id"], postgresql_where=sa.text("state = 'queued'"))
    op.create_index("outbox_told", "outbox", ["recipient", "settled_at"])
    # what was written while nothing was sent is no news any more
    op.execute(
        "update outbox set state = 'withdrawn', reason = '升级之前写的通知，不再发送'"
        " where state = 'queued' and created_at < now() - interval '1 day'"
    )
    op.create_index("outbox_digested", "outbox", ["digest_id"], postgresql_where=sa.text("digest_id is not null"))
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("outbox_id", sa.BigInteger(), sa.ForeignKey("outbox.id"), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("told", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_doubtful", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("outbox_id", "address"),
    )
    op.create_index("deliveries_lately", "deliveries", ["address", "begun_at"])
    op.create_table(
        "absences",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("stand_in", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index(op.f("ix_absences_staff_id"), "absences", ["staff_id"])


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
