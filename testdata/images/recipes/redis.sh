# redis, started as the official image starts it: a shell script as root that gives /data to redis and becomes it.
# That takes CHOWN, SETUID and SETGID, none of which redis itself needs.
packages=redis-server
config='{
	"ExposedPorts": {"6379/tcp": {}},
	"Volumes": {"/data": {}},
	"WorkingDir": "/data",
	"Entrypoint": ["docker-entrypoint.sh"],
	"Cmd": ["redis-server", "--protected-mode", "no"]
}'
setup() {
	install -d "$1/data"
	chroot "$1" chown redis:redis /data
	install -m 755 /dev/stdin "$1/usr/local/bin/docker-entrypoint.sh" <<'SCRIPT'
#!/bin/sh
set -e

# Only options, or a configuration file: those are for redis-server.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
	set -- redis-server "$@"
fi

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
	find . \! -user redis -exec chown redis '{}' +
	exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi

exec "$@"
SCRIPT
}
