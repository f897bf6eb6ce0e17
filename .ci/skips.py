"""Reads a JUnit file of pytest and a limit of skips.

Exits with 1 if a test failed, if more were skipped than the limit, if one was without a reason, or
if none ran.
"""

import sys
from xml.etree import ElementTree

file, limit = sys.argv[1], int(sys.argv[2])
cases = list(ElementTree.parse(file).iter("testcase"))
skips = [
    (f"{case.get('classname')}.{case.get('name')}", skip.get("message"))
    for case in cases
    for skip in case.iter("skipped")
]
failed = sum(
    1 for case in cases if case.find("failure") is not None or case.find("error") is not None
)
print(
    f"{file}: {len(cases)} tests, {failed} failed, {len(skips)} skipped; at most 0 and {limit} may"
)
for name, reason in skips:
    print(f"  {name}: {reason or 'no reason'}")
sys.exit(not cases or failed > 0 or len(skips) > limit or not all(reason for _, reason in skips))
