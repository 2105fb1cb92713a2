"""Visits of every kind: after a purchase, in use, after a case; and what the nightly round finds them by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Widen visits; those that returns have planned keep their due day, and get their order's customer."""
    op.add_column("customers", sa.Column("visits_until", sa.Date(), nullable=True))
    op.create_index("orders_ordered", "orders", ["ordered_at"])
    op.create_index(
        "order_lines_delivered",
        "order_lines",
        ["delivered_at"],
        postgresql_where=sa.text("delivered_at is not null"),
    )
    op.create_index(
        "cases_closed", "cases", ["closed_at"], unique=False, postgresql_where=sa.text("closed_at is not null")
    )

    op.add_column("visits", sa.Column("key", sa.Text(), nullable=True))
    op.add_column("visits", sa.Column("customer_id", sa.BigInteger(), nullable=True))
    op.add_column("visits", sa.Column("order_no", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("visits", sa.Column("rehearsal", sa.String(), nullable=True))
    op.add_column("visits", sa.Column("agent", sa.Text(), nullable=True))
    op.add_column("visits", sa.Column("state", sa.Text(), server_default=sa.text("'planned'"), nullable=False))
    op.add_column("visits", sa.Column("outcome", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("visits", sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("visits", sa.Column("list_no", sa.Text(), nullable=True))
    op.add_column("visits", sa.Column("done_at", sa.DateTime(timezone=True), nullable=True))
    for name, empty in (("also", "[]"), ("data", "{}")):
        kind = postgresql.JSONB(astext_type=sa.Text())
        op.add_column("visits", sa.Column(name, kind, server_default=sa.text(f"'{empty}'::jsonb"), nullable=False))
    op.execute(
        "update visits v set key = v.kind || ':' || v.case_no, order_no = c.order_no, rehearsal = c.rehearsal,"
        " customer_id = o.customer_id"
        " from cases c left join orders o on o.order_no = c.order_no where c.case_no = v.case_no"
    )
    # one whose case is gone: what reads the journal tells of it
    op.execute("update visits set key = kind || ':' || case_no where key is null")
    op.alter_column("visits", "key", nullable=False)
    op.alter_column("visits", "case_no", nullable=True)
    op.drop_constraint("visits_case_no_kind_key", "visits", type_="unique")
    op.drop_index("ix_visits_due_on", table_name="visits")
    op.create_unique_constraint("visits_key_key", "visits", ["key"])
    op.create_foreign_key("visits_customer_id_fkey", "visits", "customers", ["customer_id"], ["id"])
    op.create_foreign_key("visits_rehearsal_fkey", "visits", "rehearsals", ["rehearsal"], ["id"])
    op.create_index("ix_visits_case_no", "visits", ["case_no"])
    op.create_index("ix_visits_order_no", "visits", ["order_no"])
    op.create_index("visits_of_customer", "visits", ["customer_id", "due_on"])
    op.create_index("visits_planned", "visits", ["due_on"], postgresql_where=sa.text("state = 'planned'"))
    op.create_index("visits_listed", "visits", ["agent", "due_on"], postgresql_where=sa.text("state = 'listed'"))
    op.create_index("visits_of_list", "visits", ["list_no"], postgresql_where=sa.text("list_no is not null"))


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
