"""What `kustomize build` makes of an overlay.

The renderer is `HUB_KUSTOMIZE`, or the one in `.cache/kustomize`, or on the path kustomize 5 or a kubectl with it.

    python -m tests.deploy.k8s_render find     # prints the command; fails when there is none
    python -m tests.deploy.k8s_render build    # builds one into the cache, with Go

Errors:
    KustomizeUnavailable    no renderer is there; says what repairs it
"""

import argparse
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = tuple(sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml")))
MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.0.3"
"""The kustomize of kubectl 1.28; what it renders, newer ones render."""
_CACHE = ROOT / ".cache" / "kustomize"

Manifest = dict[str, Any]


class KustomizeUnavailable(RuntimeError):
    """Nothing here can render; the message holds the command that changes it."""


def command() -> list[str]:
    """The command that renders the directory named behind it."""
    named = os.environ.get("HUB_KUSTOMIZE")
    for candidate in (named, str(_CACHE / "kustomize")):
        if candidate and shutil.which(candidate):
            return [candidate, "build"]
    if "v5" in _says("kustomize", "version"):
        return ["kustomize", "build"]
    if "Kustomize Version: v5" in _says("kubectl", "version", "--client"):
        return ["kubectl", "kustomize"]
    raise KustomizeUnavailable(
        "kustomize 5, or a kubectl that has it (1.27 or newer), is needed. Install one, name it in HUB_KUSTOMIZE, "
        "or build one with Go: python -m tests.deploy.k8s_render build"
    )


def build_renderer() -> Path:
    """Build kustomize into the cache. Raises KustomizeUnavailable."""
    go = shutil.which("go")
    if go is None:
        raise KustomizeUnavailable("Go is needed to build kustomize: apt-get install -y golang-go")
    done = subprocess.run(
        [go, "install", MODULE],
        env={**os.environ, "GOBIN": str(_CACHE)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KustomizeUnavailable(f"go install {MODULE} failed:\n{done.stderr[-2000:]}")
    return _CACHE / "kustomize"


@cache
def text_of(overlay: str) -> str:
    """The overlay's manifests as they would be applied; nothing may be said on stderr, warnings neither."""
    done = subprocess.run(
        [*command(), str(K8S / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@cache
def render(overlay: str) -> tuple[Manifest, ...]:
    """The overlay's manifests; they are shared, so don't change them."""
    return tuple(yaml.safe_load_all(text_of(overlay)))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    return [manifest for manifest in render(overlay) if manifest["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Manifest:
    (found,) = [manifest for manifest in of_kind(overlay, kind) if manifest["metadata"]["name"] == name]
    return found


def _says(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.k8s_render")
    parser.add_argument("action", choices=["find", "build"])
    action = parser.parse_args().action
    try:
        print(*command() if action == "find" else [build_renderer()])
    except KustomizeUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
