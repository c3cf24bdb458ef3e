#!/usr/bin/env bash
# Records an nginx image while a client asks it for pages, generates its
# profile, and runs nginx under that. Everything stays in .cache/demo.
set -euo pipefail
cd "$(dirname "$0")/.."

profgen=bin/profgen
image=.cache/images/oci:nginx
out=.cache/demo/nginx

bold='' plain=''
[ ! -t 1 ] || bold=$'\033[1m' plain=$'\033[0m'

step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '$ %s\n' "$*"; }

# client asks for a page that is there, one that is not, and one by another method.
client='curl -fsS http://127.0.0.1/ >/dev/null && curl -sS http://127.0.0.1/missing >/dev/null && curl -sS -X POST http://127.0.0.1/ >/dev/null'
page='curl -fsS http://127.0.0.1/ | grep -q "Welcome to nginx"'

step "1. An nginx image made from Debian packages"
testdata/images/build.sh .cache/images nginx

step "2. Record it while a client asks for pages, and generate its profile"
rm -rf "$out"
show profgen record -o "$out" --image "$image" --check "'curl …'"
"$profgen" record -o "$out" --image "$image" --check "$client" >/dev/null
show ls "$out"
ls "$out"

step "3. Run it under the profile with runc: is the page served, is anything denied?"
show profgen verify "$out" --image "$image" --runs 3 --check "'curl … | grep \"Welcome to nginx\"'"
"$profgen" verify "$out" --image "$image" --runs 3 --check "$page" 2>/dev/null

step "4. Try what it never needed: a new network namespace, a kernel crypto socket"
forbidden() {
	show profgen verify "$out" --image "$image" --runs 1 -- "$@"
	if "$profgen" verify "$out" --image "$image" --runs 1 -- "$@"; then
		echo "demo: that should have been refused" >&2
		exit 1
	fi
}
forbidden unshare --net true
# shellcheck disable=SC2016 # perl's variables
forbidden perl -e 'socket(my $s, 38, 5, 0) or die "socket AF_ALG: $!\n"'

step "5. Use it"
echo "docker run \$(bin/profgen flags $out) IMAGE, with these flags:"
"$profgen" flags "$out"
