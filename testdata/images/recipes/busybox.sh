# One static binary under many names: the smallest image with a shell.
packages=busybox-static
from=scratch
config='{"Cmd": ["sh"]}'
setup() {
	local root=$1 image=$2 applet
	mkdir -p "$image"/{bin,dev,etc,proc,root,sys}
	mkdir -m 1777 "$image/tmp"
	cp "$root/bin/busybox" "$image/bin/"
	for applet in $("$image/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$image/etc/passwd"
	echo 'root:x:0:' >"$image/etc/group"
}
