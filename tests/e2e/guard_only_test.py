"""docs/howto/guard-only.md shows the two example programs as they are, and the C++ one works.

Usage: guard_only_test.py GUARD_ONLY_BINARY
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/howto/guard-only.md").read_text()


def shown(language):
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL).group(1)


def main():
    for language, name in (("cpp", "guard_only.cc"), ("python", "guard_only.py")):
        if shown(language) != (ROOT / "examples" / name).read_text():
            sys.exit(f"the page shows another {name} than examples/ has")
    result = subprocess.run([sys.argv[1]], check=False, capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)
    lines = result.stdout.splitlines()
    found = [sum(word in line for line in lines) for word in ("refused: ", " pass (", " fail (")]
    if min(found) == 0:
        sys.exit(f"refused, passed, failed: {found}\n{result.stdout}")
    # The best batch for this engine is 20; the optimizer knows nothing of it.
    ended = float(lines[-1].removeprefix("in force: "))
    if not 8 < ended < 40:
        sys.exit(f"ended at {ended}\n{result.stdout}")
    print(f"{len(lines) - 1} proposals: {found[0]} refused, {found[1]} passed, {found[2]} failed; "
          f"batch 8 -> {ended:.0f}")


main()
