"""Puts the package as it is in the tree into a virtual environment, with the library that cargo built.

    python sdk-python/tests/stage.py target/ci/libpillion_native.so

It is what an editable install does, without a build of its own: run it with the interpreter of the
environment, after `cargo build -p pillion-python --features shapes`.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "python" / "pillion"


def stage(library: Path, into: Path) -> None:
    """Links every source, so that edits show, and copies the library, so that a build does not pull it away."""
    target = into / "pillion"
    shutil.rmtree(target, ignore_errors=True)
    for source in SOURCE.rglob("*"):
        if source.suffix in {".py", ".pyi", ".typed"}:
            link = target / source.relative_to(SOURCE)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
    shutil.copy2(library, target / "_native.abi3.so")
    # What an installed wheel says of itself: its command and its plug-in for pytest.
    about = into / "pillion-0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pillion\nVersion: 0\n")
    (about / "entry_points.txt").write_text("[pytest11]\npillion = pillion.pytest\n")
    script = Path(sysconfig.get_path("scripts")) / "pillion"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom pillion._command import main\nsys.exit(main())\n")
    script.chmod(0o755)


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("run this with the interpreter of a virtual environment")
    stage(Path(sys.argv[1]).resolve(), Path(sysconfig.get_path("platlib")))
