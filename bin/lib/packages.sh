# Sourced by bin/setup and the server commands: Debian packages and Rust components, installed when missing.

# The oldest Rust that the workspace builds with.
rust_version() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$TOP/Cargo.toml"; }

# need_packages NAME…: installs those that are not installed.
need_packages() {
  local missing=() p
  for p in "$@"; do
    case $(dpkg-query -W -f='${Status}' "$p" 2>/dev/null) in
      "install ok installed") ;;
      *) missing+=("$p") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local as=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing, please install them: ${missing[*]}"
    as=(sudo)
  fi
  say "installing ${missing[*]}"
  local log="$HEADWATER_CACHE/apt.log"
  quietly "$log" "${as[@]}" apt-get -qq update
  quietly "$log" "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${missing[@]}"
}

# PostgreSQL's server, without the cluster that Debian would create and start on the host.
need_postgres() {
  local conf=/etc/postgresql-common/createcluster.conf
  need_packages postgresql-common
  if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    [ ! -w $conf ] || sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' $conf
    need_packages postgresql
  fi
}

# rustfmt and clippy, which bin/test calls.
need_rust_components() {
  if cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1; then return 0; fi
  command -v rustup >/dev/null || die "rustfmt and clippy are missing and there is no rustup to add them"
  say "adding rustfmt and clippy"
  quietly "$HEADWATER_CACHE/rustup.log" rustup component add rustfmt clippy
}
