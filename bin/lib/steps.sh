# Sourced by bin/test and bin/soak: steps with progress lines, counted to one closing line.

LOGS="$HEADWATER_CACHE/test-logs"
mkdir -p "$LOGS"
passed=0
failed=0
failures=()

# check NAME COMMAND…: a step that passes or fails as a whole.
check() {
  local name=$1; shift
  say "$name: $*"
  if run_logged "$name" "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
    tail -n 60 "$LOGS/$name.log" >&2
  fi
}

# tests NAME COMMAND…: a `cargo test` whose tests are counted one by one.
tests() {
  local name=$1 status=0 p f; shift
  say "$name: $*"
  run_logged "$name" "$@" || status=$?
  read -r p f < <(awk '/^test result:/{p += $4; f += $6} END {print p + 0, f + 0}' "$LOGS/$name.log")
  # A build that fails, or a test program that dies, has no result line.
  if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  passed=$((passed + p))
  failed=$((failed + f))
  say "$name: $p passed, $f failed"
  if [ "$f" -gt 0 ]; then
    failures+=("$name")
    tail -n 100 "$LOGS/$name.log" >&2
  fi
}

# Runs a command with its output in the step's log, and says every half minute how far it is.
run_logged() {
  local log="$LOGS/$1.log" name=$1 pid status=0 began=$SECONDS; shift
  # A group of its own: an end from outside reaches everything that the step has started.
  setsid "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # shellcheck disable=SC2064
  trap "kill -TERM -- -$pid 2>/dev/null; wait $pid; exit 130" INT TERM
  while kill -0 $pid 2>/dev/null; do
    sleep 0.5
    [ $((SECONDS - began)) -ge 30 ] || continue
    began=$SECONDS
    say "$name: $(tail -n 1 "$log" | tr -d '\r' | cut -c1-120)"
  done
  wait $pid || status=$?
  trap - INT TERM
  return $status
}

# Prints the closing line and ends the command.
finish() {
  [ ${#failures[@]} -eq 0 ] || say "failed: ${failures[*]} (all output in $LOGS)"
  echo "$passed passed, $failed failed"
  [ $failed -eq 0 ]
}
