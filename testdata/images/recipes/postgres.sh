# PostgreSQL, started as the official image starts it: a shell script as root makes the folders, becomes postgres,
# makes the cluster if there is none, and becomes the server.
config='{
	"ExposedPorts": {"5432/tcp": {}},
	"Volumes": {"/var/lib/postgresql/data": {}},
	"Env": ["PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PGDATA=/var/lib/postgresql/data"],
	"Entrypoint": ["docker-entrypoint.sh"],
	"Cmd": ["postgres"],
	"StopSignal": "SIGINT"
}'
setup() {
	# A cluster and a key for TLS, which the packages make and no two times alike, are left out.
	TMPDIR=/tmp install_packages "$1" postgresql-common
	echo 'create_main_cluster = false' >>"$1/etc/postgresql-common/createcluster.conf"
	TMPDIR=/tmp install_packages "$1" postgresql-15
	rm "$1/etc/ssl/private/ssl-cert-snakeoil.key" "$1/etc/ssl/certs/ssl-cert-snakeoil.pem"
	find "$1/etc/ssl/certs" -lname ssl-cert-snakeoil.pem -delete
	install -m 755 /dev/stdin "$1/usr/local/bin/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/bash
set -e

if [ "${1#-}" != "$1" ]; then
	set -- postgres "$@"
fi

if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" /run/postgresql
	chown postgres:postgres "$PGDATA" /run/postgresql
	chmod 700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	initdb --auth=trust --encoding=UTF8 >/dev/null
	echo 'host all all all trust' >>"$PGDATA/pg_hba.conf"
	pg_ctl -w -o "-c listen_addresses=''" start >/dev/null
	psql -v ON_ERROR_STOP=1 --no-psqlrc -d postgres -c 'CREATE DATABASE app' >/dev/null
	pg_ctl -w -m fast stop >/dev/null
	set -- "$@" -c "listen_addresses=*"
fi

exec "$@"
SCRIPT
}
