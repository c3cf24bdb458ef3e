# A web server of Node: V8, libuv with its threads, and a script.
packages=nodejs
config='{
	"ExposedPorts": {"3000/tcp": {}},
	"WorkingDir": "/srv",
	"Cmd": ["node", "app.js"]
}'
setup() {
	install -d "$1/srv"
	cat >"$1/srv/app.js" <<'JS'
const fs = require('fs'), http = require('http'), dns = require('dns'), zlib = require('zlib'), crypto = require('crypto');
http.createServer((request, response) => {
  fs.readFile(__filename, (_, text) => dns.lookup('localhost', () => crypto.pbkdf2('a', 'b', 1, 8, 'sha256', () =>
    response.end('hello from node ' + zlib.gzipSync(text).length + '\n'))));
}).listen(3000);
process.on('SIGTERM', () => process.exit(0));
JS
}
