"""The order in which files of tests are given out, as a run of pytest with processes takes it."""

import re
import subprocess
import sys
from pathlib import Path

SLOW = "import pytest\n@pytest.mark.slow{seconds}\ndef test_it(): pass\n"
QUICK = "import time\ndef test_it(): time.sleep(0.2)\n"


def test_one_process_has_the_slowest_first_and_another_the_quick_ones(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.lanes import pytest_collection_modifyitems, pytest_xdist_make_scheduler\n"
    )
    for name, text in {
        "a/test_one.py": QUICK,
        "a/test_slow.py": SLOW.format(seconds=""),
        "b/test_slower.py": SLOW.format(seconds="(20)"),
        "b/test_slowest.py": SLOW.format(seconds="(90)"),
        "c/test_two.py": QUICK,
        "c/test_three.py": QUICK,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        (
            *(sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadfile"),
            *("--no-loadscope-reorder", "-p", "no:cacheprovider", "--import-mode=importlib"),
            *("-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)),
        ),
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"\[(gw\d)\].* PASSED \S*?(\w/test_\w+\.py)::", done.stdout)
    slow_lane = [name for process, name in ran if process == "gw0"]
    other = [name for process, name in ran if process == "gw1"]
    assert slow_lane[:2] == ["b/test_slowest.py", "b/test_slower.py"]
    assert other[0] == "c/test_two.py"
    assert len(ran) == 6
