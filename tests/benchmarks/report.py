"""What all benchmarks share: the project on the path, a table on the terminal, the same rows as JSON."""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "benchmarks"
sys.path.insert(0, str(ROOT))


def tell(name: str, rows: Sequence[Mapping[str, Any]], **settings: Any) -> None:
    """Print rows as a table, and write them with the settings and the machine to build/benchmarks/NAME.json."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([_shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    print()
    for first, *others in lines:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "machine": machine(), "settings": settings, "rows": list(rows)}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {"device": device, "threads": torch.get_num_threads(), "torch": torch.__version__}


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
