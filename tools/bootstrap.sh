#!/usr/bin/env bash
# Sets up what the Makefile needs on a fresh machine, or stops with the exact command to run.
#   bootstrap.sh venv DIR        a virtual environment with pip, on Python 3.11 or newer
#   bootstrap.sh system PYTHON   Java 17+, Maven, Kafka's jars and PostgreSQL, for the tests' real servers, and faketime,
#                                for the tests in which the wall clock of a service jumps, and promtool, for the alerts;
#                                KAFKA_BOOTSTRAP_SERVERS and HUB_STORE_URL name servers to use instead,
#                                HUB_FAKETIME_LIB the library, HUB_PROMTOOL the tool
#                                kustomize, for the manifests: HUB_KUSTOMIZE names it, else it is looked for, else built
set -euo pipefail

MIN_JAVA=17

say() { printf 'bootstrap: %s\n' "$*" >&2; }

stop() {
    say "$@"
    exit 1
}

# Prints the prefix that makes a command run as root; fails when there is none.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        printf ''
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        printf 'sudo -n'
    else
        return 1
    fi
}

apt_install() {
    local prefix
    command -v apt-get >/dev/null || stop "missing: $*. Install the equivalents with this machine's package manager, then run make again."
    if ! prefix=$(as_root); then
        stop "missing: $*. Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
    say "installing $*"
    # shellcheck disable=SC2086 # an empty prefix must vanish
    $prefix apt-get update -qq
    # shellcheck disable=SC2086
    $prefix env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    local dir=$1 python version
    python=$(find_python) || stop "Python 3.11 or newer is needed. Install it, or name it: make PYTHON=/path/to/python3.11 ..."
    if [ -x "$dir/bin/python" ] && "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "python$version-venv"
    fi
    "$python" -m venv --clear "$dir"
}

java_is_recent() {
    local major
    command -v java >/dev/null || return 1
    major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge "$MIN_JAVA" ]
}

has_postgres() {
    case "${HUB_STORE_URL:-}" in postgresql*) return ;; esac
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

has_faketime() {
    [ -n "${HUB_FAKETIME_LIB:-}" ] || compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null
}

kustomize_parts() {
    local python=$1
    if ! "$python" -m tests.deploy.k8s_render find >/dev/null 2>&1; then
        command -v go >/dev/null || apt_install golang-go
        say "building kustomize"
        "$python" -m tests.deploy.k8s_render build >&2
    fi
}

has_promtool() {
    [ -n "${HUB_PROMTOOL:-}" ] || command -v promtool >/dev/null || [ -x "$(promtool_dir)/promtool" ]
}

promtool_dir() {
    printf '%s' "${HUB_PROMETHEUS_CACHE:-$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)/.cache/prometheus}"
}

# Takes the tool out of Debian's package: installed, that would start a server, now and at every boot.
fetch_promtool() {
    local dir prefix
    dir=$(promtool_dir)
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        stop "missing: promtool. Put Prometheus' own on the path, or name it: HUB_PROMTOOL=/path/to/promtool make test"
    say "fetching promtool"
    mkdir -p "$dir"
    # shellcheck disable=SC2086 # an empty prefix must vanish
    if prefix=$(as_root); then $prefix apt-get update -qq; fi
    (
        cd "$dir" &&
            apt-get download -qq prometheus >&2 &&
            dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract --strip-components=3 ./usr/bin/promtool &&
            rm -f prometheus_*.deb
    ) || stop "promtool could not be fetched. Run: sudo apt-get update && apt-get download prometheus, or name one: HUB_PROMTOOL=/path/to/promtool"
}

system_parts() {
    local python=$1 missing=() own_kafka=${KAFKA_BOOTSTRAP_SERVERS:-}
    if [ -z "$own_kafka" ]; then
        java_is_recent || missing+=(default-jre-headless)
        command -v mvn >/dev/null || missing+=(maven)
    fi
    has_postgres || missing+=(postgresql)
    has_faketime || missing+=(faketime)
    if [ "${#missing[@]}" -gt 0 ]; then
        apt_install "${missing[@]}"
    fi
    has_promtool || fetch_promtool
    if [ -z "$own_kafka" ]; then
        # An older release's default Java may be too old; its newer one then goes by name.
        java_is_recent || apt_install "openjdk-$MIN_JAVA-jre-headless"
        java_is_recent || stop "Java $MIN_JAVA or newer must come first on PATH; 'java -version' shows an older one."
        "$python" -m tests.support.kafka resolve >/dev/null
    fi
    kustomize_parts "$python"
}

case "${1:-}" in
    venv) make_venv "${2:?usage: bootstrap.sh venv DIR}" ;;
    system) system_parts "${2:?usage: bootstrap.sh system PYTHON}" ;;
    *) stop "usage: bootstrap.sh venv DIR | system PYTHON" ;;
esac
