"""An installation of Postal's that is to be taken over."""

from pathlib import Path

import pytest

from .acme import Acme


@pytest.fixture
def acme(database: None, tmp_path: Path) -> Acme:
    return Acme(tmp_path)
