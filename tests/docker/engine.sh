#!/bin/bash
# Docker for the tests where there is nothing to start from: a bare Debian 12, root, no image registry.
#
#   tests/docker/engine.sh [WORK_FOLDER]      default: ${XDG_CACHE_HOME:-$HOME/.cache}/firedrill-docker
#
# Provides, each only where it is missing: a running engine, `docker compose`, debian:trixie-slim and postgres:17 (built
# from Debian's packages unless a registry gives them). Then docker-compose.yml at the root works as on any machine.
# The engine keeps running; its process id is in WORK_FOLDER/dockerd.pid.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/firedrill-docker}
mkdir -p "$work"
work=$(cd "$work" && pwd)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'engine.sh %3d s  %s\n' "$SECONDS" "$*"; }
die() { say "$*" >&2; exit 1; }
quietly() {  # LOG COMMAND...: the command's output is shown only if it fails
    local log=$work/$1; shift
    "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "failed: $* (all of its output: $log)"; }
}
engine_answers() { docker version >/dev/null 2>&1; }
have_image() { docker image inspect "$1" >/dev/null 2>&1; }
pull() { timeout 60 docker pull --quiet "$1" >"$work/pull.log" 2>&1; }

# The address of Debian's archive is the one that this machine's own apt uses.
debian_archive() {
    local release
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016  # apt-get fills these in, not the shell
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v release="$release" '$1 == release && $2 == "main" && !uri { uri = $3 } END { print uri }'
}

# apt with its own lists and status, so that a package of Debian 13 is found and verified without being offered to
# this machine. Its configuration (a proxy, say) stays in force.
apt13() {
    mkdir -p "$work"/apt/{lists,archives}/partial
    touch "$work/apt/status"
    echo "deb [signed-by=$keyring] $archive trixie main" >"$work/apt/sources.list"
    apt-get -qq -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt" \
        -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

from_debian13() {  # PACKAGE: unpacked into WORK_FOLDER/PACKAGE, not installed; sets archive
    archive=$(debian_archive)
    [[ $archive ]] || die "apt-get indextargets names no archive for this release's main: run apt-get update, or look at /etc/apt"
    [[ -d $work/$1 ]] && return
    [[ ${updated:-} ]] || quietly apt.log apt13 update
    updated=yes
    (cd "$work" && quietly apt.log apt13 download "$1" && dpkg-deb -x "$1"_*.deb "$1.new" && mv "$1.new" "$1" && rm "$1"_*.deb)
}

start_engine() {
    [[ $(id -u) == 0 ]] || die "no Docker engine answers, and starting one needs root"
    if ! command -v dockerd >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        quietly install.log apt-get -qq update
        # perl: mmdebstrap is written in it
        quietly install.log apt-get -qq install --yes --no-install-recommends docker.io iptables ca-certificates perl
        say "docker.io installed"
    fi
    # a separate session: the engine outlives this script and the terminal
    setsid dockerd </dev/null >"$work/dockerd.log" 2>&1 &
    echo $! >"$work/dockerd.pid"
    local deadline=$((SECONDS + 30))
    until engine_answers; do
        if ((SECONDS > deadline)) || ! kill -0 "$(<"$work/dockerd.pid")" 2>/dev/null; then
            tail -n 20 "$work/dockerd.log" >&2
            die "dockerd does not answer (all of its output: $work/dockerd.log)"
        fi
        sleep 0.1
    done
    say "engine started, process $(<"$work/dockerd.pid")"
}

engine_answers || start_engine

if ! docker compose version >/dev/null 2>&1; then
    from_debian13 docker-compose
    plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
    mkdir -p "$plugins"
    install "$work/docker-compose/usr/libexec/docker/cli-plugins/docker-compose" "$plugins"
    say "$(docker compose version) placed in $plugins"
fi

if ! have_image debian:trixie-slim && ! pull debian:trixie-slim; then
    from_debian13 mmdebstrap
    quietly trixie.log "$work/mmdebstrap/usr/bin/mmdebstrap" --variant=minbase --keyring="$keyring" \
        trixie "$work/trixie.tar" "$archive"
    quietly trixie.log docker import --change 'CMD ["bash"]' "$work/trixie.tar" debian:trixie-slim
    rm "$work/trixie.tar"
    say "debian:trixie-slim built"
fi

if ! have_image postgres:17 && ! pull postgres:17; then
    # through compose, as it brings BuildKit: twice as fast as the builder inside the engine
    printf 'services: {postgres: {image: "postgres:17", build: "%s"}}' "$here/postgres" >"$work/compose.yml"
    quietly postgres.log docker compose --file "$work/compose.yml" --project-name firedrill-stand-in build
    say "postgres:17 built, a stand-in"
fi

say "ready: $(docker version --format 'engine {{.Server.Version}}'), compose $(docker compose version --short)"
