"""Incidents as JSON: the list, one with its acts, and acts as POST."""

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from pipeline.consumers.incidents import number_of
from pipeline.domain.access.permissions import Permission
from pipeline.domain.reports.incidents import IncidentDetail, IncidentOut, incident_of
from pipeline.store.db.engine import reading
from pipeline.store.reads import incidents as read
from pipeline.web.auth.access import needs, principal_of
from pipeline.web.http.openapi import problems
from pipeline.web.http.services import Services
from pipeline.web.internal.filters import reject
from pipeline.web.internal.incidents import acts

_Request = Request[Any, Any, Any]
_READ = needs(Permission.FIGURES)
MOST = 500  # incidents of one answer
Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="most incidents to return")]
After = Annotated[str | None, QueryParameter(description="id of the last incident of the page before")]


class ActIn(Struct, frozen=True):
    """The fields of an act; which are needed depends on the act."""

    owner: str | None = None
    until: str | None = None
    reason: str | None = None
    cause: str | None = None
    words: str | None = None


def routes(services: Services) -> list[Router]:
    """`GET /v1/incidents`, `GET /v1/incidents/{id}` and `POST /v1/incidents/{id}/{act}`."""

    @get(
        "/incidents",
        opt=_READ,
        sync_to_thread=True,
        summary="Incidents that go on, those that affect most orders first",
    )
    def list_incidents(request: _Request, limit: Limit = MOST, after: After = None) -> list[IncidentOut]:
        number = None if after is None else number_of(after)
        if after is not None and number is None:
            reject("after", "is not the id of an incident")
        with reading(services.store.engine) as connection:
            return [incident_of(each) for each in read.going_on(connection, principal_of(request), limit, number)]

    @get(
        "/incidents/{incident_id:str}",
        opt=_READ,
        sync_to_thread=True,
        summary="One incident: acts, accounts and orders",
        responses=problems(404),
    )
    def get_incident(request: _Request, incident_id: FromPath[str]) -> IncidentDetail:
        number, viewer = number_of(incident_id), principal_of(request)
        with reading(services.store.engine) as connection:
            found = None if number is None else read.find(connection, viewer, number)
            if found is None:
                raise NotFoundException(f"no incident {incident_id[:40]!r}")
            affected = read.accounts_and_orders(connection, viewer, found)
            done = read.acts(connection, viewer, found.number, services.store.vault)
        return IncidentDetail(
            incident_of(found), done, list(affected.accounts), list(affected.orders), affected.addresses
        )

    @post(
        "/incidents/{incident_id:str}/{act:str}",
        opt=needs(Permission.INCIDENTS),
        status_code=200,
        sync_to_thread=True,
        summary="Acknowledge, assign (owner), snooze (until, reason), close (cause, words) or reopen an incident",
        responses=problems(404, 409, 422),
    )
    def act_on_incident(
        request: _Request, incident_id: FromPath[str], act: FromPath[str], data: JSONBody[ActIn]
    ) -> IncidentOut:
        fields = {name: value for name in ActIn.__struct_fields__ if (value := getattr(data, name)) is not None}
        return incident_of(acts.perform(services, principal_of(request), incident_id, act, fields))

    return [Router("/v1", route_handlers=[list_incidents, get_incident, act_on_incident], tags=["incidents"])]
