"""Users, sessions, tokens, single-use links and acts on both databases."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from pipeline.domain.access.acts import Act, ActKind
from pipeline.domain.access.permissions import Role
from pipeline.domain.access.principal import LOCAL, user_principal
from pipeline.domain.access.scopes import EVERYTHING, parse_scope
from pipeline.store.acts import acts
from pipeline.store.db.engine import connect
from pipeline.store.users import sessions, single_use, tokens, users
from pipeline.store.users.sessions import Limits
from pipeline.store.users.single_use import SingleUseKind
from pipeline.store.users.tokens import NewToken
from pipeline.store.users.users import Identity, UserProblem
from tests.support.builders import at

LIMITS = Limits(idle=timedelta(hours=1), absolute=timedelta(hours=8))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = connect(database_url)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as made:
        yield made


def test_a_name_is_one_user_in_any_case(connection: Connection) -> None:
    added = users.add(connection, " Zoë ", Role.OPERATIONS, parse_scope(Role.OPERATIONS, ["region=ARA"]), at())
    assert (added.name, added.state, added.scope.texts()) == ("Zoë", "invited", ["region=ARA"])
    assert users.find(connection, "ZOË") == added
    for wrong in ("zoë", "local", "System", "", "x\ny", "x" * 101):
        with pytest.raises(UserProblem, match=r"^name: "):
            users.add(connection, wrong, Role.ADMIN, EVERYTHING, at())
    assert [user.name for user in users.all_users(connection)] == ["Zoë"]


def test_an_admin_exists_from_the_first_sign_in_on_even_disabled(connection: Connection) -> None:
    users.add(connection, "ada", Role.ADMIN, EVERYTHING, at())
    assert not users.admin_exists(connection), "an invitation can still be lost"
    users.set_password(connection, "ada", "hash", at())
    assert users.admin_exists(connection)
    users.disable(connection, "ada", at(hours=1))
    users.reset(connection, "ada")
    assert users.admin_exists(connection)


def test_an_identity_is_one_user_whatever_they_are_called(connection: Connection) -> None:
    identity = Identity("https://id.example.com", "42")
    users.add(connection, "ada", Role.AUDITOR, EVERYTHING, at(), identity)
    found = users.find_identity(connection, identity)
    assert found is not None
    assert (found.name, found.state) == ("ada", "active")
    assert users.find_identity(connection, Identity("https://other.example.com", "42")) is None


def test_a_session_ends_by_either_limit_and_with_its_user(connection: Connection) -> None:
    users.add(connection, "ada", Role.ADMIN, EVERYTHING, at())
    session_id = sessions.create(connection, "ada", LIMITS, at())
    assert session_id not in str(connection.execute(text("SELECT * FROM sessions")).all())
    for hours in range(1, 8):
        found = sessions.find(connection, session_id, LIMITS, at(hours=hours))
        assert found is not None
        assert found.stale
        sessions.touch(connection, found, at(hours=hours))
    assert sessions.find(connection, session_id, LIMITS, at(hours=8.1)) is None, "absolute"
    idle = sessions.create(connection, "ada", LIMITS, at())
    assert sessions.find(connection, idle, LIMITS, at(hours=0.9)) is not None
    assert sessions.find(connection, idle, LIMITS, at(hours=1.1)) is None
    users.disable(connection, "ada", at())
    assert sessions.find(connection, idle, LIMITS, at(hours=0.1)) is None
    sessions.create(connection, None, LIMITS, at(days=2))
    assert connection.execute(text("SELECT count(*) FROM sessions")).scalar_one() == 1, "those that ended are removed"


def test_a_link_works_once_and_ends(connection: Connection) -> None:
    invite = SingleUseKind.INVITATION
    first = single_use.create(connection, invite, at(hours=1), "ada")
    second = single_use.create(connection, invite, at(hours=1), "ada")
    assert single_use.use(connection, invite, first, at()) is None, "a newer one replaces it"
    assert single_use.use(connection, SingleUseKind.OIDC, second, at()) is None, "for nothing else"
    used = single_use.use(connection, invite, second, at())
    assert used is not None
    assert used.user_name == "ada"
    assert single_use.use(connection, invite, second, at()) is None
    late = single_use.create(connection, invite, at(hours=1), "ada")
    assert single_use.use(connection, invite, late, at(hours=2)) is None


def test_a_token_ends_and_never_opens_more_than_its_user_may_now(connection: Connection) -> None:
    scope = parse_scope(Role.OPERATIONS, ["region=ARA", "region=HDF"])
    users.add(connection, "rolf", Role.OPERATIONS, scope, at())
    users.set_password(connection, "rolf", "hash", at())
    rolf = users.get(connection, "rolf")
    ara = parse_scope(Role.OPERATIONS, ["region=ARA"])
    for wrong in (
        NewToken("bi", Role.ADMIN, EVERYTHING, at(days=1)),
        NewToken("bi", Role.OPERATIONS, EVERYTHING, at(days=1)),
        NewToken("bi", Role.OPERATIONS, ara, at()),
        NewToken("", Role.OPERATIONS, ara, at(days=1)),
    ):
        with pytest.raises(UserProblem):
            tokens.create(connection, rolf, wrong, at())
    token = tokens.create(connection, rolf, NewToken("bi", Role.OPERATIONS, ara, at(days=1)), at())
    with pytest.raises(UserProblem, match="bi"):
        tokens.create(connection, rolf, NewToken("bi", Role.OPERATIONS, ara, at(days=1)), at())
    found = tokens.principal_of(connection, token, at())
    assert found is not None
    assert (found.name, found.scope) == ("rolf", ara)
    assert tokens.principal_of(connection, token, at(days=1)) is None, "its end"
    assert tokens.principal_of(connection, token + "x", at()) is None
    users.change(connection, "rolf", Role.OPERATIONS, parse_scope(Role.OPERATIONS, ["region=HDF"]))
    narrowed = tokens.principal_of(connection, token, at())
    assert narrowed is not None
    assert narrowed.scope.entries == (), "nothing that both allow"
    users.disable(connection, "rolf", at())
    assert tokens.principal_of(connection, token, at()) is None
    users.enable(connection, "rolf")
    tokens.revoke(connection, "rolf", "bi", at())
    assert tokens.principal_of(connection, token, at()) is None
    with pytest.raises(UserProblem):
        tokens.revoke(connection, "rolf", "bi", at())


def test_a_code_of_the_second_factor_works_once(connection: Connection) -> None:
    users.add(connection, "ada", Role.ADMIN, EVERYTHING, at())
    users.set_totp(connection, "ada", b"sealed", 7)
    assert not users.use_totp_step(connection, "ada", 7)
    assert users.use_totp_step(connection, "ada", 8)
    assert not users.use_totp_step(connection, "ada", 8)


def test_acts_are_read_by_those_who_may_and_never_changed(engine: Engine) -> None:
    wanted = [Act(at(hours=n), "ada", ActKind.SIGNED_IN, "", "127.0.0.1", {"n": str(n)}) for n in range(5)]
    with engine.begin() as connection:
        for act in wanted:
            acts.append(connection, act)
        acts.append(connection, Act(at(hours=9), "rolf", ActKind.SIGNED_OUT))
    with engine.begin() as connection:
        assert [found.act for found in acts.newest(connection, LOCAL, 10, who="ada")] == wanted[::-1]
        newest = acts.newest(connection, LOCAL, 2)
        assert [found.act.who for found in newest] == ["rolf", "ada"]
        earlier = acts.newest(connection, LOCAL, 9, before=newest[-1].seq)
        assert [found.act for found in earlier] == wanted[3::-1]
        management = user_principal("mia", Role.MANAGEMENT, EVERYTHING)
        assert acts.newest(connection, management, 10) == []
    statements = ["UPDATE acts SET who = 'x'", "DELETE FROM acts"]
    if engine.dialect.name == "postgresql":
        statements.append("TRUNCATE acts")
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
