"""The layout is the import order: who may import whom."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "semigan_pl"
ALLOWED = {
    "types": set(),
    "atomic": set(),
    "checks": set(),
    "progress": set(),
    "growth": set(),
    "networks": {"growth", "checks"},
    "losses": {"checks"},
    "evaluation": {"checks"},
    "baselines": {"checks"},
    "features": {"checks", "atomic", "checkpoints", "types"},
    "data": {"types", "atomic", "progress", "checks", "growth"},
    "latent_search": {"losses", "checks"},
    "methods": {"types", "checks", "growth", "losses", "latent_search", "evaluation", "baselines", "features"},
    "callbacks": {"methods", "types", "atomic", "checks", "growth", "latent_search", "evaluation"},
    "report": {"evaluation", "atomic"},
    "loggers": {"atomic", "report"},
    "settings": set(),
    "checkpoints": set(),
    "command_line": set(),
    "strategy": set(),
    "detector": {"checkpoints", "types", "data", "evaluation", "methods"},
}
ALLOWED["tasks"] = set(ALLOWED)  # the top: they see everything
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Places of the package that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: write the name in full"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("semigan_pl.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_layout(path: Path) -> None:
    here = place(path)
    assert here in ALLOWED, f"{here} has no place in the layout yet"
    forbidden = imports(path) - ALLOWED[here] - {here}
    assert not forbidden, f"{path} may not import {forbidden}"


def test_siblings_are_all_real() -> None:
    assert {place(path) for path in FILES} == set(ALLOWED)


def test_files_and_functions_stay_small() -> None:
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 280, f"{path} is no longer one thing"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                assert length <= 60, f"{path}:{node.name} has {length} lines"
