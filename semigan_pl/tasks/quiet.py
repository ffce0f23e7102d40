"""What other libraries say to people who did not ask them."""

from __future__ import annotations

import logging
import warnings


def quieten() -> None:
    """Silences what Lightning says to people who did not choose a progress bar, a sampler and a logger themselves."""
    for name in ("pytorch_lightning", "lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
