"""Guests: those who want to be asked no more, and their orders by telephone."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the table with the guests who have said so already; find a guest's orders by the telephone."""
    op.create_table(
        "guests",
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("opted_out", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index("orders_of_guests", "orders", ["contact_phone"], postgresql_where=sa.text("customer_id is null"))
    op.execute(
        "insert into guests (person, opted_out)"
        " select distinct case when o.contact_phone <> '' then 'p' || o.contact_phone else 'o' || o.order_no end, true"
        " from visits v join orders o on o.order_no = v.order_no"
        " where v.outcome = 'opted_out' and v.customer_id is null and v.rehearsal is null"
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
