"""What ships with the package: scenarios, feeders, tariffs and load profiles, found by name."""

from __future__ import annotations

from pathlib import Path

from abm.errors import InputError, nearest
from abm.scenario.yamlio import parse_yaml, read_text

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_dir() -> Path:
    """Folder of the shipped data: inside an installed package, else beside it in the repository."""
    inside = _PACKAGE / "_scenarios"
    return inside if inside.is_dir() else _PACKAGE.parent / "scenarios"


def _names(folder: str, pattern: str) -> dict[str, Path]:
    found = sorted((shipped_dir() / folder).glob(pattern))
    return {path.parent.name if path.name == "feeder.yaml" else path.stem: path for path in found}


def scenario_files() -> dict[str, Path]:
    """Name -> YAML file of every shipped scenario."""
    return _names(".", "*.yaml")


def feeder_folders() -> dict[str, Path]:
    """Name -> folder of every shipped feeder."""
    return {name: path.parent for name, path in _names("feeders", "*/feeder.yaml").items()}


def tariff_files() -> dict[str, Path]:
    """Name -> CSV of every shipped tariff."""
    return _names("tariffs", "*.csv")


def profile_files() -> dict[str, Path]:
    """Name -> CSV of every shipped load profile."""
    return _names("profiles", "*.csv")


def shipped_scenarios() -> dict[str, str]:
    """Name -> one-line description of every shipped scenario."""
    return {name: _yaml_description(path) for name, path in scenario_files().items()}


def shipped_feeders() -> dict[str, str]:
    """Name -> one-line description of every shipped feeder."""
    folders = feeder_folders().items()
    return {name: _yaml_description(path / "feeder.yaml") for name, path in folders}


def shipped_tariffs() -> dict[str, str]:
    """Name -> one-line description of every shipped tariff."""
    return {name: _first_comment(path) for name, path in tariff_files().items()}


def shipped_profiles() -> dict[str, str]:
    """Name -> one-line description of every shipped load profile."""
    return {name: _first_comment(path) for name, path in profile_files().items()}


def name_hint(word: str, known: dict[str, Path]) -> str:
    """Hint for a name that is not shipped: the nearest one, else all of them."""
    stem = Path(word).stem
    return nearest(stem, list(known)) or "shipped: " + ", ".join(known)


def display(path: Path) -> str:
    """A path as problems show it: relative to the working folder when it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _yaml_description(path: Path) -> str:
    try:
        data, _ = parse_yaml(read_text(path, str(path)))
    except InputError:
        return ""
    text = data.get("description", "") if isinstance(data, dict) else ""
    return " ".join(str(text).split())


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as lines:
        first = lines.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
