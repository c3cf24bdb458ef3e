# BusyBox as Alpine has it: stripped, position-independent, and linked to musl, which is its own dynamic linker; and
# once more as one static file. Both are built here from Debian's source, with Debian's musl.
packages='musl-tools gcc libc6-dev linux-libc-dev make bzip2'
from=scratch
config='{"Entrypoint": ["/srv/work.sh"]}'
setup() {
	local root=$1 image=$2 applet
	busybox_source "$root/build"
	cat >"$root/build/build.sh" <<'SCRIPT'
set -e
cd /build && tar xjf busybox_*.orig.tar.bz2 --strip-components=1
# The kernel's headers are beside glibc's, which musl's compiler must not see.
mkdir headers && ln -s /usr/include/linux /usr/include/mtd /usr/include/asm-generic /usr/include/*-linux-gnu/asm headers
export KCONFIG_NOTIMESTAMP=1
make -s defconfig
musl() { make -s -j"$(nproc)" CC="musl-gcc -I/build/headers" "$@"; }
musl && cp busybox busybox.dynamic
rm busybox busybox_unstripped
musl LDFLAGS=-static && cp busybox busybox.static
SCRIPT
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
	chroot "$root" sh /build/build.sh >"$root/build/log" 2>&1 || { tail -n 20 "$root/build/log" >&2; return 1; }
	umount "$root/proc" "$root/dev"
	mkdir -p "$image"/{bin,dev,etc,lib,proc,root,srv,sys}
	mkdir -m 1777 "$image/tmp"
	cp -L "$root"/lib/ld-musl-*.so.1 "$image/lib/"
	cp "$root/build/busybox.dynamic" "$image/bin/busybox"
	cp "$root/build/busybox.static" "$image/bin/busybox.static"
	for applet in $(chroot "$root" /build/busybox.static --list); do
		[ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$image/etc/passwd"
	echo 'root:x:0:' >"$image/etc/group"
	install -m 755 /dev/stdin "$image/srv/work.sh" <<'SCRIPT'
#!/bin/sh
set -e
busybox.static sh -c 'echo static; ls -l / | wc -l; cat /etc/passwd | busybox.static sed s/root/toor/ | busybox.static md5sum'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for i in 3 1 2; do echo "line $i"; done | sort | tee "$dir/lines" | tail -n 1
find /etc -type f | xargs ls -l | awk '{ print $NF }' | sed 's/^/ /' | wc -l
(umask 077; cp "$dir/lines" "$dir/copy"; ln -s copy "$dir/link"; mv "$dir/copy" "$dir/moved"; chmod 600 "$dir/moved")
tar -C "$dir" -czf /tmp/a.tar.gz . && tar -tzf /tmp/a.tar.gz | sort >/dev/null
mkfifo "$dir/pipe"; (sleep 0.1; echo through >"$dir/pipe") & read -r line <"$dir/pipe"; wait; echo "$line $(id -u) $(date +%Y)"
httpd -p 127.0.0.1:8080 -h /etc; wget -q -O - http://127.0.0.1:8080/passwd; killall httpd
df / >/dev/null; ps >/dev/null; dd if=/dev/zero of="$dir/zero" bs=4k count=16 2>/dev/null; sha256sum "$dir/zero"
nslookup localhost 127.0.0.1 >/dev/null 2>&1 || true
SCRIPT
}

# busybox_source DIR: put the source into DIR, from the cache if it is there.
# shellcheck disable=SC2154 # cache and root are build.sh's
busybox_source() {
	mkdir -p "$1"
	if ! cp "$cache"/source/busybox_*.orig.tar.bz2 "$1" 2>/dev/null; then
		mkdir -p "$cache/source" "$work/source"/{lists,archives}/partial
		sed -n 's/^deb /deb-src /p' "$root/etc/apt/sources.list" | head -n 1 >"$work/source/list"
		source_apt() {
			(cd "$cache/source" && apt-get -qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$work/source/list" \
				-o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/source/lists" -o Dir::Cache="$work/source" "$@" >/dev/null)
		}
		source_apt update
		source_apt source --download-only busybox
		cp "$cache"/source/busybox_*.orig.tar.bz2 "$1"
	fi
}
