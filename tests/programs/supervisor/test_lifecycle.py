"""The service as a program: started, stopped, killed, restarted."""

import contextlib
import os
import resource
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import seed
from tests.programs.supervisor import minimal
from tests.programs.supervisor.conftest import NO_DATABASE, gone, wait_until

ORPHAN_LIFE_S = 5.0


class Slow:
    """A request whose response the test releases."""

    def __init__(self, service, folder: Path) -> None:
        self._file = folder / "go"
        self._pool = ThreadPoolExecutor(1)
        self.response = self._pool.submit(httpx2.get, f"{service.url}/slow?until={self._file}", timeout=30)
        wait_until(self._file.with_suffix(".begun").exists)

    def release(self) -> httpx2.Response:
        self._file.touch()
        return self.response.result(timeout=30)

    def succeeded(self) -> bool:
        try:
            return self.response.result(timeout=30).is_success
        except httpx2.TransportError:
            return False


def test_a_low_limit_of_descriptors_rises_for_every_process(service):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        running = service(**NO_DATABASE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    running.ready()
    for pid in (running.program.pid, running.child("server.child")):
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == min(hard, 4096 + 6 * 512 + 512)
    assert "few_descriptors" not in running.output


def test_a_limit_of_descriptors_that_cannot_rise_far_enough_is_reported_with_what_it_allows(service):
    running = service(measured=True, LOG_FORMAT="json", DESCRIPTORS_MAX="1024", **NO_DATABASE)
    running.ready()
    (line,) = [line for line in running.lines() if line["event"] == "few_descriptors"]
    assert (line["descriptors"], line["descriptors_needed"]) == (1024, 7680)
    assert (line["warm_workers_max"], line["connections_max"]) == (42, 260)


def test_a_signal_ends_everything_cleanly_and_data_survives(service):
    for starts, number in enumerate((signal.SIGTERM, signal.SIGINT), 1):
        running = service().ready()
        family = running.family()
        assert running.count() == starts
        running.send_signal(number)
        assert running.ended() == 0
        assert gone(family)
    assert service().ready().count() == 3


def test_a_request_in_flight_finishes_while_new_ones_are_rejected(service, other_folder):
    running = service(**NO_DATABASE).ready()
    slow = Slow(running, other_folder)
    running.send_signal(signal.SIGTERM)
    wait_until(lambda: running.status("/facts") == 503)
    assert slow.release().text == "done"
    assert running.ended() == 0


def test_the_service_is_not_ready_before_it_rejects_requests(service):
    running = service(measured=True, DRAIN_DELAY_SECONDS="60", **NO_DATABASE).ready()
    running.send_signal(signal.SIGTERM)
    wait_until(lambda: running.status("/readyz") == 503)
    assert running.status("/facts") == 200
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0


def test_a_second_signal_skips_the_wait_for_running_work(service, other_folder):
    running = service(measured=True, SHUTDOWN_TIMEOUT_SECONDS="600", **NO_DATABASE).ready()
    slow = Slow(running, other_folder)
    running.send_signal(signal.SIGTERM)
    wait_until(lambda: running.status("/facts") == 503)
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert not slow.succeeded()


def test_work_that_does_not_end_is_aborted_at_the_limit(service, other_folder):
    running = service(measured=True, SHUTDOWN_TIMEOUT_SECONDS="0.2").ready()
    Slow(running, other_folder)
    family = running.family()
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert gone(family)


def test_requests_of_an_application_without_drain_finish_too(service, other_folder):
    running = service(measured=True, TARGET=f"{minimal.HERE}:create_plain", **NO_DATABASE).ready()
    slow = Slow(running, other_folder)
    running.send_signal(signal.SIGTERM)
    wait_until(lambda: running.status("/readyz") == 0)
    assert slow.release().text == "done"
    assert running.ended() == 0


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_one_recovers(service):
    first = service().ready()
    family = first.family()
    assert first.count() == 1
    first.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(family), ORPHAN_LIFE_S)
    assert service(PORT=str(first.port)).ready().count() > 1


def test_a_kill_of_every_process_loses_no_data(service):
    first = service().ready()
    assert first.count() == 1
    for pid, _ in first.family():
        with contextlib.suppress(ProcessLookupError):  # its parent went first
            os.kill(pid, signal.SIGKILL)
    first.ended()
    assert service().ready().count() > 1


def test_a_start_right_after_a_kill_waits_for_the_processes_that_are_left(service):
    first = service().ready()
    first.send_signal(signal.SIGKILL)
    second = service(measured=True, PORT=str(first.port)).ready()
    assert second.count() > 0


def test_an_http_worker_that_dies_is_replaced(service):
    running = service(**NO_DATABASE).ready()
    before = running.facts()["pid"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.status("/facts") == 200)
    assert running.facts()["pid"] != before
    assert {"HTTP worker 0"} == {line["child"] for line in running.lines() if line["event"] == "child_ended"}


def test_a_worker_that_fails_to_restart_is_retried_until_it_starts(service, folder):
    running = service(measured=True, TARGET=f"{minimal.HERE}:create_once", **NO_DATABASE).ready()
    os.kill(running.facts()["pid"], signal.SIGKILL)
    wait_until(lambda: any(line["event"] == "child_start_failed" for line in running.lines()))
    assert "it needs a repair" in running.output
    (folder / "repaired").touch()
    wait_until(lambda: running.status("/facts") == 200)


def test_a_worker_that_ignores_commands_is_killed(service, other_folder):
    running = service(
        measured=True, TARGET=f"{minimal.HERE}:create_stubborn", STUBBORN=str(other_folder / "drains"), **NO_DATABASE
    ).ready()
    family = running.family()
    running.send_signal(signal.SIGTERM)
    wait_until((other_folder / "drains").exists)
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert gone(family)


def test_a_postgresql_that_dies_restarts_for_the_same_workers(service):
    running = service(measured=True).ready()
    worker = running.facts()["pid"]
    running.count()
    os.kill(running.child("postgres"), signal.SIGKILL)
    wait_until(running.counts)
    assert running.facts()["pid"] == worker


def test_several_workers_share_a_port_and_a_runtime_host(service):
    running = service(measured=True, WEB_CONCURRENCY="2", **NO_DATABASE).ready()
    workers = set()
    wait_until(lambda: workers.add(running.facts()["pid"]) or len(workers) == 2)
    (address,) = running.facts()["nodejs"]
    assert running.facts()["python"] == [address]
    transport = httpx2.HTTPTransport(uds=address.removeprefix("unix:"))
    with httpx2.Client(transport=transport) as client:
        host = client.get("http://host/health").json()["pid"]
    assert host not in workers
    family = running.family()
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert gone(family)
    assert not Path(address.removeprefix("unix:")).parent.exists()


def test_a_language_with_its_own_runtime_host_keeps_it(service):
    running = service(WEB_CONCURRENCY="2", PYTHON_RUNTIME_URL="http://127.0.0.1:9", **NO_DATABASE).ready()
    assert running.facts()["python"] == ["http://127.0.0.1:9"]
    assert running.facts()["nodejs"][0].startswith("unix:")


def test_a_second_start_on_the_same_folder_names_the_first(service):
    first = service().ready()
    second = service(measured=True)
    assert second.ended() != 0
    assert f"in use by the running pglambda with process id {first.program.pid}" in second.output
    assert first.status("/readyz") == 200


def test_a_second_start_on_the_same_port_names_the_port(service, other_folder):
    first = service(**NO_DATABASE).ready()
    second = service(other_folder, measured=True, PORT=str(first.port), **NO_DATABASE)
    assert second.ended() != 0
    assert f"port {first.port}: another process listens there" in second.output


def test_an_application_that_cannot_be_created_ends_the_start(service):
    running = service(measured=True, TARGET=f"{minimal.HERE}:broken", **NO_DATABASE)
    family = running.family()
    assert running.ended() == 1
    assert "no application" in running.output
    assert "The HTTP worker 0 ended (status 1)" in running.output
    assert gone(family)


def test_a_migration_that_fails_ends_the_start(service):
    running = service(measured=True, MIGRATION=f"{minimal.HERE}:refuse")
    assert running.ended() == 1
    assert "The migration of the database failed (status 1)" in running.output


def test_a_database_that_does_not_start_ends_the_start_with_its_reason(service, folder, made):
    seed(made, folder)
    (folder / "postgres" / "global" / "pg_control").unlink()
    running = service(measured=True)
    assert running.ended() == 1
    assert "PostgreSQL ended" in running.output
    assert "could not find the database system" in running.output


def test_a_signal_during_the_start_ends_it(service, folder):
    running = service(measured=True, TARGET=f"{minimal.HERE}:create_stuck")
    wait_until((folder / "server.url").exists)
    wait_until(lambda: "entrypoints.server.child" in "".join(_command_lines(running)))
    family = running.family()
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    assert gone(family)


def test_the_service_serves_while_its_database_is_away(service, folder, made):
    service_folder = folder / "database"
    service_folder.mkdir(mode=0o711)
    server = EmbeddedPostgres(EmbeddedPostgresOptions(service_folder), launch)
    server.prepare()
    running = service(measured=True, DATABASE_URL=server.url, AUTO_MIGRATE="true").ready()
    assert running.status("/count") == 500
    wait_until(lambda: any(line["event"] == "migration_failed" for line in running.lines()))
    process = server.start()
    wait_until(running.counts)
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0
    process.send_signal(server.fast_stop)
    process.wait(30)
    server.forget()


def test_a_service_that_is_not_ready_prints_the_reason(service):
    running = service(measured=True, TARGET=f"{minimal.HERE}:create_unready", **NO_DATABASE)
    wait_until(lambda: "is not ready yet. /readyz responds: no database" in running.output)
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0


def test_a_client_that_never_finishes_its_request_does_not_delay_the_stop(service):
    running = service(**NO_DATABASE).ready()
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"POST /facts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        stopper = threading.Thread(target=running.send_signal, args=(signal.SIGTERM,))
        stopper.start()
        stopper.join()
        assert running.ended() == 0


def _command_lines(service):
    for pid, _ in service.family():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield Path(f"/proc/{pid}/cmdline").read_text()
