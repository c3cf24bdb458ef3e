# Apache: even how it serves, its MPM, is a module, which a line of its configuration loads.
packages=apache2
config='{
	"ExposedPorts": {"80/tcp": {}},
	"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "APACHE_RUN_DIR=/run", "APACHE_PID_FILE=/run/apache2.pid", "APACHE_LOCK_DIR=/run", "APACHE_LOG_DIR=/var/log/apache2", "APACHE_RUN_USER=www-data", "APACHE_RUN_GROUP=www-data"],
	"Cmd": ["apache2", "-D", "FOREGROUND"],
	"StopSignal": "SIGWINCH"
}'
setup() {
	ln -sf /dev/stdout "$1/var/log/apache2/access.log"
	ln -sf /dev/stderr "$1/var/log/apache2/error.log"
	ln -sf /dev/stdout "$1/var/log/apache2/other_vhosts_access.log"
}
