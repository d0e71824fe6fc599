"""Internal pages that a channel brings along, by the name that its adapter gives."""

from collections.abc import Callable, Mapping, Sequence

from litestar.handlers import HTTPRouteHandler

from pipeline.notifiers.channels.demo_phone.notifier import PAGE as DEMO_PHONE
from pipeline.web.http.services import Services
from pipeline.web.internal.demo_phone import phone

Routes = Callable[[Services], Sequence[HTTPRouteHandler]]

PAGES: Mapping[str, Routes] = {DEMO_PHONE: phone.routes}
