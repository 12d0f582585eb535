# Sourced by the commands in bin/: progress lines, failures, and the folder of the checkout.
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# One line of progress, with the time since the command began.
say() { printf '[%3d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2; }

# Ends the command with a reason on standard error.
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# quietly LOG COMMAND…: runs the command with its output in LOG, and shows the end of LOG if it fails.
quietly() {
  local log=$1; shift
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "failed: $* (all output: $log)"; }
}
