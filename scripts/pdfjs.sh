#!/bin/sh
# Puts a version of pdf.js, which draws the pages of PDFs in the chat page, into the package: sh scripts/pdfjs.sh 5.6.205
# It needs npm. Only what the page loads is kept; then run the tests of the page (pytest -m browser).
set -eu

version=${1:?name the version, as in: sh scripts/pdfjs.sh 5.6.205}
target=$(cd "$(dirname "$0")/.." && pwd)/rag_bot/api/static/pdfjs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "pdfjs-dist@$version" >/dev/null
tar xzf pdfjs-dist-*.tgz
rm -rf "$target"
mkdir -p "$target/fonts" "$target/wasm"
cp package/LICENSE "$target/LICENSE"
# The legacy build runs in browsers that are some years old, too.
cp package/legacy/build/pdf.min.mjs package/legacy/build/pdf.worker.min.mjs "$target/"
# Fonts that a PDF may leave out, and JPEG 2000 without WebAssembly, which the page's security policy forbids.
cp package/standard_fonts/* "$target/fonts/"
cp package/wasm/openjpeg_nowasm_fallback.js package/wasm/LICENSE_OPENJPEG package/wasm/LICENSE_PDFJS_OPENJPEG "$target/wasm/"
cat > "$target/README.md" <<TEXT
# pdf.js $version

The npm package pdfjs-dist (Mozilla, Apache-2.0: LICENSE), unchanged, of which only what the chat page loads is kept. Fonts:
LICENSE_FOXIT and LICENSE_LIBERATION in fonts/; JPEG 2000: LICENSE_OPENJPEG in wasm/. Another version:
\`sh scripts/pdfjs.sh VERSION\`.
TEXT
