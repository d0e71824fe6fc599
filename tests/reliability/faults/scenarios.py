"""What breaks in a trial."""

import signal
import threading
import time
from random import Random

from tests.reliability.faults.trial import Trial

KILLED = ("worker", "relay", "dispatcher")
_PACE_SECONDS = 14.0  # in which the events of one kill come in
_PAUSED_SECONDS = 25.0  # longer than a session of ten seconds, and than a transaction may stand still
_CHURN_SECONDS = 4.0  # between joining and leaving


def nothing(trial: Trial) -> None:
    """The quiet run, on the cluster."""


def kills(trial: Trial, times: int, seconds: float = _PACE_SECONDS, seed: int = 7) -> None:
    """SIGKILL to one after the other, each role at least every third time; each is replaced at once."""
    rng = Random(seed)
    for n in range(times):
        trial.feeding.last(seconds * (times - n))
        role = KILLED[n % 3] if n < 3 else rng.choice(KILLED)
        victim = rng.choice(trial.of(role))
        while trial.feeding.left and not trial.watch.next_look(seconds).lag:  # in the middle of something
            pass
        moment = time.monotonic()
        victim.end(signal.SIGKILL)
        successor = trial.replace(victim)
        trial.time_progress(f"{role} killed", role, moment)
        assert successor.port


def kill_one_of_each(trial: Trial) -> None:
    """SIGKILL to a worker, a relay and a dispatcher at once."""
    trial.feeding.last(_PACE_SECONDS)
    _warm(trial)
    moment = time.monotonic()
    for victim in [trial.of(role)[0] for role in KILLED]:
        victim.end(signal.SIGKILL)
        trial.replace(victim)
    for role in KILLED:
        trial.time_progress(f"{role} killed", role, moment)


def broker_away(trial: Trial, seconds: float) -> None:
    """The broker is stopped, and comes back."""
    node = trial.ground.node
    assert node is not None
    trial.feeding.last(seconds + 20)
    _warm(trial)
    node.stop()
    _pass(seconds)
    node.start()
    moment = time.monotonic()
    trial.time_progress("relay, broker back", "relay", moment)
    trial.time_progress("first effect, broker back", "anybody", moment)


def database_crash(trial: Trial, times: int = 3) -> None:
    """PostgreSQL is restarted at once, as `pg_ctl restart -m immediate`."""
    assert trial.ground.server.crash is not None
    trial.feeding.last(20.0 * times)
    for _ in range(times):
        _warm(trial)
        trial.ground.server.crash()
        moment = time.monotonic()
        trial.time_progress("first effect, database back", "anybody", moment)
        trial.time_progress("relay, database back", "relay", moment)


def paused_worker(trial: Trial, seconds: float = _PAUSED_SECONDS) -> None:
    """A worker stands still past its session, and goes on."""
    trial.feeding.last(seconds + 30)
    _warm(trial)
    victim = trial.of("worker")[0]
    moment = time.monotonic()
    victim.signal(signal.SIGSTOP)
    trial.time_progress("worker paused", "worker", moment)
    _pass(moment + seconds - time.monotonic())
    moment = time.monotonic()
    victim.signal(signal.SIGCONT)
    trial.time_progress("worker resumed", "worker", moment)


def churn(trial: Trial, seconds: float) -> None:
    """Two more workers join and leave, again and again."""
    trial.feeding.last(seconds + 10)
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        more = trial.cluster.start("worker", "worker")
        _pass(_CHURN_SECONDS)
        for process in more:
            code = process.end(signal.SIGTERM)
            if code != 0:
                trial.result.wrong.append(f"a worker that was told to end ended with {code}")
    trial.time_progress("longest standstill while workers come and go", "everybody", begun)


def _warm(trial: Trial) -> None:
    """Go on until something has been processed since."""
    first = trial.watch.next_look(30.0)
    while sum(trial.watch.next_look(30.0).committed.values()) <= sum(first.committed.values()):
        pass


def _pass(seconds: float) -> None:
    """Let time pass: what is waited for is that nothing changes."""
    threading.Event().wait(max(0.0, seconds))
