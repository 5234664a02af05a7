"""A training checkpoint as a Hugging Face folder that ``masklet_export --hf-dir`` takes.

    python -m masklet_train.release CHECKPOINT OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from .loop import Trainer
from .model import unfold


def main(argv: list[str]) -> int:
    """CHECKPOINT: a folder with model.safetensors and state.json."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    trainer = Trainer.load(Path(argv[0]))
    unfold(trainer.net.folded_copy()).save_pretrained(argv[1])
    print(f"step {trainer.step}: wrote {argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
