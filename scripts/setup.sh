#!/bin/sh
# Makes .venv and installs rag-bot with the extras given as arguments; calls pip only where something has changed.
set -eu
cd "$(dirname "$0")/.."

here=$(pwd -P)
state="$here $(cat pyproject.toml constraints.txt | cksum)"
log=.venv/install.log

say() { printf '%s\n' "$*"; }

stop() {
    say "$@" >&2
    exit 1
}

version='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
modules='import ensurepip, sqlite3, ssl, venv'

# A name on the PATH proves nothing (it may be a shim that fails, or too old): each is run.
find_python() {
    incomplete=
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        "$name" -c "$version" >/dev/null 2>&1 || continue
        if "$name" -c "$modules" >/dev/null 2>&1; then
            say "$name"
            return
        fi
        incomplete=${incomplete:-$name}
    done
    if [ -n "$incomplete" ]; then
        stop "$incomplete lacks venv, ensurepip, sqlite3 or ssl: install it whole (Debian, Ubuntu: apt-get install python3-venv)."
    fi
    stop "rag-bot needs Python 3.11, 3.12 or 3.13, and none was found: install one, or name it with PYTHON=/path/to/python."
}

usable() {
    .venv/bin/python -c "$version; import pip" >/dev/null 2>&1 || return 1
    # Installed commands name the folder they were made for: a copied or moved .venv would run another checkout.
    [ ! -e .venv/where ] || [ "$(cat .venv/where)" = "$here" ]
}

installed() {
    for extra in "$@"; do
        [ "$(cat ".venv/has-$extra" 2>/dev/null)" = "$state" ] || return 1
    done
}

# pip's output goes to the log; a terminal sees its last line, so that minutes of downloading don't look like nothing.
watch() {
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        [ ! -t 1 ] || printf '\r\033[K%.78s' "$line"
    done
    [ ! -t 1 ] || printf '\r\033[K'
}

pip_install() {
    rm -f .venv/failed
    {
        .venv/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" 2>&1 || : >.venv/failed
    } | watch
    [ ! -e .venv/failed ]
}

[ $# -gt 0 ] || stop "Usage: scripts/setup.sh EXTRA…"

if [ -e .venv ] && ! usable; then
    say "The .venv here does not run, or was made for another folder: making it anew."
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=$(find_python)
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        stop "The virtual environment .venv can't be made with $python: see the message above."
    fi
fi
say "$here" >.venv/where

if installed "$@"; then
    exit 0
fi

# faiss-cpu and faiss-gpu put the same module in the same place: one goes before the other comes.
for pair in "cpu gpu" "gpu cpu"; do
    wanted=${pair% *} other=${pair#* }
    case " $* " in *" $wanted "*)
        if [ -e ".venv/has-$other" ]; then
            .venv/bin/python -m pip uninstall -q -y --disable-pip-version-check "faiss-$other"
            rm -f ".venv/has-$other"
        fi
        ;;
    esac
done

# llama-cpp-python is built here. Its kernels for AMX, as gcc builds them, end the process on quantised models: they are
# left out, also on a machine that has AMX (-DGGML_AMX_…=OFF does nothing beside llama.cpp's -march=native).
no_amx="-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
# shellcheck disable=SC2086
if "${CC:-cc}" $no_amx -E -x c /dev/null >/dev/null 2>&1; then
    export CFLAGS="${CFLAGS:-} $no_amx" CXXFLAGS="${CXXFLAGS:-} $no_amx"
fi

say "Installing into .venv ($*). The first time this takes some minutes and about 2 GB of disk" \
    "(more where torch comes with CUDA)."
: >"$log"
if ! pip_install -c constraints.txt -e ".[$(say "$*" | tr ' ' ',')]"; then
    grep -i '^ *error' "$log" >&2 || tail -n 20 "$log" >&2
    stop "The installation failed (all of it: $log). Is the package index reachable, and is there room on the disk?"
fi
for extra in "$@"; do
    say "$state" >".venv/has-$extra"
done
