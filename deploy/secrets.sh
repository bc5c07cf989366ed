#!/bin/sh
# Make what docker-compose.yml needs as secrets, one file each. What is there is kept.
#
#   sh deploy/secrets.sh             random passwords and keys; state in SQLite
#   sh deploy/secrets.sh postgres    the same; state in the PostgreSQL of the profile `state`
#
# Slack's tokens come from Slack: write them into secrets/rag_bot_slack_bot_token and secrets/rag_bot_slack_app_token.
set -eu
cd "$(dirname "$0")/.."
folder=${SECRETS:-secrets}

case "${1:-sqlite}" in
    sqlite | postgres) state=${1:-sqlite} ;;
    *) echo "Usage: sh deploy/secrets.sh [sqlite|postgres]" >&2; exit 2 ;;
esac

random() {
    LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32
}

# The folder is closed, its files are not: they are mounted one by one, and a container's user must be able to read them.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022
for name in rag_bot_admin_password rag_bot_metrics_key postgres_password grafana_admin_password; do
    [ -s "$folder/$name" ] || random >"$folder/$name"
done
for name in rag_bot_slack_bot_token rag_bot_slack_app_token; do
    [ -e "$folder/$name" ] || : >"$folder/$name"
done
if [ "$state" = postgres ]; then
    printf 'postgresql+pg8000://rag_bot:%s@postgres/rag_bot' "$(cat "$folder/postgres_password")" >"$folder/rag_bot_state"
elif [ ! -e "$folder/rag_bot_state" ] || [ $# -gt 0 ]; then
    : >"$folder/rag_bot_state"
fi
echo "The secrets are in $folder. The user admin signs in with the word in $folder/rag_bot_admin_password."
