"""One key for life per person, and keys of orders and addresses; the search of words; erasures.

What the database holds readable is sealed after this, step by step, by `unvarnished migrate` (store.people.upgrade).
Until that has ended, no process starts on this database.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PENDING = "sealing"  # the fact in `state` that words are still to be sealed
_ROWS = 5_000


def upgrade() -> None:
    op.create_table(
        "sealing_keys",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=401), nullable=False),
        sa.Column("key_id", sa.String(length=24), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "owner"),
        sa.UniqueConstraint("key_id"),
    )
    op.create_table(
        "person_orders",
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("order_id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "contact_id", "order_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answer_words",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_index("answer_words_by_answer", "answer_words", ["seq"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=200), nullable=False),
        sa.Column("contact_id", sa.String(length=200), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=200), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("orders", sa.Integer(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erasures_by_person", "erasures", ["account_id", "contact_id"], unique=False)
    _protect("erasures", "id, account_id, contact_id, requested_at, requested_by")
    _move_keys()
    _change_phone_messages()
    tables = ("journal", "dead_letters", "inbound_messages", "phone_messages")
    if any(op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first() for table in tables):
        op.execute(sa.text("INSERT INTO state (name, value) VALUES (:name, '')").bindparams(name=PENDING))


def _move_keys() -> None:
    """Each person's key so far becomes the one for life: what it sealed stays readable."""
    bind = op.get_bind()
    op.add_column("people", sa.Column("key_id", sa.String(length=24), nullable=True))
    keys = sa.table("sealing_keys", *map(sa.column, ("kind", "owner", "key_id", "wrapped_key")))
    people = sa.table("people", *map(sa.column, ("account_id", "contact_id", "key_id", "wrapped_key")))
    unmoved = sa.select(people.c.account_id, people.c.contact_id, people.c.wrapped_key)
    unmoved = unmoved.where(people.c.key_id.is_(None)).limit(_ROWS)
    name_key = (
        people.update()
        .where(people.c.account_id == sa.bindparam("a"), people.c.contact_id == sa.bindparam("c"))
        .values(key_id=sa.bindparam("k"))
    )
    while rows := bind.execute(unmoved).all():
        moved = [(*row, secrets.token_hex(12)) for row in rows]
        bind.execute(name_key, [{"a": account, "c": contact, "k": key_id} for account, contact, _, key_id in moved])
        bind.execute(
            keys.insert(),
            [
                {"kind": "person", "owner": f"{account}\n{contact}", "key_id": key_id, "wrapped_key": wrapped}
                for account, contact, wrapped, key_id in moved
            ],
        )
    op.drop_column("people", "wrapped_key")


def _change_phone_messages() -> None:
    op.drop_index("phone_messages_by_number", table_name="phone_messages")
    op.add_column("phone_messages", sa.Column("digest", sa.String(length=64), nullable=True))
    op.create_index("phone_messages_by_digest", "phone_messages", ["digest", "at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":  # SQLite does not limit texts
        op.alter_column("phone_messages", "number", type_=sa.Text())


def _protect(table: str, columns: str) -> None:
    """Refuse to delete rows, and to change these columns. `refuse_change` is from 0001."""
    if op.get_bind().dialect.name == "sqlite":
        for what, when in (("update", f"UPDATE OF {columns}"), ("delete", "DELETE")):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{what} BEFORE {when} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    for name, when, each in (
        ("change", f"UPDATE OF {columns} OR DELETE", "ROW"),
        ("truncate", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{name} BEFORE {when} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("sealed words are not opened again")
