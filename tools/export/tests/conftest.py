"""Shared by the exporter's tests: the package on the path, one thread, the small model built once."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mini():
    """``edgetam_mini`` with random weights at its smallest size: (spec, untouched model, folded model)."""
    import copy

    from masklet_export.config import MODELS
    from masklet_export.weights import new_model, random_init, reparameterise

    spec = MODELS["edgetam_mini"]
    model = new_model(spec, 128)
    random_init(model, 5)
    folded = copy.deepcopy(model)
    reparameterise(folded, spec)
    return spec, model, folded
