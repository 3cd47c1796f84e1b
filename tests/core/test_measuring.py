"""Instruments: counting never gets in the way of what is counted."""

import subprocess
import sys
import threading

from postlane.core.measuring import Counter

FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
from postlane.core.measuring import Counter
counters = [Counter(f"race_{n}", "Things.") for n in range(200)]
faults = []
def count(barrier):
    for counter in counters:
        barrier.wait()
        try:
            counter.add()
        except Exception as error:
            faults.append(error)
barrier = threading.Barrier(4)
threads = [threading.Thread(target=count, args=(barrier,)) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(faults))
"""


def test_threads_that_count_first_at_the_same_time_all_count() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "0", done.stderr


def test_nothing_counted_by_threads_is_lost() -> None:
    counter = Counter("thread_test", "Things.")

    def count() -> None:
        for _ in range(1000):
            counter.add()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter._child(())._value.get() == 4000
