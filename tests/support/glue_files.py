"""Small GLUE files, written for tests, and damaged copies."""

import re
from pathlib import Path

RTE = """\
sentence1\tsentence2\tlabel
A baker puts the bread into the oven.\tThere is bread in the oven.\tentailment
Two boys in red play chess.\tNobody plays.\tnot_entailment
The river froze last night.\tThe river is frozen.\tentailment
A woman paints a fence.\tA man paints a wall.\tnot_entailment
The bus leaves at noon.\tA bus leaves.\tentailment
Rain is expected on Sunday.\tSunday will be dry.\tnot_entailment
"""

STS = """\
A baker puts the bread into the oven.,The baker is putting bread in an oven.,4.8
"Two boys, in red, play chess.",Two boys in red are playing chess.,4.6
The river froze last night.,The river was frozen by morning.,3.9
A woman paints a fence.,A woman is painting a portrait.,2.1
The bus leaves at noon.,A cat sleeps on the sofa.,0.2
Rain is expected on Sunday.,The printer is out of paper.,0.0
"""


QQP = """\
id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate
1\t1\t2\tHow old is it?\tWhat is its age?\t1
2\t3\t4\tWho came?
\tWho came yesterday?\t1
3\t5\t6\tWhere is it?\tWhen is it?\t0
"""


def write_glue(folder: Path) -> None:
    """Write glue/, damaged copies of it, and empty/.

    short/ has a truncated row. equal/ has equal scores; alike/ has equal first scores.
    """
    for split in ("train", "dev"):
        for name, place, text in (
            ("glue", "RTE", RTE),
            ("glue", "STS-B", STS),
            ("short", "RTE", RTE + "Only one.\tentailment\n"),
            ("equal", "STS-B", re.sub(r"[\d.]+$", "2.5", STS, flags=re.MULTILINE)),
            ("alike", "STS-B", re.sub(r"[\d.]+$", "2.5", STS, count=3, flags=re.MULTILINE)),
            ("glue", "QQP", QQP),
        ):
            path = folder / name / place / f"{split}.{'csv' if place == 'STS-B' else 'tsv'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (folder / "empty").mkdir()
