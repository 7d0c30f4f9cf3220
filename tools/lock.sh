#!/usr/bin/env bash
# Resolves pyproject.toml into hash-pinned locks that name no index. `--upgrade` moves the pins.
#   lock.sh UV [uv pip compile options]
set -euo pipefail

uv=${1:?usage: lock.sh UV [options]}
shift

compile() {
    "$uv" pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
        --python-version 3.11 "$@"
}

compile "$@" --group build --output-file requirements/build.txt
compile "$@" --group image --output-file requirements/image.txt
compile "$@" pyproject.toml --output-file requirements/runtime.txt
compile "$@" pyproject.toml --group dev --output-file requirements/dev.txt
