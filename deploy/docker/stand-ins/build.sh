#!/usr/bin/env bash
# Builds stand-ins for the images that docker-compose.yml and the Dockerfile start from, on a Debian machine that reaches
# Debian's packages and a Maven repository, but no image registry. What they leave unproven: docs/evidence/compose.md.
#   build.sh PYTHON       PYTHON has this repository's requirements (make test), for Kafka's jars
# Needs root, docker and debootstrap. Packages come from where this machine's own apt takes them.
set -euo pipefail

python=${1:?usage: build.sh PYTHON}
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # NAME [CONTEXT]
    DOCKER_BUILDKIT=1 docker build --network host --quiet --tag "stand-in/$1" --file "$1.Dockerfile" "${2:-.}"
}

if ! docker image inspect stand-in/debian >/dev/null 2>&1; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Created-By: Packages' | head -n 1)
    debootstrap --variant=minbase bookworm "$work/rootfs" "$mirror" >"$work/log" || { tail "$work/log" >&2; exit 1; }
    rm -rf "$work"/rootfs/var/cache/apt/* "$work"/rootfs/var/lib/apt/lists/*
    tar -C "$work/rootfs" -c . | docker import --change 'CMD ["bash"]' - stand-in/debian
fi

mkdir -p "$work/kafka"
cp kafka.sh "$work/kafka/"
cp -r "$(cd ../../.. && "$python" -m tests.support.kafka resolve)" "$work/kafka/libs"

build python
build postgres
build kafka "$work/kafka"
build prometheus
