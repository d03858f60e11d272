"""Round counters: who sleeps on one is woken, and does not come round by the end of a nap alone.

A lost wake-up costs a nap of 50 ms and nothing else, so that no result shows it. Here the system call of the compiled
code goes through Python: naps last ten seconds, and one that ends by itself although there is something to see, or that
begins without having been announced to those who publish, is counted.
"""

from __future__ import annotations

import ctypes
import errno
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from teamnet.board.segment import private_memory
from teamnet.kernels import native as native_module
from teamnet.kernels.constants import ABORTED, BELL, EVERY, LATE_AT, LINE, NODES, PATIENCE_AT, READY, SPIN_AT, WHOLE
from teamnet.kernels.native import native

PATIENCE = 10
"""Seconds of a nap here."""
WAIT = 9
Syscall = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 7)


class Sleeps:
    """Stands between compiled code and the system's ``futex``, and counts how sleeps end.

    ``lost`` ended by themselves although their word or the control line had changed; ``unannounced`` began while the
    counter of sleepers was 0, so that nobody who publishes would have woken them.
    """

    def __init__(self, control: np.ndarray) -> None:
        self.woken = self.lost = self.unannounced = 0
        self.begun, self.thread = threading.Semaphore(0), 0
        self._control, self._lock = control, threading.Lock()
        self._system = ctypes.CDLL(None, use_errno=True).syscall
        self._system.restype, self._system.argtypes = ctypes.c_long, [ctypes.c_long] * 7
        self._function = Syscall(self._call)
        self.address = ctypes.cast(self._function, ctypes.c_void_p).value

    def _call(
        self, number: int, address: int, operation: int, value: int, timeout: int, second: int, third: int
    ) -> int:
        if operation != WAIT:
            return self._system(number, address, operation, value, timeout, second, third)
        word, sleepers = (ctypes.c_uint32.from_address(address + offset) for offset in (0, 4))
        announced = sleepers.value > 0
        until = (ctypes.c_int64 * 2)(int(time.monotonic()) + PATIENCE, 0)
        self.thread = threading.get_native_id()
        self.begun.release()
        result = self._system(number, address, WAIT, value, ctypes.addressof(until), 0, third)
        ended_by_itself = result == -1 and ctypes.get_errno() == errno.ETIMEDOUT
        with self._lock:
            self.unannounced += not announced
            self.woken += result == 0
            self.lost += ended_by_itself and bool(word.value != value or self._control[0])
        return result


class Board:
    """Some round counters and a control line, and what units and the coordinator do with them."""

    def __init__(self, sleeps: Sleeps, memory: np.ndarray, control: np.ndarray) -> None:
        self.sleeps, self.control = sleeps, control
        self._memory, self._control_at = memory, control.ctypes.data
        self._publish = native("teamnet.team.coordinator_kernels", "publish_alone")
        self._wait_for_all = native("teamnet.team.coordinator_kernels", "wait_for_all")
        self._set_control = native("teamnet.team.coordinator_kernels", "set_control")
        self._wake_all = native("teamnet.team.coordinator_kernels", "wake_all")

    def word(self, number: int) -> int:
        """The address of a counter."""
        return self._memory.ctypes.data + LINE * number

    def line(self, number: int) -> np.ndarray:
        """All int64 of a counter's line."""
        return self._memory[LINE * number : LINE * (number + 1)].view(np.int64)

    def publish(self, number: int, target: int) -> None:
        """Publish a round."""
        self._publish(self.word(number), target)

    def wait(self, number: int, target: int) -> int:
        """Wait for a round; returns the status."""
        round_counters, rounds = np.array([self.word(number)]), np.array([1])
        return self._wait_for_all(round_counters.ctypes.data, rounds.ctypes.data, 1, target, self._control_at)

    def abort(self, number: int) -> None:
        """Tell all who sleep on a counter that the run is aborted."""
        round_counters = np.array([self.word(number)])
        self._set_control(self._control_at, 1)
        self._wake_all(round_counters.ctypes.data, 1)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    control = np.zeros(LINE // 4, np.uint32)
    sleeps, add_symbol = Sleeps(control), native_module.llvm.add_symbol
    monkeypatch.setattr(
        native_module.llvm, "add_symbol",
        lambda name, address: add_symbol(name, sleeps.address if name == "syscall" else address),
    )
    yield Board(sleeps, private_memory(4 * LINE), control)
    monkeypatch.undo()
    native("teamnet.team.coordinator_kernels", "publish_alone")  # later kernels call the system itself again


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def _asleep(board: Board, waiting: Callable[[], int], threads: ThreadPoolExecutor) -> Future[int]:
    """A call that waits, once it is about to sleep."""
    status = threads.submit(waiting)
    assert board.sleeps.begun.acquire(timeout=60)
    return status


def _until_it_sleeps(board: Board) -> None:
    """A thread that is about to sleep on the first counter sleeps indeed."""
    calls = Path(f"/proc/self/task/{board.sleeps.thread}/syscall")
    while hex(board.word(0)) not in calls.read_text().split():
        time.sleep(0.001)


def _check_wakes(board: Board, threads: ThreadPoolExecutor, asleep_on: int) -> None:
    """Every publication on the first counter wakes who sleeps on one."""
    for target in range(1, 20):
        status = _asleep(board, lambda target=target: board.wait(asleep_on, target), threads)
        board.publish(0, target)
        assert status.result() == READY
    assert (board.sleeps.lost, board.sleeps.unannounced) == (0, 0)


def test_publishing_wakes_who_sleeps_on_the_counter(board: Board, threads: ThreadPoolExecutor):
    _check_wakes(board, threads, asleep_on=0)


def test_the_last_node_to_arrive_wakes_who_sleeps_on_the_whole_slot(board: Board, threads: ThreadPoolExecutor):
    for part in (0, 1):
        line = board.line(part)
        line[WHOLE], line[NODES], line[EVERY] = LINE * (2 - part), 2, 1
    for target in range(1, 20):
        status = _asleep(board, lambda target=target: board.wait(2, target), threads)
        board.publish(0, target)
        board.publish(1, target)
        assert status.result() == READY
    assert (board.sleeps.lost, board.sleeps.unannounced) == (0, 0)


def test_the_bell_wakes_the_relay(board: Board, threads: ThreadPoolExecutor):
    board.line(0)[BELL] = LINE
    _check_wakes(board, threads, asleep_on=1)


def test_an_abort_wakes_who_sleeps_on_a_counter(board: Board, threads: ThreadPoolExecutor):
    """Who is only about to sleep misses it, as the word stays the same, and looks up at the end of the nap."""
    status = _asleep(board, lambda: board.wait(0, 1), threads)
    _until_it_sleeps(board)
    board.abort(0)
    assert status.result() == ABORTED
    assert (board.sleeps.lost, board.sleeps.unannounced) == (0, 0)


@pytest.mark.parametrize("awaited", [5, 31, 32])
def test_rounds_before_the_one_that_it_waits_for_wake_nobody(
    awaited: int, board: Board, threads: ThreadPoolExecutor
):
    status = _asleep(board, lambda: board.wait(0, awaited), threads)
    _until_it_sleeps(board)
    for target in range(1, awaited):
        board.publish(0, target)
    assert not board.sleeps.begun.acquire(timeout=0.1), "it sleeps again, so it was woken"
    board.publish(0, awaited)
    assert status.result() == READY
    assert (board.sleeps.woken, board.sleeps.lost) == (1, 0)


def test_a_lost_wake_up_is_counted(threads: ThreadPoolExecutor):
    """With sleeps of 50 ms, and a publication that wakes no sleeper."""
    board = Board(Sleeps(np.zeros(LINE // 4, np.uint32)), private_memory(4 * LINE), np.zeros(LINE // 4, np.uint32))
    status = threads.submit(board.wait, 0, 1)
    time.sleep(0.01)
    board.line(0).view(np.uint32)[0] = 1
    assert status.result() == READY
    assert board.control[LATE_AT // 4] == 1
    status = threads.submit(board.wait, 0, 2)
    time.sleep(0.12)
    board.publish(0, 2)
    assert status.result() == READY
    assert board.control[LATE_AT // 4] == 1, "who waits for long is not late"


@pytest.mark.parametrize(("spin", "patience"), [(0, 0), (0, 10**6), (10**6, 2 * 10**6), (2 * 10**9, 2 * 10**9)])
def test_however_waiters_wait_they_see_every_round(spin: int, patience: int, threads: ThreadPoolExecutor):
    board = Board(Sleeps(np.zeros(LINE // 4, np.uint32)), private_memory(4 * LINE), np.zeros(LINE // 4, np.uint32))
    board.control[SPIN_AT // 4], board.control[PATIENCE_AT // 4] = spin, patience

    def answer() -> None:
        for target in range(1, 50):
            assert board.wait(0, target) == READY
            board.publish(1, target)

    answering = threads.submit(answer)
    for target in range(1, 50):
        if target % 10 == 0:
            time.sleep(0.005)
        board.publish(0, target)
        assert board.wait(1, target) == READY
    answering.result()
    assert board.control[LATE_AT // 4] == 0
