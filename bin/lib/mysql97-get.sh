# Sourced by bin/mysql: a real MySQL server from Debian sid's packages, unpacked into a private folder.
# Nothing is installed on the host, and no dpkg or apt state of the host is touched: apt runs with a state of
# its own, and the server runs with the dynamic loader and the libraries of its folder.

# mysql97_get FOLDER: leaves $FOLDER/bin/{mysqld,mysql,…} and $FOLDER/usr.
mysql97_get() {
  local dest=$1 mirror arch multi work deb loader program path
  [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] || die "MySQL 9.7 is unpacked from Debian's packages: this is not a Debian machine"
  mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
  [ -n "$mirror" ] || mirror=$(awk '$1=="deb"{for(i=2;i<=NF;i++) if ($i ~ /:\/\//){print $i; exit}}' /etc/apt/sources.list)
  arch=$(dpkg --print-architecture)
  multi=$(gcc -print-multiarch 2>/dev/null || true)
  [ -n "$multi" ] || multi=$(uname -m)-linux-gnu
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf $work" EXIT # of the subshell that mysql_get runs this in
  mkdir -p "$work"/{lists/partial,archives/partial,parts}
  : >"$work/status"
  echo "deb [arch=$arch signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$work/sources.list"
  cat >"$work/apt.conf" <<A
Dir::State "$work";
Dir::State::status "$work/status";
Dir::State::lists "$work/lists";
Dir::Cache "$work";
Dir::Cache::archives "$work/archives";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/parts";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$work/parts";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
A
  quietly "$HEADWATER_CACHE/mysql97-get.log" env APT_CONFIG="$work/apt.conf" apt-get -qq update
  quietly "$HEADWATER_CACHE/mysql97-get.log" env APT_CONFIG="$work/apt.conf" \
    apt-get -qq -y --download-only install mysql-server-core mysql-client-core
  rm -rf "$dest.new"
  mkdir -p "$dest.new/bin"
  for deb in "$work"/archives/*.deb; do
    case ${deb##*/} in perl*|libperl*|libdb5*|libgdbm*|libc-gconv*) continue ;; esac
    dpkg-deb -x "$deb" "$dest.new"
  done
  rm -rf "$dest.new"/usr/share/{doc,man,perl,locale,icu}
  loader=$(cd "$dest.new" && find . -name 'ld-linux*.so.*' | head -n 1)
  for program in mysqld mysql mysqladmin mysqldump mysqlbinlog; do
    path=$(cd "$dest.new" && find ./usr/sbin ./usr/bin -name $program -type f | head -n 1)
    [ -n "$path" ] || continue
    printf '#!/bin/sh\nexec %s --argv0 %s --library-path %s %s "$@"\n' \
      "$dest/${loader#./}" $program "$dest/usr/lib/$multi" "$dest/${path#./}" >"$dest.new/bin/$program"
    chmod +x "$dest.new/bin/$program"
  done
  rm -rf "$dest"
  mv "$dest.new" "$dest"
}
