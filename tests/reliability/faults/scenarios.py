"""The faults that are injected in trials."""

import signal
import threading
import time
from random import Random

from tests.reliability.faults.trial import Trial

KILLED = ("worker", "relay", "dispatcher")
_PACE_SECONDS = 14.0  # over which the events for one kill are spread
_PAUSED_SECONDS = 25.0  # longer than the consumer session of ten seconds, and than an idle transaction may last
_CHURN_SECONDS = 4.0  # between joining and leaving


def no_fault(trial: Trial) -> None:
    """No fault."""


def kills(trial: Trial, times: int, seconds: float = _PACE_SECONDS, seed: int = 7) -> None:
    """Kill (SIGKILL) one process after the other, each role at least once; each is replaced immediately."""
    rng = Random(seed)
    for n in range(times):
        trial.load.spread_over(seconds * (times - n))
        role = KILLED[n % 3] if n < 3 else rng.choice(KILLED)
        victim = rng.choice(trial.of(role))
        while trial.load.left and not trial.monitor.next_sample(seconds).lag:  # while it is working
            pass
        moment = time.monotonic()
        victim.end(signal.SIGKILL)
        successor = trial.replace(victim)
        trial.measure_recovery(f"{role} killed", role, moment)
        assert successor.port


def kill_one_of_each(trial: Trial) -> None:
    """Kill (SIGKILL) a worker, a relay and a dispatcher at the same time."""
    trial.load.spread_over(_PACE_SECONDS)
    _warm(trial)
    moment = time.monotonic()
    for victim in [trial.of(role)[0] for role in KILLED]:
        victim.end(signal.SIGKILL)
        trial.replace(victim)
    for role in KILLED:
        trial.measure_recovery(f"{role} killed", role, moment)


def broker_away(trial: Trial, seconds: float) -> None:
    """Stop the broker, and start it again."""
    node = trial.servers.node
    assert node is not None
    trial.load.spread_over(seconds + 20)
    _warm(trial)
    node.stop()
    _pass(seconds)
    node.start()
    moment = time.monotonic()
    trial.measure_recovery("relay, broker back", "relay", moment)
    trial.measure_recovery("first effect, broker back", "any worker", moment)


def database_crash(trial: Trial, times: int = 3) -> None:
    """Crash and restart PostgreSQL, as `pg_ctl restart -m immediate` does."""
    assert trial.servers.server.crash is not None
    trial.load.spread_over(20.0 * times)
    for _ in range(times):
        _warm(trial)
        trial.servers.server.crash()
        moment = time.monotonic()
        trial.measure_recovery("first effect, database back", "any worker", moment)
        trial.measure_recovery("relay, database back", "relay", moment)


def paused_worker(trial: Trial, seconds: float = _PAUSED_SECONDS) -> None:
    """Suspend a worker for longer than its consumer session, and resume it."""
    trial.load.spread_over(seconds + 30)
    _warm(trial)
    victim = trial.of("worker")[0]
    moment = time.monotonic()
    victim.signal(signal.SIGSTOP)
    trial.measure_recovery("worker paused", "worker", moment)
    _pass(moment + seconds - time.monotonic())
    moment = time.monotonic()
    victim.signal(signal.SIGCONT)
    trial.measure_recovery("worker resumed", "worker", moment)


def churn(trial: Trial, seconds: float) -> None:
    """Start and stop two more workers repeatedly."""
    trial.load.spread_over(seconds + 10)
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        more = trial.cluster.start("worker", "worker")
        _pass(_CHURN_SECONDS)
        for process in more:
            code = process.end(signal.SIGTERM)
            if code != 0:
                trial.result.wrong.append(f"a worker exited with {code} after SIGTERM")
    trial.measure_recovery("longest stall while workers come and go", "all workers", begun)


def _warm(trial: Trial) -> None:
    """Wait until records are being processed."""
    first = trial.monitor.next_sample(30.0)
    while sum(trial.monitor.next_sample(30.0).committed.values()) <= sum(first.committed.values()):
        pass


def _pass(seconds: float) -> None:
    """Wait for that many seconds: the duration of the fault itself."""
    threading.Event().wait(max(0.0, seconds))
