"""Numbers that a process keeps of itself, added up over all processes that share a folder.

An instrument is declared where it is used and costs about a microsecond a call. Until
`share_in` is called the numbers stay in this process, as in a test or a command.
"""

import contextlib
import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import prometheus_client as prometheus
from prometheus_client import values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)

PREFIX = "pmta_"
FOLDER = "metrics"
"""In the data directory."""

ABANDONED_SECONDS = 7 * 86400
"""A file that nobody has written to for so long belongs to a process that is gone."""

_REGISTRY = prometheus.CollectorRegistry()
# Containers that share a folder may each have a process 7.
_HOST = hashlib.blake2b(socket.gethostname().encode(), digest_size=6).hexdigest()
_shared: Path | None = None
_making = threading.Lock()


def share_in(data_dir: Path) -> None:
    """Add this process's numbers to those of the others with the same data directory.

    Numbers from before the call are lost, so it comes first in a process's life. Where
    nothing can be written, a process keeps its numbers to itself.
    """
    global _shared
    folder = data_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove(folder, untouched_for=ABANDONED_SECONDS)
        (folder / ".writable").touch()
    except OSError as error:
        log.warning("metrics of this process stay its own: %s cannot be written: %s", folder, error)
        return
    # The library reads the variable when it writes, but chooses where to keep values when
    # it is imported, which has long happened.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(_process)  # type: ignore[no-untyped-call]
    _shared = folder


def forget_in(data_dir: Path) -> None:
    """Remove what earlier processes left; none with this data directory may be running."""
    _remove(data_dir / FOLDER, untouched_for=-ABANDONED_SECONDS)


def _remove(folder: Path, *, untouched_for: float) -> None:
    before = time.time() - untouched_for
    for file in folder.glob("*.db"):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < before:
                file.unlink()


def _process() -> str:
    """Return what tells this process from others; asked for each number, so it is kept."""
    return _name


def _take_name() -> None:
    global _name
    _name = f"{_HOST}.{os.getpid()}"


_name = ""
_take_name()
os.register_at_fork(after_in_child=_take_name)


class _Instrument:
    """One metric by its labels; made at the first use, when it is known where numbers go."""

    kind: type[Any]
    options: dict[str, Any] = {}

    def __init__(self, name: str, meaning: str, labels: Sequence[str] = ()) -> None:
        self._declared = (PREFIX + name, meaning, labels)
        self._made: Any = None
        self._children: dict[tuple[str, ...], Any] = {}

    def _child(self, labels: tuple[str, ...]) -> Any:
        child = self._children.get(labels)
        return self._make(labels) if child is None else child

    def _make(self, labels: tuple[str, ...]) -> Any:
        # Two threads that met here would both declare it, and the second be refused.
        with _making:
            if self._made is None:
                self._made = self.kind(*self._declared, registry=_REGISTRY, **self.options)
            if labels not in self._children:
                self._children[labels] = self._made.labels(*labels) if labels else self._made
            return self._children[labels]


class Counter(_Instrument):
    """Counts what happens; never decreases."""

    kind = prometheus.Counter

    def add(self, *labels: str, amount: int = 1) -> None:
        """Count *amount* more."""
        self._child(labels).inc(amount)


class Gauge(_Instrument):
    """How many there are now, of the processes that run."""

    kind = prometheus.Gauge
    options = {"multiprocess_mode": "livesum"}

    def add(self, *labels: str, amount: int = 1) -> None:
        """Change the number by *amount*."""
        self._child(labels).inc(amount)


class Histogram(_Instrument):
    """How long things take, in seconds."""

    kind = prometheus.Histogram

    def __init__(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> None:
        super().__init__(name, meaning, labels)
        self.options = {"buckets": buckets}

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one more that took *seconds*."""
        self._child(labels).observe(seconds)


def measured() -> Sequence[Metric]:
    """Return the numbers of every process that shares the folder, or of this one alone."""
    if _shared is None:
        return [_without_created(metric) for metric in _REGISTRY.collect()]
    for file in _shared.glob(f"gauge_live*_{_HOST}.*.db"):
        # What a process that was killed had open is closed.
        if not _runs(int(file.stem.rpartition(".")[2])):
            file.unlink(missing_ok=True)
    found: Iterable[Metric] = MultiProcessCollector(None, path=str(_shared)).collect()  # type: ignore[no-untyped-call]
    return sorted(found, key=lambda metric: metric.name)


def _without_created(metric: Metric) -> Metric:
    kept = Metric(metric.name, metric.documentation, metric.type)
    kept.samples = [s for s in metric.samples if not s.name.endswith("_created")]
    return kept


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # It runs, as somebody else.
    return True
