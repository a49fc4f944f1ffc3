"""Whoever paints, the pictures are the same, and none is lost: threads, processes, Dask."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import _server
from picture_files import noisy
from thin import thin_vgg19
from waiting import comes_true

import nst_utils as nst
from nst_utils.many import clusters, crews, engine, executors, painting
from nst_utils.many.desk import NAME
from nst_utils.many.painting import order, paint
from nst_utils.optimize import checkpoints

SEEDS = range(3)


def thin_and_saving() -> nst.Network:
    """In a worker, which this file does not reach otherwise, with a checkpoint after each step."""
    if multiprocessing.parent_process() is not None:
        checkpoints._SHARE = 1e9
    return thin_vgg19()


HOW: dict[str, Any] = {"net": thin_and_saving, "size": 64, "device": "cpu", "progress": False}


def made(folder: Path, executor: Any, **given: Any) -> nst.Sweep:
    """The same three pictures, by anybody; of few steps, since they are painted seven times."""
    how = HOW | {"steps": 20, "seed": SEEDS, "folder": folder, "executor": executor} | given
    return nst.sweep("chelsea", "china", **how)


def few(folder: Path, executor: Any, **given: Any) -> nst.Sweep:
    """Smaller ones, quickly."""
    return made(folder, executor, **{"steps": 2, "size": 32, **given})


def bytes_of(found: nst.Sweep) -> list[bytes]:
    assert [each.message for each in found.outcomes] == [""] * len(found.outcomes)
    return [file.read_bytes() for file in found.files]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The pictures of this process, with one thread."""
    return bytes_of(made(tmp_path_factory.mktemp("here"), None, threads=1))


@pytest.fixture(scope="module")
def expected_few(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return bytes_of(few(tmp_path_factory.mktemp("here"), None, threads=1))


class Killer:
    """Kills one worker with SIGKILL in the middle of its work, when a checkpoint of five steps or
    more is there; or another process then."""

    def __init__(self, folder: Path, victim: int | None = None) -> None:
        self.killed: list[int] = []
        self.workers: set[int] = set()
        self._victim = victim
        self._jobs, self._over = folder / NAME, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set() and not self.killed:
            time.sleep(0.01)
            for status in self._jobs.glob("*.json"):
                try:
                    said = json.loads(status.read_text())
                except (OSError, ValueError):
                    continue
                if "pid" in said:
                    self.workers.add(said["pid"])
                kept = self._jobs.glob(f"{status.stem}-*.ckpt")
                if "outcome" not in said and any(map(has_five_steps, kept)):
                    self.killed.append(self._victim or said["pid"])
                    os.kill(self.killed[0], signal.SIGKILL)
                    break


def has_five_steps(checkpoint: Path) -> bool:
    try:
        return len(checkpoints.read(checkpoint)["tensors"]["history/total_loss"]) >= 5
    except ValueError:  # it has gone
        return False


def check_after_a_kill(found: nst.Sweep, expected: list[bytes], killed: list[int]) -> None:
    assert len(killed) == 1
    assert bytes_of(found) == expected
    assert max(each.resumed for each in found.outcomes) >= 5, "none went on where it was"
    workers = {int(each.worker.split(":")[1]) for each in found.outcomes}
    assert os.getpid() not in workers
    assert {each.threads for each in found.outcomes} == {1}
    left = {"sheet.png", "table.csv", *(file.name for file in found.files)}
    assert {each.name for each in found.folder.iterdir()} == left


# Processes of our own.


@pytest.fixture
def quick_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made from one that has loaded torch."""
    context = _server()
    monkeypatch.setattr(crews.multiprocessing, "get_context", lambda _: context)


@pytest.mark.usefixtures("quick_processes")
def test_a_process_that_is_killed_has_its_picture_finished_by_another(
    expected: list[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with Killer(folder) as killer:
        found = made(folder, 2)
    check_after_a_kill(found, expected, killer.killed)


def paints(folder: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["thin"])  # another server: the compiler is not needed here
    crews.multiprocessing.get_context = lambda _: context  # type: ignore[assignment]
    made(folder, 2)


def test_processes_end_with_who_started_them(expected: list[bytes], tmp_path: Path) -> None:
    """It is killed; nobody holds up who resumes."""
    folder = tmp_path / "out"
    parent = _server().Process(target=paints, args=(folder,))
    parent.start()
    try:
        with Killer(folder, parent.pid) as killer:
            parent.join(60)
    finally:
        parent.kill()
        parent.join()
    assert killer.killed == [parent.pid]
    assert killer.workers
    comes_true(lambda: not any(map(is_there, killer.workers)))
    left = [*filter(is_there, killer.workers)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert not left
    found = made(folder, None, threads=1, resume=True)
    assert bytes_of(found) == expected
    assert "finished" in {each.state for each in found.outcomes}, "there was nothing left to do"
    assert NAME not in {each.name for each in folder.iterdir()}


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def always_dies(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("quick_processes")
def test_what_every_process_dies_of_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its status says that it has begun; and where none begins at all, a sentence."""
    photo = tmp_path / "a.png"
    noisy(40, 60).save(photo)
    monkeypatch.setattr(engine, "paint", begins_and_dies)
    found = few(tmp_path / "out", 1, seed=[0])
    assert found.outcomes[0].state == "failed"
    assert "ended 3 times" in found.outcomes[0].message
    monkeypatch.setattr(engine, "paint", always_dies)
    with pytest.raises(ValueError, match='if __name__ == "__main__"'):
        few(tmp_path / "other", 1, seed=[0])


def begins_and_dies(given: dict[str, Any]) -> None:
    desk = engine.Desk(Path(given["folder"]), given["token"])
    name = given["jobs"][0]["name"]
    before = desk.told(name) or {}
    desk.tell(name, done=0.0, attempt=before.get("attempt", 0) + 1, pid=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


class Death(BaseException):
    """Ends a worker of :class:`Mortal`."""


class Mortal(crews.Crew):
    """Workers of which none lives longer than some steps, in this process; there are others."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self.lives = 0

    def renew(self) -> bool:
        self.lives += 1
        return True


def dies_at_times(future: Future[Any], work: Callable[..., Any], given: Any) -> None:
    try:
        future.set_result(work(given))
    except Death:
        future.set_exception(BrokenExecutor("gone"))


@pytest.mark.parametrize("further", [True, False], ids=["further", "no-further"])
def test_who_gets_further_each_time_is_not_given_up(
    further: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others break down for another picture's sake; that is not this one's fault."""
    mortal: list[Mortal] = []

    class Watch(painting._Watch):
        made = 0

        def __call__(self, step: nst.Step) -> None:
            super().__call__(step)
            self.made += 1
            if self.made == 3 if further else step.number == 3:
                raise Death

    monkeypatch.setattr(executors, "lent", lambda given: mortal.append(Mortal(given)) or mortal[0])
    monkeypatch.setattr(painting, "_Watch", Watch)
    monkeypatch.setattr(painting, "_EVERY", 0.0)
    monkeypatch.setattr("nst_utils.optimize.checkpoints._SHARE", 1e9)  # after every step
    (outcome,) = few(tmp_path / "out", Odd(dies_at_times), seed=[0], steps=12).outcomes
    if further:
        assert outcome.state == "finished"
        assert mortal[0].lives > engine.ATTEMPTS + 1
    else:
        assert outcome.state == "failed"
        assert "ended 3 times and came no further" in outcome.message
        assert mortal[0].lives == engine.ATTEMPTS + 1, "the first one got further than none"


def test_each_process_gets_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews.signal, "signal", lambda *_: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert crews.gpus_here("auto") == [], "this torch finds none"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    gpus = crews.gpus_here("auto")
    assert gpus == ["4", "6"]
    taken = multiprocessing.Value("i", 0)
    seen = []
    for _ in range(3):
        crews._begin(taken, gpus)
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["4", "6", "4"]
    assert crews.gpus_here("cpu") == crews.gpus_here("cuda:1") == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert crews.gpus_here("cuda") == ["0", "1"]


# An executor that somebody lends.


def test_threads_of_an_executor_that_is_lent(expected_few: list[bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        assert bytes_of(few(tmp_path / "out", executor)) == expected_few
        assert executor.submit(int, "7").result() == 7, "it was not shut down"


def test_threads_of_torch_are_set_where_the_work_is_done(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as executor:
        found = few(tmp_path / "out", executor, threads=2, seed=[0], steps=1)
    assert {each.threads for each in found.outcomes} == {2}
    assert torch.get_num_threads() == before


class Odd(Executor):
    """An executor with a fault."""

    def __init__(self, fault: Callable[[Future[Any], Callable[..., Any], Any], None]) -> None:
        self._fault = fault

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._fault(future, fn, args[0])
        return future


def test_an_answer_that_is_lost_is_read_from_the_status(
    expected_few: list[bytes], tmp_path: Path
) -> None:
    executor = Odd(lambda future, work, given: work(given))
    assert bytes_of(few(tmp_path / "out", executor)) == expected_few


def test_who_is_asked_again_answers_again(tmp_path: Path) -> None:
    answers = []

    def twice(future: Future[Any], work: Callable[..., Any], given: Any) -> None:
        picture = Path(given["folder"]) / f"{given['jobs'][0]['name']}.png"
        answers.append(work(given))
        made_at = picture.stat().st_mtime_ns
        answers.append(work(given))
        assert picture.stat().st_mtime_ns == made_at, "it was made again"
        future.set_result(answers[-1])

    few(tmp_path / "out", Odd(twice), seed=[0])
    assert answers[0] == answers[1]


def broken(future: Future[Any], work: object, given: object) -> None:
    future.set_exception(BrokenExecutor("gone"))


def test_a_lent_executor_that_breaks_leaves_its_pictures_to_the_next_call(tmp_path: Path) -> None:
    found = few(tmp_path / "out", Odd(broken))
    assert {each.state for each in found.outcomes} == {"failed"}
    assert "a process that painted has ended" in found.outcomes[0].message
    assert "the same with resume=True goes on" in found.outcomes[0].message
    assert {each.state for each in few(tmp_path / "out", None, resume=True).outcomes} == {
        "finished"
    }


def unknown_there(future: Future[Any], work: object, given: object) -> None:
    future.set_exception(ModuleNotFoundError("No module named 'nst_utils'"))


def of_another_version(future: Future[Any], work: Callable[..., Any], given: Any) -> None:
    future.set_result(work(given | {"version": "0.0.9"}))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (unknown_there, r"a worker cannot do the work \(No module named 'nst_utils'\); install"),
        (of_another_version, r"has nst_utils .*, and this is 0.0.9; install the same version"),
    ],
    ids=["none", "another"],
)
def test_workers_of_another_version_are_refused(fault: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        few(tmp_path / "out", Odd(fault))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_executor_that_takes_nothing_is_a_sentence(tmp_path: Path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ValueError, match=r"the executor takes no work \(cannot schedule"):
        few(tmp_path / "out", executor)
    with pytest.raises(ValueError, match="an executor needs a folder"):
        few(None, executor)  # type: ignore[arg-type]


def test_an_interrupt_cancels_what_is_at_work(
    tmp_path: Path, ctrl_c: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = engine.Run._look

    def look_and_stop(run: engine.Run, pending: Any) -> None:
        look(run, pending)
        if any(run._desk.told(job.name) for job in pending.values()):
            ctrl_c()

    monkeypatch.setattr(engine, "_LOOK", 0.01)
    monkeypatch.setattr(engine.Run, "_look", look_and_stop)
    with ThreadPoolExecutor(1) as executor:
        found = few(tmp_path / "out", executor, steps=100_000, tolerance=None)
    assert found.interrupted
    assert {each.state for each in found.outcomes} == {"cancelled"}


@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
def test_who_is_slow_to_stop_still_finds_that_it_is_to(
    slow: bool, tmp_path: Path, ctrl_c: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cancelled in Dask counts as done at once, and its worker goes on."""
    at_work, go_on, answers = threading.Event(), threading.Event(), []
    workers: list[threading.Thread] = []

    class Watch(painting._Watch):
        def __call__(self, step: nst.Step) -> None:
            super().__call__(step)
            at_work.set()
            if slow:
                go_on.wait(60)

    def begin(future: Future[Any], work: Callable[..., Any], given: Any) -> None:
        workers.append(threading.Thread(target=lambda: answers.extend(work(given))))
        workers[0].start()

    look = engine.Run._look

    def look_and_stop(run: engine.Run, pending: Any) -> None:
        look(run, pending)
        if at_work.is_set():
            ctrl_c()

    monkeypatch.setattr(painting, "_Watch", Watch)
    monkeypatch.setattr(painting, "_EVERY", 0.0)
    monkeypatch.setattr(engine, "_LOOK", 0.01)
    monkeypatch.setattr(engine, "_GRACE", 0.5 if slow else 60.0)
    monkeypatch.setattr(engine.Run, "_look", look_and_stop)
    steps = 100 if slow else 100_000
    found = few(tmp_path / "out", Odd(begin), seed=[0], steps=steps, tolerance=None)
    assert found.interrupted
    # Its checkpoint may be there, too.
    assert (tmp_path / "out" / NAME / "cancel").exists() is slow
    go_on.set()
    workers[0].join()
    assert [each["state"] for each in answers] == ["cancelled"]
    assert not found.files[0].exists()


def test_a_bad_picture_fails_by_itself(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    with ThreadPoolExecutor(2) as executor:
        found = nst.sweep(
            "chelsea", [bad, "china"], **HOW | {"size": 32}, steps=1, executor=executor,
            folder=tmp_path / "out",
        )  # fmt: skip
    assert [each.state for each in found.outcomes] == ["failed", "finished"]
    assert str(bad) in found.outcomes[0].message


def test_an_order_is_plain() -> None:
    job = nst.many.jobs.make_job("a", {"content": "chelsea", "style": "china"})
    given = order([job], Path(), "token", 1, None)
    assert json.loads(json.dumps(given))["jobs"][0]["name"] == "a"
    (answer,) = paint(given | {"version": "99"})
    assert answer["state"] == "refused"


# Dask.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two worker processes, made from one that has loaded torch, too."""
    distributed, dask = map(pytest.importorskip, ("distributed", "dask"))
    _server()
    ensure_running()
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as found,
    ):
        yield found


def test_a_dask_worker_that_is_killed_has_its_picture_finished_by_another(
    cluster: Any, expected: list[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with Killer(folder) as killer:
        found = made(folder, cluster.scheduler_address)
    check_after_a_kill(found, expected, killer.killed)


def test_a_local_cluster_has_a_worker_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with clusters.connected("local", "auto") as crew:
        client = crew._client  # type: ignore[attr-defined]
        client.wait_for_workers(2, timeout=60)
        seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        assert sorted(seen.values()) == ["4", "6"]
        assert crew.submit(len, {"a": 1}).result(timeout=60) == 1


def test_an_executor_of_dask_that_is_lent(
    cluster: Any, expected_few: list[bytes], tmp_path: Path
) -> None:
    with cluster.get_client() as client:
        assert bytes_of(few(tmp_path / "out", client.get_executor())) == expected_few
        assert client.submit(int, "7").result() == 7


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"there is no Dask scheduler at {address} "):
            few(tmp_path / "out", address)
    (tmp_path / "no-scheduler.json").write_text("{}")
    for given in ("nonsense", "", str(tmp_path / "no-scheduler.json"), "http://a:1"):
        with pytest.raises(ValueError, match="Dask scheduler"):
            few(tmp_path / "out", given)


def test_without_dask_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("nst_utils.many.clusters.import_module", none)
    with pytest.raises(ValueError, match=r"pip install 'nst-utils\[cluster\]'"):
        few(tmp_path / "out", "local")


class Client:
    """What is asked of Dask's, when its scheduler has gone."""

    status = "closed"


@pytest.mark.parametrize(
    "fault", [lambda future, *_: future.cancel(), lambda *_: None], ids=["cancelled", "silent"]
)
def test_a_cluster_that_goes_away_is_a_sentence(
    fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its futures are cancelled, or nothing is heard of them any more."""
    monkeypatch.setattr(executors, "lent", lambda executor: clusters._Dask(executor, Client()))
    found = few(tmp_path / "out", Odd(fault))
    assert {each.state for each in found.outcomes} == {"failed"}
    assert {each.message for each in found.outcomes} == {
        "the cluster's scheduler cannot be reached any more; the same with resume=True goes on"
    }
    assert (found.folder / NAME / "cancel").exists(), "its workers may be at work"
    again = few(tmp_path / "out", None, resume=True)
    assert {each.state for each in again.outcomes} == {"finished"}
    assert not (found.folder / NAME).exists()
