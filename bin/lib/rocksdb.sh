# Sourced by bin/setup: one static RocksDB library for every profile and checkout.
#
# A throw-away crate in $HEADWATER_CACHE/rocksdb-build depends on the `rocksdb` of the root manifest and is
# built in release mode; its librocksdb.a is copied to $ROCKSDB_LIB_DIR, with the version beside it.
# lz4 and zstd are small: their own crates build them in each target folder.

# The version of librocksdb-sys that the workspace is locked to.
rocksdb_locked() { sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"/\1/p}' "$1"; }

need_rocksdb() {
  local want have build="$HEADWATER_CACHE/rocksdb-build" lib="$ROCKSDB_LIB_DIR/librocksdb.a"
  want=$(rocksdb_locked "$TOP/Cargo.lock")
  [ -n "$want" ] || die "Cargo.lock names no librocksdb-sys"
  have=$(cat "$ROCKSDB_LIB_DIR/version" 2>/dev/null || true)
  [ "$want" != "$have" ] || [ ! -s "$lib" ] || return 0

  if [ "$(rocksdb_locked "$build/Cargo.lock" 2>/dev/null || true)" != "$want" ] || [ -z "$(rocksdb_archive "$build")" ]; then
    rocksdb_crate "$build"
    rocksdb_build "$build"
  fi
  [ "$(rocksdb_locked "$build/Cargo.lock")" = "$want" ] || die "built another RocksDB than $want"
  mkdir -p "$ROCKSDB_LIB_DIR"
  cp "$(rocksdb_archive "$build")" "$lib.new"
  mv "$lib.new" "$lib"
  printf '%s\n' "$want" >"$ROCKSDB_LIB_DIR/version"
  say "RocksDB $want is in $ROCKSDB_LIB_DIR"
}

# The newest finished archive of the build folder, or nothing.
rocksdb_archive() {
  ls -t "$1"/target/release/build/librocksdb-sys-*/out/librocksdb.a 2>/dev/null | head -n 1
}

rocksdb_crate() {
  local version
  version=$(sed -n '/^name = "rocksdb"$/{n;s/^version = "\(.*\)"/\1/p}' "$TOP/Cargo.lock")
  mkdir -p "$1/src"
  : >"$1/src/lib.rs"
  rm -f "$1/Cargo.lock"
  cat >"$1/Cargo.toml" <<T
[package]
name = "rocksdb-prebuild"
version = "0.0.0"
edition = "2021"
[dependencies]
rocksdb = { version = "=$version", default-features = false, features = ["bindgen-runtime", "lz4", "zstd"] }
[workspace]
T
}

# Compiles in the background and tells the number of finished C++ files now and then.
rocksdb_build() {
  local build=$1 files=343 pid done_files
  say "building RocksDB, once for all later builds (14 minutes on two idle cores)"
  (
    cd "$build"
    unset ROCKSDB_LIB_DIR ROCKSDB_STATIC
    CARGO_TARGET_DIR="$build/target" exec setsid cargo build --release
  ) >"$build/build.log" 2>&1 9>&- &
  pid=$!
  # shellcheck disable=SC2064
  trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM
  while kill -0 $pid 2>/dev/null; do
    sleep 5
    [ $((SECONDS % 60)) -lt 5 ] || continue
    done_files=$(find "$build/target" -path '*librocksdb-sys*' -name '*.o' 2>/dev/null | wc -l)
    say "RocksDB: $done_files of about $files files compiled"
  done
  trap - INT TERM
  wait $pid || { tail -n 40 "$build/build.log" >&2; die "RocksDB did not build (all output: $build/build.log)"; }
}
