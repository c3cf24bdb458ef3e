# sqlite3 as a job: one run of a script of statements on a database of its own, then the end.
packages=sqlite3
config='{
	"WorkingDir": "/srv",
	"Entrypoint": ["sqlite3"],
	"Cmd": ["/srv/data.db", ".read /srv/work.sql"]
}'
setup() {
	install -d "$1/srv"
	cat >"$1/srv/work.sql" <<'SQL'
PRAGMA journal_mode=WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000) INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;
CREATE INDEX tv ON t(v);
SELECT count(*), max(length(v)) FROM t;
SELECT datetime('now', 'localtime') > '2000';
ATTACH '/tmp/other.db' AS o;
CREATE TABLE o.u AS SELECT * FROM t ORDER BY v LIMIT 5000;
DELETE FROM t WHERE k % 3 = 0;
PRAGMA wal_checkpoint(TRUNCATE);
PRAGMA journal_mode=DELETE;
VACUUM;
.backup /tmp/backup.db
.output /tmp/out.csv
.mode csv
SELECT * FROM t LIMIT 100;
.output stdout
.import /tmp/out.csv imported
.shell echo shell
SELECT 'done';
SQL
}
