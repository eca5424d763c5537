"""The house itself: set-up, the counting of tests, the targets that the documents promise."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load_tool(name):
    """A Python tool without a .py ending, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Setup(unittest.TestCase):
    """tools/setup with stand-ins for the package manager, so that nothing is installed."""

    def setUp(self):
        self.tree = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.tree)
        (self.tree / "tools").mkdir()
        for name in ("setup", "packages.apt", "packages.pip"):
            shutil.copy(ROOT / "tools" / name, self.tree / "tools" / name)
        self.bin = self.tree / "bin"
        self.bin.mkdir()
        tools = "bash env dirname sed grep mkdir cat tail paste"
        for tool in tools.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.calls = self.tree / "calls"
        self.calls.touch()
        self.stand_in("apt-get", f'echo "apt-get $*" >>{self.calls}')

    def stand_in(self, name, script):
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def installed(self, *absent):
        """dpkg knows every listed package but `absent`."""
        text = re.sub(r"#.*", "", (ROOT / "tools/packages.apt").read_text())
        names = [line.split()[1] for line in text.splitlines() if line.strip()]
        lines = "".join(f"{name} installed\\n" for name in names if name not in absent)
        self.stand_in("dpkg-query", f"printf '{lines}'")

    def run_setup(self, *arguments, uid=0):
        self.stand_in("id", f"echo {uid}")
        return subprocess.run([self.tree / "tools/setup", *arguments], capture_output=True,
                              text=True, env={"PATH": str(self.bin)}, check=False)

    def test_says_and_does_nothing_when_all_is_there(self):
        self.installed()
        result = self.run_setup()
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertEqual(self.calls.read_text(), "")

    def test_installs_only_what_is_missing_and_says_so(self):
        self.installed("ccache", "libfmt-dev", "clang-16")
        result = self.run_setup()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("ccache libfmt-dev", result.stdout)
        update, install = self.calls.read_text().splitlines()
        self.assertIn("update", update)
        self.assertTrue(install.rstrip().endswith("ccache libfmt-dev"), install)

    def test_check_lists_and_installs_nothing(self):
        self.installed("ccache")
        result = self.run_setup("--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn("ccache", result.stdout)
        self.assertEqual(self.calls.read_text(), "")

    def test_goes_through_sudo_when_not_root(self):
        self.installed("ccache")
        self.stand_in("sudo", f'echo "sudo $*" >>{self.calls}; "$@"')
        self.assertEqual(self.run_setup(uid=1000).returncode, 0)
        self.assertEqual(self.calls.read_text().count("sudo"), 2)

    def test_without_root_and_sudo_it_names_the_packages(self):
        self.installed("ccache")
        result = self.run_setup(uid=1000)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ccache", result.stderr)

    def test_a_failing_package_manager_is_an_error(self):
        self.installed("ccache")
        self.stand_in("apt-get", "[[ $* != *install* ]] || { echo no such package; exit 100; }")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("no such package", result.stderr)

    def test_unknown_groups_are_refused(self):
        self.installed()
        self.assertEqual(self.run_setup("attic").returncode, 2)


class Counting(unittest.TestCase):
    """A run that proves nothing must not look green."""

    def count(self, cases, exit_code=0):
        tool = load_tool("run_tests")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.xml"
            path.write_text(f"<testsuite>{cases}</testsuite>")
            return tool.read_junit(path, exit_code)

    def test_passed_failed_and_skipped_are_told_apart(self):
        count = self.count('<testcase status="run"/><testcase/><testcase><failure/></testcase>'
                           '<testcase><error/></testcase><testcase><skipped/></testcase>', 1)
        self.assertEqual((count.passed, count.failed, count.skipped), (2, 2, 1))

    def test_no_test_is_a_problem(self):
        self.assertIn("no test", self.count("").problem)
        self.assertIn("no test", self.count("<testcase><skipped/></testcase>").problem)

    def test_a_test_that_could_not_run_has_failed(self):
        self.assertEqual(self.count('<testcase status="notrun"/>', 1).failed, 1)

    def test_a_bad_exit_code_without_a_failure_is_a_problem(self):
        self.assertIn("exit code 3", self.count("<testcase/>", 3).problem)

    def test_a_runner_that_left_nothing_is_a_problem(self):
        self.assertTrue(load_tool("run_tests").read_junit(Path("absent.xml"), 1).problem)


class Stages(unittest.TestCase):
    """The last line of .ci/run: what all stages came to."""

    def setUp(self):
        self.tool = load_tool("run_tests")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tool.RESULTS = Path(folder.name)

    def add_up(self, **counts):
        for stage, count in counts.items():
            self.tool.kept(stage).write_text(count)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = self.tool.main(["--sum"])
        return code, out.getvalue().splitlines()[-1]

    def test_every_stage_counts(self):
        self.assertEqual(self.add_up(dev="5 0 0", release="4 0 1", python="3 0 0", engines="2 0 3"),
                         (0, "14 passed, 0 failed, 4 skipped"))

    def test_a_failure_in_any_stage_is_a_failure(self):
        self.assertEqual(self.add_up(dev="5 0 0", release="4 0 0", python="3 1 0", engines="2 0 0"),
                         (1, "14 passed, 1 failed"))

    def test_a_stage_that_did_not_run_has_failed(self):
        self.assertEqual(self.add_up(dev="5 0 0", release="4 0 0", python="3 0 0"),
                         (1, "12 passed, 1 failed"))

    def test_counts_of_an_earlier_run_are_forgotten(self):
        self.tool.kept("engines").write_text("9 0 0")
        self.tool.main(["--forget"])
        self.assertFalse(self.tool.kept("engines").exists())

    def test_only_engines_may_be_skipped_altogether(self):
        path = self.tool.RESULTS / "r.xml"
        path.write_text("<testsuite><testcase><skipped/></testcase></testsuite>")
        self.assertFalse(self.tool.read_junit(path, 0, may_skip_all=True).problem)
        self.assertTrue(self.tool.read_junit(path, 0).problem)


class EngineGroups(unittest.TestCase):
    """Tests of real engines run in groups; none may fall between them."""

    def setUp(self):
        self.tool = load_tool("run_tests")
        self.groups = [group for round_ in self.tool.ENGINE_ROUNDS for group in round_]

    def test_every_file_is_in_a_group_that_runs(self):
        for file in [*self.tool.tests_in("tests/engines"), "tests/engines/test_new.py"]:
            self.assertIn(self.tool.group_of(file), self.groups, file)

    def test_what_needs_vllm_is_not_beside_anything(self):
        self.assertEqual(list(self.tool.ENGINE_ROUNDS[0]), ["vllm"])
        for file in (ROOT / "tests/engines").glob("test_vllm*.py"):
            self.assertEqual(self.tool.group_of(file), "vllm", file)


class Promises(unittest.TestCase):
    def test_every_make_target_in_the_documents_exists(self):
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
        documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / ".ci/run"]
        for document in documents:
            text = document.read_text()
            for target in re.findall(r"(?:`|^)make ([a-z-]+)\b", text, re.MULTILINE):
                self.assertIn(target, targets, document.name)

    def test_help_lists_every_target(self):
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
        output = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True,
                                env={**os.environ, "MAKEFLAGS": ""}, check=True).stdout
        self.assertEqual(set(re.findall(r"make ([a-z-]+)", output)), targets)

    def test_links_between_documents_lead_somewhere(self):
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
                self.assertTrue((document.parent / link).exists(), f"{document.name}: {link}")


if __name__ == "__main__":
    unittest.main()
