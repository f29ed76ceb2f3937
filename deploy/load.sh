#!/bin/sh
# docker compose run --rm k6 NAME: fires loadtests/NAME.ts at the load balancer and asks the auditor.
# Exit code: 0 every threshold held, 1 at least one did not, 2 nothing is known.
name=${1:-}
folder=${LOADTESTS:-/loadtests}
case $name in
  *[!a-z0-9-]*) known=false ;;
  *) [ -f "$folder/$name.ts" ] && known=true || known=false ;;
esac
if [ "$known" = false ]; then
  echo 'docker compose run --rm k6 NAME, where NAME is one of:' >&2
  for script in "$folder"/*.ts; do echo "  $(basename "$script" .ts)" >&2; done
  exit 2
fi

# The name of this run in the auditor, and the beginning of each idempotency key.
export RUN="$name-$(date +%s)"
# This shell is the container's first process: without it passing them on, signals would not reach k6.
k6 run --no-usage-report --no-color "$folder/$name.ts" &
k6=$!
trap 'kill -TERM "$k6"' INT TERM
wait "$k6"
status=$?
trap - INT TERM
wait "$k6" 2>/dev/null

# k6 ends with 99 when thresholds were crossed; every other code means that the script or k6 itself broke off.
case $status in
  0) echo "$name: passed" ;;
  99) echo "$name: failed"; exit 1 ;;
  *) echo "$name: unknown (k6 ended with $status)"; exit 2 ;;
esac
