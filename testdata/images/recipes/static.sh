# A static Go program on nothing at all: no libc, no shell, no root.
from=scratch
config='{
	"User": "65534:65534",
	"ExposedPorts": {"8080/tcp": {}},
	"Entrypoint": ["/static"]
}'
# shellcheck disable=SC2154 # here: the folder of build.sh
setup() {
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$2/static" "$here/recipes/static.go"
}
