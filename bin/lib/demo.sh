# Sourced by bin/run --demo: a shop in MySQL, the guide's statements, and a view that follows.

DEMO_SECONDS=${DEMO_SECONDS:-120} # how long the shop keeps changing
DEMO_PASSWORD=demo-$RANDOM$RANDOM

demo_folder='' trickle=''

run_demo() {
  local port
  demo_folder=$(mktemp -d)
  also_stop+=(stop_demo)
  say "starting MySQL 9.7 in $demo_folder"
  port=$("$TOP/bin/mysql" start "$demo_folder/mysql" --owner $$)
  say "loading the shop: 1000 customers, 4000 orders, 12000 order items"
  shop_sql | "$TOP/bin/mysql" client "$demo_folder/mysql"
  start_headwater "$demo_folder/data"
  say "the guide's statements, through psql -h $sql_host -p $sql_port -U materialize materialize:"
  demo_psql -a -f <(guide_sql "$port")
  say "waiting for the snapshot"
  wait_for_snapshot
  demo_psql -a -f <(views_sql)
  demo_trickle &
  trickle=$!
  show_live_view
}

stop_demo() {
  if [ -n "$trickle" ]; then kill "$trickle" 2>/dev/null || true; fi
  say "stopping headwater and MySQL"
  if [ -n "$server" ]; then
    end_process "$server" TERM
    wait "$server" 2>/dev/null || true
    server=''
  fi
  "$TOP/bin/mysql" stop "$demo_folder/mysql"
  rm -rf "$demo_folder"
}

demo_psql() { psql -X -h "$sql_host" -p "$sql_port" -U materialize -d materialize -v ON_ERROR_STOP=1 "$@"; }

shop_sql() {
  cat <<S
CREATE USER 'materialize'@'%' IDENTIFIED BY '$DEMO_PASSWORD';
ALTER USER 'materialize'@'%' REQUIRE SSL;
GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO 'materialize'@'%';
FLUSH PRIVILEGES;
CREATE DATABASE shop;
USE shop;
SET cte_max_recursion_depth = 20000;
CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(100) NOT NULL, country CHAR(2) NOT NULL);
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL, placed DATETIME(3) NOT NULL);
CREATE TABLE order_items (order_id INT NOT NULL, line INT NOT NULL, product VARCHAR(50) NOT NULL,
  quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL, PRIMARY KEY (order_id, line));
INSERT INTO customers (name, country)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
  SELECT CONCAT('Customer ', i), ELT(1 + i % 6, 'AT', 'BR', 'CA', 'JP', 'KE', 'NO') FROM n;
INSERT INTO orders (customer_id, placed)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
  SELECT 1 + (i * 7919) % 1000, NOW(3) - INTERVAL (4000 - i) MINUTE FROM n;
INSERT INTO order_items
  SELECT id, line, ELT(1 + (id + line) % 5, 'lamp', 'chair', 'desk', 'shelf', 'clock'), 1 + (id * line) % 4,
    5 + (id * 37 + line * 11) % 200 + 0.99
  FROM orders, (SELECT 1 AS line UNION SELECT 2 UNION SELECT 3) AS l;
S
}

guide_sql() {
  cat <<S
CREATE CLUSTER ingest_mysql (SIZE = '200cc');

SET CLUSTER = ingest_mysql;

CREATE SECRET mysqlpass AS '$DEMO_PASSWORD';

CREATE CONNECTION mysql_connection TO MYSQL (
    HOST '127.0.0.1',
    PORT $1,
    USER 'materialize',
    PASSWORD SECRET mysqlpass,
    SSL MODE REQUIRED
);

CREATE SOURCE mz_source
  FROM MYSQL CONNECTION mysql_connection
  FOR ALL TABLES;
S
}

# The guide's monitoring query, until every row says that its snapshot is there.
wait_for_snapshot() {
  local rows
  for _ in $(seq 240); do
    rows=$(demo_psql -At <<'S'
WITH
  source_ids AS
  (SELECT id FROM mz_sources WHERE name = 'mz_source')
SELECT mz_sources.name, snapshot_committed
FROM
  mz_internal.mz_source_statistics
    JOIN
      (
        SELECT object_id, referenced_object_id
        FROM mz_internal.mz_object_dependencies
        WHERE
          object_id IN (SELECT id FROM source_ids)
        UNION SELECT id, id FROM source_ids
      )
      AS sources
    ON mz_source_statistics.id = sources.referenced_object_id
    JOIN mz_sources ON mz_sources.id = sources.referenced_object_id;
S
    )
    if [ -n "$rows" ] && ! grep -q '|f$' <<<"$rows"; then
      echo "$rows"
      return 0
    fi
    sleep 0.5
  done
  die "the snapshot was not there after two minutes; see $demo_folder/data/headwater.log"
}

views_sql() {
  cat <<'S'
CREATE VIEW revenue AS
  SELECT c.country, count(DISTINCT o.id) AS orders, sum(i.quantity * i.price) AS revenue
  FROM customers c
    JOIN orders o ON o.customer_id = c.id
    JOIN order_items i ON i.order_id = o.id
  GROUP BY c.country;

CREATE INDEX revenue_by_country ON revenue (country);

CREATE MATERIALIZED VIEW best_sellers AS
  SELECT product, sum(quantity) AS sold FROM order_items GROUP BY product;
S
}

# About five transactions a second on one MySQL connection: orders come, change and are cancelled.
demo_trickle() {
  local until=$((SECONDS + DEMO_SECONDS)) customer
  while [ $SECONDS -lt $until ]; do
    customer=$((1 + RANDOM % 1000))
    cat <<S
START TRANSACTION;
INSERT INTO shop.orders (customer_id, placed) VALUES ($customer, NOW(3));
SET @o = LAST_INSERT_ID();
INSERT INTO shop.order_items VALUES (@o, 1, 'lamp', $((1 + RANDOM % 3)), $((RANDOM % 90)).50), (@o, 2, 'desk', 1, $((100 + RANDOM % 400)).00);
COMMIT;
DELETE FROM shop.order_items WHERE order_id = @o - 3 AND $((RANDOM % 4)) = 0;
UPDATE shop.customers SET country = 'NO' WHERE id = $customer AND $((RANDOM % 10)) = 0;
S
    sleep 0.2
  done 2>/dev/null | "$TOP/bin/mysql" client "$demo_folder/mysql" 2>"$demo_folder/trickle.log"
}

# Shows the maintained view once a second, in place on a terminal.
show_live_view() {
  local screen
  while :; do
    # Ctrl-C ends the server too; what psql then says of it is of no use.
    screen=$(demo_psql -c 'SELECT * FROM revenue ORDER BY country' -c 'SELECT * FROM best_sellers ORDER BY sold DESC' 2>&1) ||
      die "the view cannot be read: $screen"
    [ ! -t 1 ] || printf '\033[H\033[2J'
    printf '%s\n' "$(date +%T): kept up to date by Headwater while MySQL changes" "$screen"
    kill -0 "$trickle" 2>/dev/null || break
    echo "Ctrl-C ends the demo; meanwhile try: psql -h $sql_host -p $sql_port -U materialize materialize"
    sleep 1
  done
  sleep 1
  printf '\nThe shop is closed for today. What MySQL itself says:\n'
  "$TOP/bin/mysql" client "$demo_folder/mysql" -t shop -e "
    SELECT c.country, count(DISTINCT o.id) AS orders, sum(i.quantity * i.price) AS revenue
    FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_items i ON i.order_id = o.id
    GROUP BY c.country ORDER BY c.country"
  printf 'and Headwater:\n'
  demo_psql -c 'SELECT * FROM revenue ORDER BY country'
  echo "Both servers go on; Ctrl-C ends them. psql -h $sql_host -p $sql_port -U materialize materialize"
  wait "$server"
}
