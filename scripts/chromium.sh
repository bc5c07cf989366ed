#!/bin/sh
# Prints the path of a Chromium that runs, for the page's tests; as root on Debian it installs one where there is none.
set -eu

find_chromium() {
    for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome; do
        # Run, not only found: some systems have a placeholder of that name.
        if path=$(command -v "$name") && "$path" --version >/dev/null 2>&1; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

if find_chromium; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the page's tests (apt-get install chromium)." >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } >/dev/null || true
    if find_chromium; then
        exit 0
    fi
fi
echo "The page's tests need Chromium: install it (Debian: apt-get install chromium), or name it with CHROMIUM=/path/to/it." >&2
exit 1
