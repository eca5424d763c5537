"""Every command and Python example of the README works as written, in an otherwise empty folder.

Usage: readme_test.py ARQONHPO_BINARY
Blocks marked sh run as one shell session from top to bottom, those marked python each on its own.
`make` is left out (tests/house_test.py checks that its targets exist), and so is what fetches this
tree. Other documents take part with blocks marked "sh run" and "python run".
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = re.compile(r"^\s*(make\b|git clone|cd arqonhpo|sudo\b|apt-get\b|cmake --|ctest --)")
# What a reader has in the folder after `make demo` and `make python`.
PRESENT = ("build", "scenarios", "examples", "python", "docs", "tools", ".venv", "Makefile")


def blocks(document, language):
    """The fenced blocks of `document` that are to run."""
    mark = language if document == ROOT / "README.md" else f"{language} run"
    pattern = rf"^```{mark}\n(.*?)^```"
    return re.findall(pattern, document.read_text(), re.MULTILINE | re.DOTALL)


def run(what, command, folder, text):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    result = subprocess.run(command, cwd=folder, input=text, env=environment, check=False,
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{what}: exit code {result.returncode}\n{text}\n"
                 f"--- stdout\n{result.stdout[-2000:]}\n--- stderr\n{result.stderr[-4000:]}")
    return result


def reader_folder(name):
    folder = Path(name)
    for entry in PRESENT:
        if (ROOT / entry).exists():
            (folder / entry).symlink_to(ROOT / entry)
    return folder


def run_shell(document, folder):
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()
             if line.strip() and not LEFT_OUT.match(line)]
    if lines:
        run(document.name, ["bash", "-euxo", "pipefail", "-s"], folder, "\n".join(lines) + "\n")
    return sum(not line.lstrip().startswith("#") for line in lines)


def run_python(document, folder):
    examples = blocks(document, "python")
    for text in examples:
        result = run(document.name, [ROOT / ".venv/bin/python", "-"], folder, text)
        if not result.stdout.strip():
            sys.exit(f"{document.name}: an example printed nothing\n{text}")
    return len(examples)


def main():
    binary = Path(sys.argv[1])
    if not binary.exists() or not (ROOT / "build/release/apps/arqonhpo/arqonhpo").exists():
        sys.exit("the release build is missing; `make test` makes it")
    commands = examples = 0
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        with tempfile.TemporaryDirectory() as name:
            folder = reader_folder(name)
            commands += run_shell(document, folder)
            examples += run_python(document, folder)
    if commands < 3 or examples < 1:
        sys.exit(f"only {commands} commands and {examples} examples: the README lost its blocks")
    print(f"{commands} commands and {examples} examples work")


if __name__ == "__main__":
    main()
