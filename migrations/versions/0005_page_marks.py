"""Beside the id of a run's page, a mark of what it says: what has not changed is not written again."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Write each id as a page without a mark."""
    op.execute(
        "update runs set artifacts = (select coalesce(jsonb_object_agg(key, jsonb_build_object('id', value)), '{}')"
        " from jsonb_each(artifacts))"
    )


def downgrade() -> None:
    """Refuse: rows of a newer version would be lost; restore a backup instead."""
    raise NotImplementedError("There is no way back; restore a backup.")
