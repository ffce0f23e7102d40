"""Links to the first N images of a scores.csv, in one folder: new_images.py SCORES_CSV N FOLDER"""

import csv
import sys
from pathlib import Path

folder = Path(sys.argv[3])
folder.mkdir(parents=True, exist_ok=True)
with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))[: int(sys.argv[2])]
for row in rows:
    link = folder / f"{int(row['index']):04d}{Path(row['path']).suffix}"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(row["path"]).resolve())
