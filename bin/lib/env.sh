# Sourced by the commands in bin/: where build products and downloaded servers are kept.
# HEADWATER_CACHE may point elsewhere; nothing in it is needed once the server is built.
if [ -z "${HEADWATER_CACHE:-}" ]; then
  if [ "$(id -u)" = 0 ]; then HEADWATER_CACHE=/var/cache/headwater; else HEADWATER_CACHE="$HOME/.cache/headwater"; fi
fi
export HEADWATER_CACHE
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HEADWATER_CACHE/target}"
# The one static RocksDB library that every profile and checkout links (built by bin/setup).
export ROCKSDB_LIB_DIR="$HEADWATER_CACHE/rocksdb/lib"
export ROCKSDB_STATIC=1
command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"
