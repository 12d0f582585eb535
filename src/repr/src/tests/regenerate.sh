#!/bin/sh
# Asks a PostgreSQL 15 server for the answers in postgres.tsv. Connection settings as for psql (PGHOST, PGPORT, …).
# Lines of postgres.in: the type, a space, the input.
set -eu
cd "$(dirname "$0")"
psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres';
CREATE FUNCTION pg_temp.answer(typ text, input text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE format('SELECT (%L::%s)::text', input, typ) INTO result;
  IF typ = 'boolean' THEN result := left(result, 1); END IF;
  RETURN result;
EXCEPTION WHEN OTHERS THEN RETURN '!' || SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TEMP TABLE line (n serial, line text);
\copy line (line) FROM 'postgres.in' WITH (FORMAT csv, DELIMITER E'\x03', QUOTE E'\x02')
CREATE TEMP TABLE example AS
  SELECT n, replace(split_part(line, ' ', 1), '~', ' ') AS typ, substr(line, strpos(line, ' ') + 1) AS input FROM line;
\copy (SELECT typ, input, pg_temp.answer(typ, input) FROM example ORDER BY n) TO 'postgres.tsv'
SQL
