"""A protocol that does nothing beyond what a test asks for."""

from typing import Any

from semigan_pl.data.protocol import Protocol

NEUTRAL: dict[str, Any] = {
    "normal_classes": None,
    "n_normal": None,
    "max_per_class": None,
    "contamination": 0.0,
    "known_anomalies": 0,
    "known_classes": None,
    "outlier_share": None,
    "test_limit": None,
    "merge_parts": False,
    "test_share": 0.2,
    "anomaly_test_share": 0.5,
    "fold": None,
    "validation_share": 0.1,
    "seed": 0,
}


def make_protocol(**knobs: Any) -> Protocol:
    return Protocol(**(NEUTRAL | knobs))
