#!/bin/bash
# Does the process in this container answer 200 at PATH (default /readyz) on $PORT? For health checks, which come every other second:
# the images have no curl, and a Node per question would cost more than all the processes that it asks.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$PORT"
printf 'GET %s HTTP/1.0\r\n\r\n' "${1:-/readyz}" >&3
read -r _ status _ <&3
[ "$status" = 200 ]
