# nginx serving Debian's default page on port 80: a root master that binds, opens logs and drops its workers to www-data.
packages=nginx
config='{
	"ExposedPorts": {"80/tcp": {}},
	"Cmd": ["nginx", "-g", "daemon off;"],
	"StopSignal": "SIGQUIT"
}'
setup() {
	ln -sf /dev/stdout "$1/var/log/nginx/access.log"
	ln -sf /dev/stderr "$1/var/log/nginx/error.log"
}
