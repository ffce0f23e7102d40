"""What a person would confirm: the truly anomalous rows among the first share of an audit.

python experiments/first_look/confirm.py audit.csv 0.05 > confirmed.csv
The benchmark's own class stands for the person.
"""

import csv
import sys

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
writer = csv.DictWriter(sys.stdout, list(rows[0]))
writer.writeheader()
writer.writerows(row for row in rows[: round(float(sys.argv[2]) * len(rows))] if row["class"] != "8")
