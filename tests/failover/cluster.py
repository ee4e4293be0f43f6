"""Three PostgreSQL servers under Patroni with etcd and HAProxy; what goes to a node and comes from it can be cut."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import httpx2
import psycopg
import yaml
from attrs import define, field

from adapters.embedded_postgres.account import choose_account
from adapters.embedded_postgres.programs import find_programs
from adapters.postgres.connections.timelines import READ_TIMELINE
from tests.failover.network import Network
from tests.faults.server import SERVICE_ROLE
from tests.programs.supervisor.conftest import processes
from tests.support.folders import shared_folder
from tests.support.ports import free_port
from tests.support.waiting import until

NEEDED = ("patroni", "etcd", "haproxy")
STARTED_S = 60.0
WHOLE_S = 60.0
TTL_S = 20
"""The least that Patroni takes."""
LOOP_WAIT_S = 2
WAL_SENDER_TIMEOUT_S = 5

DYNAMIC = {
    "ttl": TTL_S,
    "loop_wait": LOOP_WAIT_S,
    "retry_timeout": 3,
    "primary_start_timeout": 0,  # the first choice is another server, and not the one that failed
    "maximum_lag_on_failover": 1024 * 1024,
    "synchronous_mode": True,
    "synchronous_node_count": 1,
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "max_connections": 100,
            "shared_buffers": "64MB",
            "wal_log_hints": "on",
            "wal_keep_size": "128MB",
            "max_wal_senders": 10,
            "wal_sender_timeout": f"{WAL_SENDER_TIMEOUT_S}s",
            "hot_standby": "on",
            "timezone": "UTC",
            "fsync": "off",  # no test ends the machine
        },
    },
}
HAPROXY = Path(__file__).parents[2] / "deploy" / "haproxy" / "primary.cfg"
_POLL_S = 0.02
_LOOK_S = 1.0
_LOG_SHOWN = 1000
_USABLE = {"running", "streaming"}


def find_program(name):
    """Return the path of a program, or None where it is not installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def find_faketime():
    """Return the library that shifts the wall clock of a program, or None."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def missing_programs():
    return [name for name in NEEDED if find_program(name) is None]


@define(eq=False)
class Launcher:
    """Starts programs as an unprivileged user, each with a log of its own in the folder."""

    folder: Path
    account: object

    def start(self, name, *argv, clock_off_s=0):
        root = os.geteuid() == 0
        user = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []} if root else {}
        environment = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        if clock_off_s:
            environment |= {"LD_PRELOAD": str(find_faketime()), "FAKETIME": f"{clock_off_s:+}s"}
            environment |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                argv, stdout=log, stderr=log, cwd="/", env=environment, start_new_session=True, **user
            )


@define(eq=False)
class Node:
    """One server and its Patroni; clients, standbys and other nodes reach it, and it reaches etcd, through proxies.

    `proxies` are the ports of those to the server, to Patroni, and to etcd.
    """

    name: str
    network: Network
    launcher: Launcher
    programs: object
    etcd_port: int
    port: int = field(factory=free_port)
    rest_port: int = field(factory=free_port)
    proxies: list = field(factory=list)
    clock_off_s: int = 0
    _patroni: subprocess.Popen = None

    async def open(self):
        """Open the proxies."""
        self.proxies = await self.network.open(self.port, self.rest_port, self.etcd_port)

    @property
    def folder(self):
        return self.launcher.folder / self.name

    @property
    def is_managed(self):
        return self._patroni is not None and self._patroni.poll() is None

    def start(self):
        """Start Patroni, which starts the server."""
        path = self.launcher.folder / f"{self.name}.yml"
        path.write_text(yaml.safe_dump(self._settings()))
        self._patroni = self.launcher.start(self.name, find_program("patroni"), str(path), clock_off_s=self.clock_off_s)

    def promoted_s(self):
        """Return when the server began its newest timeline, as its file system noted it: no busy test delays that."""
        histories = (self.folder / "pg_wal").glob("*.history")
        return time.monotonic() - (time.time() - max(histories).stat().st_mtime)

    def log_end(self):
        """Return the last lines of Patroni and the server."""
        log = (self.launcher.folder / f"{self.name}.log").read_text()
        return f"{self.name}: {log[-_LOG_SHOWN:]}"

    def kill_server(self):
        """Kill the postmaster, as the kernel does when memory is short; Patroni lives on."""
        os.kill(self._postmaster(), signal.SIGKILL)

    def kill(self):
        """Kill the server and Patroni, as if the machine were gone."""
        self._signal(signal.SIGKILL)
        self._patroni.wait(10)

    def freeze(self):
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def cut_off(self):
        """Lose every packet from and to the node."""
        self.network.cut(*self.proxies)

    def connect(self):
        """Undo `cut_off`."""
        self.network.connect(*self.proxies)

    def stop(self):
        if self.is_managed:
            self.thaw()
            self.kill()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            self.kill_server()

    def _postmaster(self):
        return int((self.folder / "postmaster.pid").read_text().partition("\n")[0])

    def _signal(self, number):
        """Signal Patroni first, so that it notices nothing, and then the server with all of its processes."""
        roots = {self._patroni.pid}
        with contextlib.suppress(FileNotFoundError, ValueError):
            roots.add(self._postmaster())
        family = [pid for pid, (parent, _) in processes().items() if pid in roots or parent in roots]
        for pid in sorted(family, key=lambda pid: pid not in roots):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _settings(self):
        server, rest, etcd = (f"127.0.0.1:{port}" for port in self.proxies)
        return {
            "scope": "failover",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}", "connect_address": rest},
            "etcd3": {"hosts": [etcd], "use_proxies": True},  # else it connects to the addresses that etcd names
            "bootstrap": {"dcs": DYNAMIC, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"]},
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": server,
                "data_dir": str(self.folder),
                "bin_dir": str(Path(self.programs.path("postgres")).parent),
                "pgpass": str(self.launcher.folder / f"{self.name}.pgpass"),
                "parameters": {"unix_socket_directories": str(self.launcher.folder)},
                "authentication": {who: {"username": "postgres"} for who in ("superuser", "replication", "rewind")},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
            },
        }


@define(eq=False)
class Cluster:
    """The nodes, and the port of HAProxy, which leads to the primary."""

    nodes: list
    port: int
    etcd: subprocess.Popen
    _http: httpx2.AsyncClient

    def hosts_dsn(self, database, role=SERVICE_ROLE):
        """Return a URL with the addresses of all nodes."""
        hosts = ",".join(f"127.0.0.1:{node.proxies[0]}" for node in self.nodes)
        return f"postgresql://{role}@{hosts}/{database}?sslmode=disable&gssencmode=disable"

    def dsn(self, database="postgres", role="postgres", port=None):
        """Return the URL of the primary through HAProxy, or through another port."""
        return f"postgresql://{role}@127.0.0.1:{port or self.port}/{database}?sslmode=disable&gssencmode=disable"

    async def admin(self, database="postgres"):
        """Return a connection to the primary, past all proxies."""
        primary = await self.leader()
        return await psycopg.AsyncConnection.connect(
            self.dsn(database, port=primary.port), autocommit=True, connect_timeout=5
        )

    async def execute(self, *statements):
        async with await self.admin() as admin:
            for statement in statements:
                await admin.execute(statement)

    async def primary(self, beyond=0):
        """Return the node that holds the lock of the primary, on a timeline beyond this one, or None."""
        looks = await asyncio.gather(*(self._look(node, "/primary") for node in self.nodes))
        for node, look in zip(self.nodes, looks, strict=True):
            if look is not None and look.status_code == 200 and look.json().get("timeline", 0) > beyond:
                return node
        return None

    async def leader(self, beyond=0, timeout_s=STARTED_S):
        """Wait for a primary on a timeline beyond this one, and return its node."""
        ends_at_s = time.monotonic() + timeout_s
        while (node := await self.primary(beyond)) is None:
            assert time.monotonic() < ends_at_s, f"no server became the primary within {timeout_s} s"
            await asyncio.sleep(_POLL_S)
        return node

    async def timeline(self):
        """Return the timeline of the primary; each promotion begins another one."""
        async with await self.admin() as admin:
            found = await admin.execute(READ_TIMELINE.sql)
            return (await found.fetchone())[0]

    async def await_whole(self):
        """Wait until one server is the primary, one follows synchronously, and one follows."""
        try:
            await until(self._is_whole, WHOLE_S)
        except AssertionError as late:
            late.add_note("\n".join(node.log_end() for node in self.nodes))
            raise

    async def synchronous_standby(self):
        """Return the node of the standby for which writes wait, in a cluster that is whole."""
        members = await self._members(await self.leader())
        (name,) = [member["name"] for member in members if member["role"] == "sync_standby"]
        return next(node for node in self.nodes if node.name == name)

    async def shift_standbys(self, off_s):
        """Start all servers but the primary again, as if the clocks of their machines were off from the primary's."""
        primary = await self.leader()
        for node in self.nodes:
            if node is not primary:
                node.clock_off_s = primary.clock_off_s + off_s
                node.kill()
                await self.await_whole()

    async def switch_over(self):
        """Give the place of the primary to its synchronous standby, as `patronictl switchover` does, and wait for it."""
        timeline, ends_at_s = await self.timeline(), time.monotonic() + WHOLE_S
        while refusal := await self._refusal_of_switch():
            assert time.monotonic() < ends_at_s, f"no switchover within {WHOLE_S} s: {refusal}"
            await asyncio.sleep(_POLL_S)
        return await self.leader(timeline)

    @contextlib.contextmanager
    def without_etcd(self):
        """Freeze etcd: no Patroni gets a response of it."""
        self.etcd.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.etcd.send_signal(signal.SIGCONT)

    async def _refusal_of_switch(self):
        """Ask Patroni for it, and return why it refuses, as while the standby is not yet synchronous; None if it did."""
        primary = await self.leader()
        members = await self._members(primary)
        standbys = [member["name"] for member in members if member["role"] == "sync_standby"]
        if not standbys:
            return f"there is no synchronous standby: {members}"
        wanted = {"leader": primary.name, "candidate": standbys[0]}
        reply = await self._http.post(f"http://127.0.0.1:{primary.rest_port}/switchover", json=wanted, timeout=30)
        return None if reply.status_code == 200 else f"{reply.status_code} {reply.text}, members: {members}"

    async def _is_whole(self):
        for node in self.nodes:
            if not node.is_managed:
                node.start()
        primary = await self.primary()
        healths = await asyncio.gather(*(self._look(node, "/health") for node in self.nodes))
        # Members stay in the list for a while after they were killed.
        if primary is None or any(health is None or health.status_code != 200 for health in healths):
            return False
        members = await self._members(primary)
        roles = sorted(member["role"] for member in members if member["state"] in _USABLE)
        return roles == ["leader", "replica", "sync_standby"]

    async def _members(self, primary):
        found = await self._http.get(f"http://127.0.0.1:{primary.rest_port}/cluster", timeout=5)
        return found.json()["members"]

    async def _look(self, node, path):
        with contextlib.suppress(httpx2.TransportError):
            return await self._http.get(f"http://127.0.0.1:{node.rest_port}{path}", timeout=_LOOK_S)
        return None


@contextlib.asynccontextmanager
async def running_cluster():
    """Yield a cluster of three nodes that is whole, and stop all of its programs afterwards."""
    with shared_folder() as folder:
        account = choose_account(folder / "cluster")
        account.adopt(folder)
        launcher, programs = Launcher(folder, account), find_programs().reachable_by(account, folder)
        async with contextlib.AsyncExitStack() as stack:
            etcd, etcd_port = _start_etcd(launcher, stack)
            network = await Network.start()
            stack.push_async_callback(network.stop)
            nodes = [Node(f"n{number}", network, launcher, programs, etcd_port) for number in range(3)]
            for node in nodes:
                await node.open()
                stack.callback(node.stop)
                node.start()
            http = await stack.enter_async_context(httpx2.AsyncClient())
            cluster = Cluster(nodes, _start_haproxy(launcher, nodes, stack), etcd, http)
            await cluster.await_whole()
            yield cluster


def _start_etcd(launcher, stack):
    client, peer = free_port(), free_port()
    listens = {
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": f"http://127.0.0.1:{peer}",
        "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
        "initial-cluster": f"one=http://127.0.0.1:{peer}",
        "name": "one",
        "data-dir": str(launcher.folder / "etcd"),
        "log-level": "error",
    }
    argv = [part for name, value in listens.items() for part in (f"--{name}", value)]
    program = launcher.start("etcd", find_program("etcd"), "--unsafe-no-fsync", *argv)
    _stopped(program, stack)
    return program, client


def _start_haproxy(launcher, nodes, stack):
    port = free_port()
    path = launcher.folder / "haproxy.cfg"
    path.write_text("\n".join(_haproxy_settings(port, nodes)) + "\n")
    _stopped(launcher.start("haproxy", find_program("haproxy"), "-db", "-f", str(path)), stack)
    return port


def _haproxy_settings(port, nodes):
    """Yield the lines of the example, for these nodes."""
    for line in HAPROXY.read_text().splitlines():
        if line.lstrip().startswith("bind "):
            yield f"    bind 127.0.0.1:{port}"
        elif not line.lstrip().startswith("server "):
            yield line
    for node in nodes:
        yield f"    server {node.name} 127.0.0.1:{node.proxies[0]} check port {node.proxies[1]}"


def _stopped(program, stack):
    stack.callback(program.wait, 10)
    stack.callback(program.kill)
