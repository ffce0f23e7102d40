"""Finding anomalies in images with GANs: one honest protocol, many methods, known anomalies as a kind of fake."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semigan_pl.detector import Detection, Detector, load_detector

__version__ = "0.1.0"
__all__ = ["Detection", "Detector", "load_detector"]


def __getattr__(name: str) -> Any:
    """The detector's names, imported when they are asked for: torch and Lightning take seconds."""
    if name in __all__:
        from semigan_pl import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
