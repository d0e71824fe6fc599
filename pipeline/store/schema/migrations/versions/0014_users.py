"""Users with sessions, tokens and single-use links, acts, corrections, and which scopes contain an order."""

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa
from alembic import op

from pipeline.domain.orders.facts import Facts
from pipeline.store.orders.memberships import membership_text

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_BATCH = 1_000


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("folded", sa.String(length=300), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("totp", sa.LargeBinary(), nullable=True),
        sa.Column("totp_step", sa.BigInteger(), nullable=True),
        sa.Column("issuer", sa.String(length=500), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sa.UniqueConstraint("folded"),
        sa.UniqueConstraint("issuer", "subject"),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("sessions_by_user", "sessions", ["user_name"], unique=False)
    op.create_table(
        "user_tokens",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("user_name", "label"),
    )
    op.create_table(
        "single_use",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    _create_acts()
    _create_corrections()
    op.add_column("orders", sa.Column("memberships", sa.Text(), nullable=False, server_default=""))
    _fill_memberships()


def _create_acts() -> None:
    op.create_table(
        "acts",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("what", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=1_000), nullable=False),
        sa.Column("origin", sa.String(length=100), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("acts_by_who", "acts", ["who", "seq"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for when in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER acts_refuses_{when.lower()} BEFORE {when} ON acts "
                "BEGIN SELECT RAISE(ABORT, 'acts is append-only'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER acts_refuses_change BEFORE UPDATE OR DELETE ON acts "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER acts_refuses_truncate BEFORE TRUNCATE ON acts "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _create_corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("answer_id", sa.String(length=500), nullable=False),
        sa.Column("reading", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.String(length=100), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("correction_id"),
    )
    op.create_index("corrections_by_order", "corrections", ["order_id"], unique=False)
    op.create_index("corrections_by_state", "corrections", ["counted_at", "proposed_at"], unique=False)


def _fill_memberships() -> None:
    """Orders that exist already: scopes contain them from the first start of this version on."""
    connection, decode = op.get_bind(), msgspec.json.Decoder(Facts).decode
    update = sa.text("UPDATE orders SET memberships = :memberships WHERE order_id = :order_id")
    for rows in _batches(connection):
        changed = [{"order_id": order_id, "memberships": membership_text(decode(facts))} for order_id, facts in rows]
        connection.execute(update, changed)


def _batches(connection: sa.Connection) -> Iterator[list[tuple[str, str]]]:
    query = sa.text("SELECT order_id, facts FROM orders WHERE order_id > :after ORDER BY order_id LIMIT :most")
    after = ""
    while rows := connection.execute(query, {"after": after, "most": _BATCH}).all():
        yield [(row.order_id, row.facts) for row in rows]
        after = rows[-1].order_id


def downgrade() -> None:
    raise NotImplementedError("acts are never deleted")
