# Sourced by bin/lib/mysql.sh and the commands that start servers: ports and orderly ends.

# A loopback port on which nothing listens, below the range that outgoing connections use.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return 0; }
  done
  die "no free port between 20000 and 32000"
}

# end_process PID SIGNAL: sends it and waits for the end; after 30 seconds kill -9.
end_process() {
  kill -"$2" "$1" 2>/dev/null || return 0
  for _ in $(seq 300); do
    kill -0 "$1" 2>/dev/null || return 0
    [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" != Z ] || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

# end_with_owner OWNER PID: leaves a watch behind that ends PID when OWNER has ended, however it ended.
end_with_owner() {
  setsid bash -c '
    while kill -0 "$1" 2>/dev/null; do kill -0 "$2" 2>/dev/null || exit 0; sleep 1; done
    kill -TERM "$2" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$2" 2>/dev/null || exit 0; sleep 1; done
    kill -KILL "$2" 2>/dev/null' watch "$1" "$2" >/dev/null 2>&1 </dev/null 8>&- 9>&- &
}
