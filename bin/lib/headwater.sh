# Sourced by bin/run: builds the server, starts it and ends it.

server='' # the pid of the server
sql_host='' sql_port=''

build_headwater() {
  say "building headwater (release)"
  # With the benchmark, in the whole workspace: then features are as in bin/bench and bin/soak, and all three share one build.
  (cd "$TOP" && cargo build --release --quiet --workspace --bin headwater --bench bench) || die "the build failed"
}

# start_headwater FOLDER: starts it with this data directory and waits until it serves queries.
start_headwater() {
  local sql=${HEADWATER_SQL_LISTEN_ADDR:-127.0.0.1:6875}
  local internal=${HEADWATER_INTERNAL_SQL_LISTEN_ADDR:-127.0.0.1:6877}
  local http=${HEADWATER_HTTP_LISTEN_ADDR:-127.0.0.1:6876}
  local address
  for address in "$sql" "$internal" "$http"; do
    ! listening "$address" || die "something listens on $address already; choose another address (bin/run --help)"
  done
  mkdir -p "$1"
  say "starting headwater (data in $1, log in $1/headwater.log)"
  "$CARGO_TARGET_DIR/release/headwater" serve --data-dir "$1" --sql-listen-addr "$sql" \
    --internal-sql-listen-addr "$internal" --http-listen-addr "$http" >>"$1/headwater.log" 2>&1 </dev/null &
  server=$!
  sql_host=${sql%:*} sql_port=${sql##*:}
  for _ in $(seq 600); do
    ! http_ok "$http" /api/readyz || return 0
    kill -0 $server 2>/dev/null || { tail -n 20 "$1/headwater.log" >&2; server=''; die "headwater ended while starting"; }
    sleep 0.1
  done
  die "headwater is not ready after a minute, see $1/headwater.log"
}

listening() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

# http_ok ADDRESS PATH: whether GET answers 200.
http_ok() {
  local line
  exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  read -r -t 5 line <&3 || line=''
  exec 3<&-
  case $line in HTTP/*' 200'*) return 0 ;; *) return 1 ;; esac
} 2>/dev/null

# Ends whatever runs; what else was started registers itself in `also_stop`.
also_stop=()
stop_all() {
  local step
  trap '' INT TERM
  for step in "${also_stop[@]}"; do $step; done
  if [ -n "$server" ]; then
    end_process "$server" TERM
    wait "$server" 2>/dev/null || true
  fi
}
