"""When the customer is reminded of a promise: of goods to be sent when it falls due, of a question before that."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Put an instant in the place of a mark; those that were to be reminded of when they fell due still are."""
    op.add_column("promises", sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("update promises set remind_at = due_at where reminds")
    op.drop_index("promises_reminding", table_name="promises")
    op.drop_column("promises", "reminds")
    op.create_index(
        "promises_reminding",
        "promises",
        ["remind_at"],
        unique=False,
        postgresql_where=sa.text("ended_at is null and remind_at is not null"),
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
