"""Stand-ins for the CUDA libraries that the published torch wheel is linked to.

Why: the torch wheel for Linux is the CUDA build. Its libtorch_*.so name cuBLAS, cuDNN, NCCL and
others as needed libraries, over 2 GB of wheels of which a machine without a GPU never calls one
function. The dynamic loader, however, wants every such library to exist under its soname, to define
the version nodes that torch's references name, and (Python's import binds at once) to have every
function. So this writes small shared objects, 16 to 34 kB each, in which every missing function
returns 999, an error code in all of these interfaces, and puts them where torch's run path looks:
SITE_PACKAGES/nvidia/<folder>/lib. The result is a torch whose cuda.is_available() is False.

Needs gcc and readelf. Usage: cuda_stubs.py SITE_PACKAGES
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

# soname -> (beginning of its functions' names, folder below nvidia/; "" is the CUDA toolkit's own).
# The first match wins, so a longer beginning stands before a shorter one.
LIBRARIES = {
    "libcublasLt.so.13": ("cublasLt", ""),
    "libcublas.so.13": ("cublas", ""),
    "libcudnn.so.9": ("cudnn", "cudnn"),
    "libcusparseLt.so.0": ("cusparseLt", "cusparselt"),
    "libcusparse.so.12": ("cusparse", ""),
    "libcufft.so.12": ("cufft", ""),
    "libcurand.so.10": ("curand", ""),
    "libcusolver.so.12": ("cusolver", ""),
    "libnccl.so.2": ("nccl|pnccl", "nccl"),
    "libnvrtc.so.13": ("nvrtc", ""),
    "libnvshmem_host.so.3": ("nvshmem", "nvshmem"),
    "libcufile.so.0": ("cuFile", ""),
    "libcuda.so.1": ("cu[A-Z]", ""),  # the driver
}
ERROR_CODE = 999


class Symbols(NamedTuple):
    needed: set[str]            # sonames
    wanted: dict[str, str]      # undefined function -> version node it names, or ""
    defined: set[str]


def run(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True,
                          text=True).stdout


def read_symbols(library: Path) -> Symbols:
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-dW", library)))
    wanted: dict[str, str] = {}
    defined: set[str] = set()
    for line in run("readelf", "--dyn-syms", "-W", library).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":"):
            continue
        name, _, version = fields[7].partition("@")
        if fields[6] != "UND":
            defined.add(name)
        elif fields[4] == "GLOBAL":
            wanted[name] = version.lstrip("@")
    return Symbols(needed, wanted, defined)


def assign(missing: dict[str, str]) -> dict[str, dict[str, str]]:
    """The missing functions by the library that has them by name."""
    out: dict[str, dict[str, str]] = defaultdict(dict)
    for name, version in sorted(missing.items()):
        for soname, (beginning, _) in LIBRARIES.items():
            if re.match(beginning, name):
                out[soname][name] = version
                break
    return out


def source(functions: dict[str, str], soname: str) -> str:
    lines = [f"int {name}(void) {{ return {ERROR_CODE}; }}" for name in functions]
    return "\n".join([f"int arqon_stub_{re.sub(r'[^0-9A-Za-z]', '_', soname)};", *lines, ""])


def version_script(functions: dict[str, str]) -> str:
    """Empty when no reference names a version node."""
    nodes: dict[str, list[str]] = defaultdict(list)
    for name, version in functions.items():
        if version:
            nodes[version].append(name)
    return "".join(f"{node} {{ global: {'; '.join(names)}; }};\n" for node, names in nodes.items())


def build(target: Path, soname: str, functions: dict[str, str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stub.c").write_text(source(functions, soname))
        options = [f"-Wl,-soname,{soname}"]
        if script := version_script(functions):
            (folder / "stub.map").write_text(script)
            options.append(f"-Wl,--version-script={folder / 'stub.map'}")
        # Some names are the compiler's own functions, with other signatures.
        run("gcc", "-shared", "-fPIC", "-O1", "-w", "-fno-builtin", *options,
            "-o", folder / "stub.so", folder / "stub.c")
        target.write_bytes((folder / "stub.so").read_bytes())
    target.with_name(target.name + ".stub").touch()


def make(site_packages: Path) -> dict[str, int]:
    """Writes what is missing; functions by soname. Run again, it writes the same again."""
    toolkit = next(folder / "lib" for folder in sorted((site_packages / "nvidia").glob("cu[0-9]*"))
                   if (folder / "lib").is_dir())
    torch = [read_symbols(path) for path in sorted((site_packages / "torch" / "lib").glob("*.so*"))]
    real = [path for path in toolkit.glob("*.so*")
            if not path.with_name(path.name + ".stub").exists() and path.suffix != ".stub"]
    defined = set().union(*(library.defined for library in torch),
                          *(read_symbols(path).defined for path in real))
    missing = {name: version for library in torch for name, version in library.wanted.items()
               if name not in defined}
    functions = assign(missing)
    needed = set().union(*(library.needed for library in torch))
    made = {}
    for soname, (_, folder) in LIBRARIES.items():
        if soname not in needed or soname in {path.name for path in real}:
            continue
        place = site_packages / "nvidia" / folder / "lib" if folder else toolkit
        build(place / soname, soname, functions.get(soname, {}))
        made[soname] = len(functions.get(soname, {}))
    return made


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for soname, count in make(Path(sys.argv[1]).resolve()).items():
        print(f"{soname}: {count} functions")
