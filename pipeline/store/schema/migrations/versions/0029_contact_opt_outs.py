"""Opt-outs of contacts, which hold for the addresses that they get later; and the role in which somebody was asked.

Those who have opted out so far have, too. Questions of before count for no role.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# Who has an address that opted out, and who was asked there. The id keeps two addresses of a contact apart.
_HAVE_OPTED_OUT = """
INSERT INTO contact_opt_changes (account_id, contact_id, source, id, stops, at)
SELECT people.account_id, people.contact_id, opt_outs.source, 'address:' || opt_outs.digest, true, opt_outs.at
FROM opt_outs JOIN people ON people.phone_digest = opt_outs.digest WHERE people.account_id <> ''
UNION
SELECT people.account_id, people.contact_id, opt_outs.source, 'address:' || opt_outs.digest, true, opt_outs.at
FROM opt_outs JOIN people ON people.email_digest = opt_outs.digest WHERE people.account_id <> ''
UNION
SELECT asks.account_id, asks.contact_id, opt_outs.source, 'address:' || opt_outs.digest, true, opt_outs.at
FROM opt_outs JOIN asks ON asks.recipient = opt_outs.digest WHERE asks.account_id <> ''
"""


def upgrade() -> None:
    op.create_table(
        "contact_opt_changes",
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=600), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "contact_id", "source", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("contact_opt_changes_by_id", "contact_opt_changes", ["source", "id"], unique=False)
    op.execute(_HAVE_OPTED_OUT)
    op.add_column("asks", sa.Column("role", sa.String(length=20), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("who wants no messages is not forgotten")
