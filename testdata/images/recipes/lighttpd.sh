# lighttpd: a small server whose parts are modules, named in its configuration only.
packages="lighttpd lighttpd-mod-deflate"
config='{
	"ExposedPorts": {"80/tcp": {}},
	"Cmd": ["lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"],
	"StopSignal": "SIGINT"
}'
setup() {
	cat >"$1/etc/lighttpd/lighttpd.conf" <<'CONF'
server.modules = ("mod_access", "mod_accesslog", "mod_redirect", "mod_deflate", "mod_dirlisting", "mod_expire")
server.document-root = "/srv"
server.port = 80
server.username = "www-data"
server.groupname = "www-data"
accesslog.filename = "/var/log/lighttpd/access.log"
index-file.names = ("index.html")
dir-listing.activate = "enable"
deflate.mimetypes = ("text/plain")
mimetype.assign = (".txt" => "text/plain", ".html" => "text/html")
url.redirect = ("^/old" => "/")
CONF
	install -d "$1/srv/files"
	echo 'hello from lighttpd' >"$1/srv/index.html"
	seq 5000 >"$1/srv/files/numbers.txt"
}
