"""How the numbers of a comparison came about, in sentences made from the runs' own files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from semigan_pl.report.comparison_runs import Cell, Comparison, FinishedRun, Layout

EXPLANATIONS = {  # of metrics that need one
    "f1_max": "the largest F1 over all thresholds, anomalies positive: it looks at the test labels, so it serves the "
    "comparison with published tables only",
    "f1_max_inlier": "the largest F1 over all thresholds, inliers positive: it looks at the test labels, so it serves "
    "the comparison with published tables only; where half of the test images are anomalous, calling all of them "
    "inliers gives 0.667",
}


def span(values: Iterable[Any]) -> str:
    """Numbers as one or as a range; words one after another."""
    found = [value for value in values if value is not None]
    if not found:
        return "unknown"
    if not all(isinstance(value, (int, float)) for value in found):
        return ", ".join(dict.fromkeys(map(str, found)))
    low, high = min(found), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def protocol(runs: Sequence[FinishedRun], common: Sequence[str], layout: Layout) -> list[str]:
    """What holds for all finished runs, a sentence each, from their own files.

    Args:
        common: the overrides that all runs share.
    """
    channels = span("grey" if run.data["channels"] == 1 else "colour" for run in runs)
    counts = [run.data["counts"] for run in runs]
    pixels = span(run.data["image_size"] for run in runs)
    return [
        f"Data: {span(run.data['name'] for run in runs)}, {pixels} px, {channels}; {_tested(runs)}, "
        f"calibrated on {span(sum(one['val'].values()) for one in counts)} unlabelled ones.",
        *_trained([run for run in runs if not run.settings["classical"]]),
        *_measured(runs, layout),
        f"All runs share: `{' '.join(common)}`; code {span(run.metrics.get('git') for run in runs)}, torch "
        f"{span(run.metrics['versions']['torch'] for run in runs)}.",
    ]


def note(comparison: Comparison, setting: str) -> str:
    """What the finished runs of one setting were trained on, and which are borrowed from another; empty without any."""
    runs = comparison.runs
    cells = [cell for cell in comparison.cells if cell.setting == setting and cell.folder in runs]
    made = [cell for cell in cells if cell.home == cell.setting]
    own = [runs[place] for place in dict.fromkeys(cell.folder for cell in made or cells)]
    sentences = [_training_images(own)] if cells else []
    if cells and _test_sizes_differ(comparison):
        sentences.append(f"{_tested(own).capitalize()}.")
    known = defaultdict[str, dict[str, None]](dict)
    for cell in cells:
        if cell.known is not None:
            known[cell.known][cell.column] = None
    if known:
        named = "; ".join(f"{name} where {', '.join(columns)} is normal" for name, columns in known.items())
        sentences.append(f"Known class: {named}.")
    for home in dict.fromkeys(cell.home for cell in cells if cell.home != cell.setting):
        methods = ", ".join(dict.fromkeys(cell.method for cell in cells if cell.home == home))
        sentences.append(
            f"What ignores known anomalies ({methods}) is measured by its runs of “{comparison.titles[home]}”."
        )
    return " ".join(sentences)


def _trained(runs: Sequence[FinishedRun]) -> Iterator[str]:
    """Of methods that learn step by step: none may be finished yet."""
    if runs:
        networks = span(f"{run.settings['network']} (width {run.settings['width']})" for run in runs)
        seen = span(run.metrics["train/images_seen"] for run in runs)
        yield f"Training: {seen} unlabelled images seen, networks of size {networks}."


def _measured(runs: Sequence[FinishedRun], layout: Layout) -> Iterator[str]:
    seeds = ", ".join(map(str, sorted({run.metrics["seed"] for run in runs})))
    over_classes = ", the last column's over the classes" if layout.mean else ""
    yield (
        f"{' and '.join(layout.metrics.values())} of one score for each method, the same in all rows, chosen before "
        f"the test; the number of a class is the mean and standard deviation over the seeds ({seeds}){over_classes}."
    )
    for metric, heading in layout.metrics.items():
        if metric in EXPLANATIONS:
            yield f"{heading} is {EXPLANATIONS[metric]}."


def _training_images(runs: Sequence[FinishedRun]) -> str:
    if all(run.settings["transductive"] for run in runs):
        return "Fitted to the test images themselves, whose labels it does not see."
    sums = [{split: sum(counts.values()) for split, counts in run.data["counts"].items()} for run in runs]
    hidden = [run.data["hidden_anomalies"] for run in runs]
    shares = [round(100 * n / split["train"], 1) for n, split in zip(hidden, sums, strict=True)]
    secret = f", {span(hidden)} of them hidden anomalies ({span(shares)} %)," if any(hidden) else ""
    known, more = (span(split[name] for split in sums) for name in ("train_known", "val_known"))
    words = f" and {known} known anomalies ({more} more calibrate)" if any(s["train_known"] for s in sums) else ""
    return f"Trained on {span(split['train'] for split in sums)} unlabelled images{secret}{words}.".replace(",.", ".")


def _tested(runs: Sequence[FinishedRun]) -> str:
    sizes = [_test_sizes(run) for run in runs]
    return f"tested on {span(n for n, _ in sizes)} normal and {span(n for _, n in sizes)} anomalous images"


def _test_sizes(run: FinishedRun) -> tuple[int, int]:
    """Normal and anomalous images of the test set."""
    counts, normal = run.data["counts"]["test"], run.data["normal_classes"]
    n_normal = sum(n for name, n in counts.items() if name in normal)
    return n_normal, sum(counts.values()) - n_normal


def _test_sizes_differ(comparison: Comparison) -> bool:
    """Whether the same class and seed is tested on more images in one setting than in another."""
    sizes = defaultdict[Any, set[Any]](set)
    cells: Iterable[Cell] = (cell for cell in comparison.cells if cell.folder in comparison.runs)
    for cell in cells:
        sizes[cell.column, cell.seed].add(_test_sizes(comparison.runs[cell.folder]))
    return any(len(several) > 1 for several in sizes.values())
