# A static program of Rust on nothing at all, linked to glibc: its runtime, threads, sockets, and no symbols.
packages='rustc gcc libc6-dev'
from=scratch
config='{
	"User": "65534:65534",
	"ExposedPorts": {"8080/tcp": {}},
	"Entrypoint": ["/server"]
}'
# shellcheck disable=SC2154 # here: the folder of build.sh
setup() {
	cp "$here/recipes/rust.rs" "$1/server.rs"
	mount -t proc proc "$1/proc" # rustc finds itself there
	TMPDIR=/tmp chroot "$1" rustc --edition 2021 -O -C target-feature=+crt-static -C strip=symbols -o /server /server.rs
	umount "$1/proc"
	cp "$1/server" "$2/server"
}
