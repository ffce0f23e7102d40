"""The magnetic tiles as a csv for data=manifest: python tiles_as_csv.py MAGNETIC_TILE > tiles.csv"""

import sys
from pathlib import Path

print("path,label,mask,class")
for image in sorted(Path(sys.argv[1]).resolve().glob("MT_*/Imgs/*.jpg")):
    kind = image.parts[-3].removeprefix("MT_")
    print(f"{image},{'good' if kind == 'Free' else 'bad'},{image.with_suffix('.png')},{kind}")
