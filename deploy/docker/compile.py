"""Byte-compiles all modules under a directory, so that the same sources make the same bytes in every build.

    python compile.py DIR

`compileall` does not: what it writes depends on which objects the compiler happens to share, which the marshal format
records from its version 3 on, and by default on the sources' dates. Here the format's version is 2, and a file is
tied to its source by hash, which nobody checks: the image's sources don't change.
"""

import marshal
import sys
import warnings
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path

_HASH_UNCHECKED = (0b01).to_bytes(4, "little")
_WITHOUT_SHARED_OBJECTS = 2


def compile_all(directory: Path) -> int:
    """How many modules were compiled; what is not valid Python for this interpreter stays as it is."""
    count = 0
    for path in sorted(directory.rglob("*.py")):
        source = path.read_bytes()
        try:
            code = compile(source, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        target = Path(cache_from_source(str(path)))
        target.parent.mkdir(exist_ok=True)
        header = MAGIC_NUMBER + _HASH_UNCHECKED + source_hash(source)
        target.write_bytes(header + marshal.dumps(code, _WITHOUT_SHARED_OBJECTS))
        count += 1
    return count


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"{compile_all(Path(sys.argv[1]))} modules compiled")
