import sys
import warnings

import pytest
from study_helpers import SMALL, TWO, call


@pytest.fixture(autouse=True)
def _put_back(monkeypatch):
    """What `main` sets for the whole process is put back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


REPLICATIONS = 60


@pytest.fixture(scope="session")
def study():
    """Arguments of a small study of several chunks."""
    return ("montecarlo", "paper", *SMALL, *TWO, "--replications", REPLICATIONS)


@pytest.fixture(scope="session")
def alone(study, tmp_path_factory):
    """Its folder, made by one process without interruption."""
    folder = tmp_path_factory.mktemp("alone") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        call(*study, "--workers", 1, "--out", folder)
    return folder
