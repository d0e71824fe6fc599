"""The rules of explaining away as they are written down, without any shortcut: what `explain` has to agree with."""

from collections.abc import Collection, Mapping, Sequence

from pipeline.domain.detection.alerting import Pair, largest_evidence, stands
from pipeline.domain.detection.explanation import OpenRun, OrderPlace, disputed_accounts


def causes_of(alerts: Collection[OpenRun], orders: Mapping[str, OrderPlace]) -> list[str]:
    """The keys of the causes among the open alerts of one signal, those with most evidence first."""
    alerts = sorted(alerts, key=lambda alert: alert.key)
    disputed = disputed_accounts(alerts, orders)
    rest = {
        alert.key: [pair for pair in alert.pairs if orders[pair.order].account not in disputed]
        for alert in alerts
        if alert.kind == "divergence"
    }
    candidates = [alert for alert in alerts if alert.key in rest]

    def without(one: OpenRun, other: OpenRun) -> Sequence[Pair]:
        return [pair for pair in rest[one.key] if other.segment not in orders[pair.order].segments]

    def explains(other: OpenRun, one: OpenRun) -> bool:
        return other is not one and not stands(without(one, other), one.delta, one.threshold)

    def belongs(one: OpenRun, other: OpenRun) -> bool:
        if not explains(other, one):
            return False
        return not explains(one, other) or (other.counted, other.key) < (one.counted, one.key)

    causes: list[str] = []
    while standing := [
        one for one in candidates if one.key not in causes and stands(rest[one.key], one.delta, one.threshold)
    ]:
        ranked = sorted(standing, key=lambda one: (-largest_evidence(rest[one.key]), one.key))
        cause = next((one for one in ranked if not any(belongs(one, other) for other in standing)), ranked[0])
        causes.append(cause.key)
        rest |= {one.key: list(without(one, cause)) for one in candidates if one is not cause}
    return causes
