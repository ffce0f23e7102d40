"""What the benchmarks measure is what they say."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def ganomaly() -> Any:
    spec = importlib.util.spec_from_file_location("ganomaly_benchmark", BENCHMARKS / "ganomaly.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ganomaly_has_the_width_asked_for_and_knows_no_more_than_the_other_side(ganomaly: Any) -> None:
    config = ganomaly.composed(8, 640, *ganomaly.UNKNOWN, *ganomaly.ALONE)
    model = instantiate(config.model, _convert_="all")
    widths = [len(weight) for weight in model.generator.encoder.parameters() if weight.ndim == 4]
    assert widths == [8, 16, 32]  # anomalib's for n_features=8 at 32 px
    assert list(model.generator.encoder.parameters())[-1].shape == (100, 32 * 4 * 4)
    assert (config.model.gamma, config.data.known_anomalies, config.data.batch_size) == (1, 0, 64)
    assert "critic" not in model.terms
    assert ganomaly.composed(8, 640, *ganomaly.KNOWN).data.known_anomalies == 500


def test_the_clock_of_the_ganomaly_benchmark_asks_for_enough_images(
    ganomaly: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ganomaly.options(["--anomalib", "python", "--images", "640"])
    assert "704 or more" in capsys.readouterr().err
    asked, typed = ganomaly.options(["--anomalib", "python", "--rates-only", "data.root=folder"])
    assert asked.rates_only
    assert typed == ["data.root=folder"]
