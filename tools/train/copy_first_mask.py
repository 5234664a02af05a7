"""The baseline that any tracker has to beat: every object's first mask, copied to its later frames.

    python tools/train/copy_first_mask.py SPLIT OUT

Writes OUT/<video>/<object>/<frame>.png for a split in SA-V layout, to be scored by
``masklet score --gt SPLIT/Annotations_6fps --pred OUT``.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main(split: Path, out: Path) -> None:
    """Frames before the first mask are left out, as a run leaves them out."""
    for folder in sorted((split / "Annotations_6fps").glob("*/*")):
        target = out / folder.parent.name / folder.name
        first = None
        for path in sorted(folder.glob("*.png")):
            if first is None and np.asarray(Image.open(path)).any():
                first = path
            if first is not None:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(first, target / path.name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
