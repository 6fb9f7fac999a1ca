"""Workers of a Ray cluster. Ray places calls, starts and stops machines; what is lost is for the sweep to try again.

What calls tell comes back through a small actor that keeps it until it is fetched. Where that is lost with its machine,
bars stand still until jobs end: an envelope holds all that was told, so nothing counts less.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import ray
from ray.exceptions import RayError

from dgbench.core.errors import DGBenchError
from dgbench.core.processes import WorkerDiedError
from dgbench.core.stopping import StoppedError
from dgbench.core.units import Positive
from dgbench.core.worker import GRACE
from dgbench.launchers.far import Call, Opening, do, failed, lines

T = TypeVar("T")

FETCH = 0.5
"""Seconds between two looks at what was told."""
PER_CARD = 4
"""Calls that are wanted at a time for each GPU of the cluster, by default: as many share one where memory allows."""
_STEP = 100
"""Shares of a GPU are rounded up to this part of one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What can be said to the launcher.

    Attributes:
        address: Of the cluster, as ``ray.init`` takes it. By default ``$RAY_ADDRESS``, else the cluster that runs on
            this machine, else one of this machine alone, which is started.
        cpus: CPUs that a call takes.
        memory_gb: Memory that a call takes, in GB; by default none is set aside.
    """

    address: str | None = None
    cpus: Positive = 1.0
    memory_gb: Positive | None = None


class _Ear:
    """Keeps what calls tell until it is fetched."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Any]] = []

    def hear(self, number: int, note: Any) -> None:
        self.heard.append((number, note))

    def fetch(self) -> list[tuple[int, Any]]:
        heard, self.heard = self.heard, []
        return heard


def _work(opening: Opening, number: int, request: bytes, ear: Any) -> bytes:
    """A call, in a process of the cluster; Ray shows it the GPU that it has, and no other."""
    device = "cuda" if ray.get_gpu_ids() else "cpu"
    try:
        return do(opening, device, request, lambda note: ear.hear.remote(number, note))
    except StoppedError:
        return failed(WorkerDiedError("was asked to stop by its node"))


class RayCluster:
    """A Ray cluster; fills :class:`dgbench.launchers.Launcher`.

    It is given at most ``workers`` calls at a time; a cluster that grows with what is asked of it grows up to that. So
    what no node has now is waited for, and a warning says so.

    Args:
        device: ``cuda`` for GPUs, ``cpu``, or ``auto`` for GPUs where the cluster has some now.
        workers: Calls at a time; by default as many as the cluster has room for now.
        options: What was said.
        ready: What a process calls before anything else, with its device first.
        arguments: For ``ready``, after the device.

    Raises:
        DGBenchError: there is no such cluster, or the device is none that one can have.
    """

    far: ClassVar[bool] = True

    def __init__(
        self, device: str, workers: int | None, options: Options, ready: Callable[..., object], *arguments: Any
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise DGBenchError(f"device: a Ray cluster has 'cpu' and 'cuda' (or 'auto'), and '{device}' is asked for")
        self._began = not ray.is_initialized()
        if self._began:
            try:
                ray.init(options.address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise DGBenchError(
                    f"no Ray cluster is reached at {options.address or 'this machine'}: {error}"
                ) from error
        there = ray.cluster_resources()
        self.kind = "cuda" if device == "cuda" or (device == "auto" and there.get("GPU")) else "cpu"
        room = there.get("CPU", 1.0) / options.cpus
        if self.kind == "cuda":
            room = min(room, PER_CARD * there.get("GPU", 1.0))
        self.workers = workers or max(1, math.floor(room))
        memory = {} if options.memory_gb is None else {"memory": options.memory_gb * 1e9}
        gpu = {"GPU": 1.0} if self.kind == "cuda" else {}
        _say_what_is_waited_for({"CPU": options.cpus, **gpu, **memory})
        self._takes = {"num_cpus": options.cpus, "max_retries": 0, **memory}
        self._opening = Opening.here(ready, *arguments)
        self._ear: Any = ray.remote(_Ear).options(num_cpus=0).remote()
        self._calls: dict[int, Call] = {}
        self._refs: dict[int, Any] = {}
        self._count = 0
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="ray ear", daemon=True)

    def admits(self, share: float) -> bool:
        """Ray keeps what waits."""
        return True

    def submit(
        self, function: Callable[..., T], *arguments: Any, share: float = 0.0, tell: Callable[[Any], None] | None = None
    ) -> Future[T]:
        """Have a process of the cluster call a function; on a cluster with GPUs it has that share of one."""
        call = Call(function, arguments, tell)
        self._count += 1
        number, gpus = self._count, math.ceil(share * _STEP) / _STEP
        self._calls[number] = call
        task = ray.remote(_work).options(num_gpus=gpus, **self._takes)
        ref = task.remote(self._opening, number, call.request, self._ear)
        self._refs[number] = ref
        ref.future().add_done_callback(lambda done: self._settle(number, done))
        return call.future

    def _settle(self, number: int, done: Future[bytes]) -> None:
        call = self._calls.pop(number)
        self._refs.pop(number, None)
        try:
            call.settle(done.result())
        except RayError as error:
            call.lose(f"is lost ({type(error).__name__}: {lines(error)[0]})")
        except Exception as error:  # noqa: BLE001 (whatever it is, whoever waits is told)
            call.fail(error)

    def _listen(self) -> None:
        while not self._over.wait(FETCH):
            try:
                for number, note in ray.get(self._ear.fetch.remote()):
                    if call := self._calls.get(number):
                        call.hear(note)
            except RayError as error:
                log.warning("what workers tell is heard when they are done, and not before: %s", error)
                return

    def __enter__(self) -> RayCluster:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        left = list(self._refs.values())
        if left and kind is not None:
            for ref in left:
                ray.cancel(ref)  # comes to a worker as SIGINT, which asks it to stop
            ray.wait(left, num_returns=len(left), timeout=GRACE)
        elif left:
            ray.wait(left, num_returns=len(left))
        self._over.set()
        self._listener.join()
        if self._began:
            ray.shutdown()


def _say_what_is_waited_for(asked: Mapping[str, float]) -> None:
    """Ray would wait without a word."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0.0) >= much for name, much in asked.items()) for node in nodes):
        one = ", ".join(
            f"{much / 1e9:g} GB" if name == "memory" else f"{name} {much:g}" for name, much in asked.items()
        )
        log.warning("the Ray cluster has no node for a job now (%s): jobs wait until one joins it", one)
