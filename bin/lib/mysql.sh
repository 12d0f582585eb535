# Sourced by bin/mysql and bin/mysql57: the life of a private MySQL server.
#
# The caller defines MYSQL_NAME, MYSQL_DIR (the unpacked server), MYSQL_BIN, MYSQL_CLIENT, and the functions
# mysql_fetch, mysql_base_flags and mysql_run_flags (one flag a line). Servers listen on loopback only, keep everything in
# the folder they are given, and have a root user without a password. They are ended by their own pid.

mysql_help() {
  cat <<H
usage: ${0##*/} COMMAND
  get                         unpack $MYSQL_NAME into the cache and prepare a template of an empty server
  start FOLDER [--port PORT] [--owner PID] [-- FLAG…]
                              start a server in FOLDER (made from the template if new), wait until it is
                              ready and print PORT; it is ended when the process PID ends
  stop FOLDER                 end it, cleanly
  kill FOLDER                 end it with kill -9
  client FOLDER [ARGUMENT…]   the mysql client, as root
  bin NAME                    print the path of one of its programs (mysqlbinlog, …)
  run [-- FLAG…]              a server in a temporary folder until Ctrl-C
H
}

mysql_command() {
  local command=${1:-help}
  shift || true
  case $command in
    get) mysql_get ;;
    start) mysql_get; mysql_start "$@" ;;
    stop) mysql_stop "$1" TERM ;;
    kill) mysql_stop "$1" KILL ;;
    client) mysql_client "$@" ;;
    bin) mysql_get; ls "$MYSQL_BIN/$1" ;;
    run) mysql_get; mysql_run "$@" ;;
    help | --help) mysql_help ;;
    *) mysql_help >&2; exit 2 ;;
  esac
}

# Unpacks the server and makes the template, once; two at a time wait for each other.
mysql_get() {
  [ ! -e "$MYSQL_DIR/.ok" ] || [ ! -d "$MYSQL_DIR.template" ] || return 0
  mkdir -p "$HEADWATER_CACHE"
  (
    flock 8
    if [ ! -e "$MYSQL_DIR/.ok" ]; then
      say "getting $MYSQL_NAME"
      mysql_fetch
      "$MYSQL_BIN/mysqld" --no-defaults --version >/dev/null || die "$MYSQL_NAME does not run here"
      touch "$MYSQL_DIR/.ok"
    fi
    if [ ! -d "$MYSQL_DIR.template" ]; then
      say "preparing an empty $MYSQL_NAME"
      rm -rf "$MYSQL_DIR.template.new"
      # shellcheck disable=SC2046
      quietly "$MYSQL_DIR.init.log" "$MYSQL_BIN/mysqld" --no-defaults $(mysql_user_flag) $(mysql_base_flags) \
        --initialize-insecure --datadir="$MYSQL_DIR.template.new"
      rm -f "$MYSQL_DIR.template.new/auto.cnf"
      mv "$MYSQL_DIR.template.new" "$MYSQL_DIR.template"
    fi
  ) 8>"$MYSQL_DIR.lock"
}

mysql_user_flag() { [ "$(id -u)" != 0 ] || echo --user=root; }

# The pid of the server that runs in FOLDER, or nothing.
mysql_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 0
  ! tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "--datadir=$1" || echo "$pid"
}

mysql_start() {
  local folder port='' owner='' from pid
  [ $# -ge 1 ] || { mysql_help >&2; exit 2; }
  folder=$(realpath -m "$1")
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --port) port=$2; shift 2 ;;
      --owner) owner=$2; shift 2 ;;
      --) shift; break ;;
      *) mysql_help >&2; exit 2 ;;
    esac
  done
  [ -z "$(mysql_pid "$folder")" ] || die "a server already runs in $folder"
  if [ ! -d "$folder" ]; then
    mkdir -p "$(dirname "$folder")"
    cp -a "$MYSQL_DIR.template" "$folder.new"
    mv "$folder.new" "$folder"
  fi
  [ -n "$port" ] || port=$(free_port)
  rm -f "$(mysql_socket "$folder")"* # a killed server leaves its lock, and its pid may live on as a zombie
  from=$(stat -c %s "$folder/error.log" 2>/dev/null || echo 0)
  # shellcheck disable=SC2046
  setsid "$MYSQL_BIN/mysqld" --no-defaults $(mysql_user_flag) $(mysql_base_flags) --datadir="$folder" \
    --bind-address=127.0.0.1 --port="$port" --socket="$(mysql_socket "$folder")" --pid-file="$folder/mysqld.pid" \
    --log-error="$folder/error.log" --log-bin=binlog --gtid-mode=ON --enforce-gtid-consistency=ON \
    --binlog-format=ROW --binlog-row-image=FULL --innodb-flush-log-at-trx-commit=2 --sync-binlog=0 \
    --skip-name-resolve --secure-file-priv= $(mysql_run_flags) "$@" >/dev/null 2>&1 </dev/null 8>&- &
  pid=$!
  mysql_socket "$folder" >"$folder/socket"
  echo $pid >"$folder/pid"
  [ -z "$owner" ] || end_with_owner "$owner" $pid
  for _ in $(seq 600); do
    if tail -c "+$((from + 1))" "$folder/error.log" 2>/dev/null | grep -q "socket: .* port: $port "; then
      echo "$port"
      return 0
    fi
    kill -0 $pid 2>/dev/null || { tail -n 20 "$folder/error.log" >&2; die "$MYSQL_NAME ended while starting"; }
    sleep 0.1
  done
  die "$MYSQL_NAME was not ready after 60 seconds, see $folder/error.log"
}

# Unix socket paths are short; a data folder's path may not be.
mysql_socket() { echo "/tmp/hw-mysql-$(printf '%s' "$1" | cksum | cut -d' ' -f1).sock"; }

# mysql_stop FOLDER SIGNAL
mysql_stop() {
  local folder pid
  folder=$(realpath -m "$1")
  pid=$(mysql_pid "$folder")
  [ -n "$pid" ] || return 0
  end_process "$pid" "$2"
}

mysql_client() {
  local folder
  folder=$(realpath -m "$1")
  shift
  "$MYSQL_CLIENT" --no-defaults --plugin-dir="${MYSQL_CLIENT%/bin/mysql}/usr/lib/mysql/plugin" -uroot -S "$(mysql_socket "$folder")" "$@"
}

mysql_run() {
  local folder port
  folder=$(mktemp -d)/mysql
  # shellcheck disable=SC2064
  trap "'$0' stop '$folder'; rm -rf '${folder%/mysql}'" EXIT
  trap 'exit 130' INT TERM
  port=$(mysql_start "$folder" --owner $$ "$@")
  say "$MYSQL_NAME runs: mysql -h 127.0.0.1 -P $port -u root (or $0 client $folder); Ctrl-C ends it"
  sleep infinity &
  wait $!
}
