#!/bin/sh
# The demo: the sample handbook taken into .demo/index, and the chat served on $PORT.
set -eu
cd "$(dirname "$0")/.."

port=${PORT:-8000}
mkdir -p .demo
.venv/bin/ingest add samples/handbook --index .demo/index
cat <<END

The chat will be at http://127.0.0.1:$port in a few seconds. Three questions to try:

  How many days of holiday does a full-time employee get per year?
  What is the price limit for a hotel in London under the current policy?
  Does the company pay for dental insurance?

Ctrl-C ends it.

END
exec .venv/bin/rag-bot serve --index .demo/index --host 127.0.0.1 --port "$port"
