# Python's own web server: an interpreter, its modules, and program text that no machine code shows.
packages=python3
config='{
	"ExposedPorts": {"8000/tcp": {}},
	"WorkingDir": "/srv",
	"Cmd": ["python3", "-m", "http.server", "8000"],
	"StopSignal": "SIGINT"
}'
setup() {
	install -d "$1/srv"
	echo 'hello from python' >"$1/srv/index.html"
}
