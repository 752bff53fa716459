#!/usr/bin/env bash
# Fuzzes every target of the module for as long as the first argument says, one by one.
set -euo pipefail
cd "$(dirname "$0")/.."
for=${1:-30s}
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
  for target in $(grep -oE '^func Fuzz[A-Za-z0-9]+' "$file" | awk '{print $2}'); do
    echo "== $target in $(dirname "$file"), $for"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$for" "$(dirname "$file")"
  done
done
