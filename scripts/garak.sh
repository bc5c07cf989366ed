#!/bin/sh
# garak's probes against the demo's LLM and the service around it; garak gets an environment of its own in .garak/venv.
# GARAK_PYTHON names the Python of another environment that has garak; GARAK_PROMPTS is how many prompts of a probe are tried.
set -eu
cd "$(dirname "$0")/.."

packages="garak==0.17.1 torch==2.13.0"
venv=.garak/venv
state="$packages $(cksum <benchmarks/garak-constraints.txt)"

if [ -z "${GARAK_PYTHON:-}" ] && [ "$(cat "$venv/has-garak" 2>/dev/null)" != "$state" ]; then
    echo "Installing garak into $venv: some minutes and about 2 GB of disk (log: .garak/install.log)."
    rm -rf "$venv"
    .venv/bin/python -m venv "$venv"
    # shellcheck disable=SC2086
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input -c benchmarks/garak-constraints.txt $packages \
        >.garak/install.log 2>&1; then
        tail -n 20 .garak/install.log >&2
        echo "garak can't be installed: see .garak/install.log." >&2
        exit 1
    fi
    printf '%s\n' "$state" >"$venv/has-garak"
fi

exec .venv/bin/python -m benchmarks garak "$@"
