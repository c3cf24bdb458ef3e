#!/bin/bash
# build.sh OUT NAME…: build container images from Debian packages into the OCI layout OUT/oci, tag = NAME.
#
# No registry and no engine is involved: a base layer comes from mmdebstrap, an application's layer is what
# installing its packages changes on top, and the recipes beside this script say the rest (recipes/NAME.sh):
#
#	packages	Debian packages to install over the base
#	from		"base", or "scratch" for an image of nothing but what setup puts there
#	config		the image's config, as in the OCI image specification
#	setup ROOT [IMAGE]	finish the installed tree; with from=scratch, fill IMAGE, perhaps from ROOT
#
# The same packages give the same digests. An image counts as built once OUT/oci/index.json names it, which is
# the last thing to happen, in one rename; it is built again when this script or its recipe has changed.
# Builds into one OUT, or from one cache, take turns.
#
# Environment:
#	ARCHIVES=1	also write OUT/NAME.docker.tar, for docker load and podman load (needs skopeo)
#	CACHE		keeps the base layer, package lists and .debs, enough to rebuild offline (.cache/debian)
#	SUITE		the Debian release (bookworm)
#
# Building takes root, to mount and to chroot; finding that all is built does not.
set -euo pipefail
shopt -s nullglob inherit_errexit
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CACHE:-$here/../../.cache/debian}
suite=${SUITE:-bookworm}
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $*"; exit 1; }
require() { command -v "$1" >/dev/null || die "$1 is missing: scripts/install-missing test installs it"; }

# --- what is built already ---------------------------------------------------------------------------------

# recipe_key NAME: changes with whatever decides what the image is, but for the packages' versions.
recipe_key() {
	local recipe=("$here/recipes/$1".*)
	[ ${#recipe[@]} -gt 0 ] || die "no recipe for $1 in $here/recipes"
	{ echo "$suite $SOURCE_DATE_EPOCH"; cat "$here/build.sh" "${recipe[@]}"; } | sha256sum | cut -d' ' -f1
}

# built NAME: the layout has this image, made by this recipe.
built() {
	[ -f "$oci/index.json" ] && jq -e --arg name "$1" --arg key "$(recipe_key "$1")" >/dev/null '
		any(.manifests[].annotations; .["org.opencontainers.image.ref.name"] == $name and .["profgen.recipe"] == $key)
	' "$oci/index.json"
}

archived() { [ "${ARCHIVES:-0}" != 1 ] || [ -f "$out/$1.docker.tar" ]; }

# --- the OCI layout ----------------------------------------------------------------------------------------

digest() { sha256sum "$@" | cut -d' ' -f1; }

# store FILE TYPE: copy FILE into the layout; print its descriptor.
store() {
	local sum
	sum=$(digest "$1")
	if [ ! -f "$oci/blobs/sha256/$sum" ]; then
		cp "$1" "$oci/blobs/sha256/.new"
		mv "$oci/blobs/sha256/.new" "$oci/blobs/sha256/$sum"
	fi
	jq -nc --arg type "$2" --arg sum "$sum" --argjson size "$(stat -c %s "$1")" \
		'{mediaType: $type, digest: ("sha256:" + $sum), size: $size}'
}

# publish NAME CONFIG LAYER.tar.gz…: store the image and let the index name it.
publish() {
	local name=$1 config=$2 layer layers='[]' diffs='[]'
	shift 2
	for layer; do
		layers=$(jq -c --argjson l "$(store "$layer" application/vnd.oci.image.layer.v1.tar+gzip)" '. + [$l]' <<<"$layers")
		diffs=$(jq -c --arg d "sha256:$(gzip -dc "$layer" | digest)" '. + [$d]' <<<"$diffs")
	done
	jq -c --argjson diffs "$diffs" --arg arch "$(oci_arch)" --arg path "$path" --arg name "$name" \
		--arg time "$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)" '{
			created: $time, architecture: $arch, os: "linux",
			config: ({Env: ["PATH=" + $path]} + .),
			rootfs: {type: "layers", diff_ids: $diffs},
			history: [range($diffs | length) | {created: $time, created_by: "testdata/images/build.sh \($name)"}],
		}' <<<"$config" >"$work/config.json"
	jq -nc --argjson layers "$layers" \
		--argjson config "$(store "$work/config.json" application/vnd.oci.image.config.v1+json)" \
		'{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: $layers}' \
		>"$work/manifest.json"
	rm -f "$out/$name.docker.tar" # of the image before this one
	echo '{"imageLayoutVersion":"1.0.0"}' >"$oci/oci-layout"
	[ -f "$oci/index.json" ] || echo '{"schemaVersion":2,"manifests":[]}' >"$oci/index.json"
	jq -c --arg name "$name" --arg key "$(recipe_key "$name")" \
		--argjson manifest "$(store "$work/manifest.json" application/vnd.oci.image.manifest.v1+json)" '
		.manifests |= (map(select(.annotations["org.opencontainers.image.ref.name"] != $name))
			+ [$manifest + {annotations: {"org.opencontainers.image.ref.name": $name, "io.containerd.image.name": ($name + ":latest"), "profgen.recipe": $key}}]
			| sort_by(.annotations["org.opencontainers.image.ref.name"]))' \
		"$oci/index.json" >"$oci/.index.json.new"
	mv "$oci/.index.json.new" "$oci/index.json"
}

# sweep: remove the blobs that no image uses any more.
sweep() {
	local manifest used blob
	used=$(jq -r '.manifests[].digest' "$oci/index.json")
	for manifest in $used; do
		used+=" $(jq -r '.config.digest, .layers[].digest' "$oci/blobs/sha256/${manifest#sha256:}" | xargs)"
	done
	for blob in "$oci"/blobs/sha256/* "$oci"/blobs/sha256/.new; do
		[[ " ${used//$'\n'/ } " == *" sha256:${blob##*/} "* ]] || rm -f "$blob"
	done
}

oci_arch() {
	case $(dpkg --print-architecture) in
	i386) echo 386 ;;
	armhf) echo arm ;;
	ppc64el) echo ppc64le ;;
	*) dpkg --print-architecture ;;
	esac
}

# --- layers ------------------------------------------------------------------------------------------------

# pack TREE LAYER.tar.gz: the tree as a layer with nothing of this run in it.
pack() {
	(cd "$1" && find . -mindepth 1 -printf '%P\0' | sort -z) | tar -C "$1" --null --no-recursion --files-from=- \
		--numeric-owner --clamp-mtime --mtime="@$SOURCE_DATE_EPOCH" \
		--format=pax --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime \
		--xattrs --xattrs-include=security.capability -cf - | gzip -n >"$2"
}

# forget_when ROOT: remove what says when this was installed rather than what, and what is only a copy.
forget_when() {
	rm -f "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/apt/*.bin "$1"/run/adduser
	rm -f "$1"/var/cache/ldconfig/aux-cache "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old
	rm -f "$1/etc/passwd-" "$1/etc/group-" "$1/etc/shadow-" "$1/etc/gshadow-"
}

# make_base FILE: a small Debian. policy-rc.d keeps packages from starting services, as in other base images.
# Device nodes are the runtime's business; resolv.conf and hostname are this machine's.
make_base() {
	# shellcheck disable=SC2016 # $1 is for the hook: the tree
	mmdebstrap --quiet --mode=root --variant=essential --include=apt \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--aptopt='APT::Install-Recommends "false"' --customize-hook='
			printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"
			chmod 755 "$1/usr/sbin/policy-rc.d"
			rm -rf "$1"/var/lib/apt/lists/* "$1/etc/resolv.conf" "$1/etc/hostname"
			: >"$1/etc/resolv.conf"
			: >"$1/etc/hostname"' \
		--customize-hook="$(declare -f forget_when); forget_when \"\$1\"" \
		"$suite" - | mmtarfilter --path-exclude='/dev/*' | gzip -n >"$1"
}

# base: print the cached base layer, after making it if need be. The name is what it was made with.
base() {
	local file
	file=$cache/base-$suite-$({ declare -f make_base forget_when; echo "$SOURCE_DATE_EPOCH"; } | digest | cut -c1-12).tar.gz
	if [ ! -f "$file" ]; then
		make_base "$file.new"
		mv "$file.new" "$file"
	fi
	echo "$file"
}

# install_packages ROOT PACKAGE…: apt inside ROOT, with the lists and .debs of the cache.
install_packages() {
	local root=$1
	shift
	mkdir -p "$cache/debs/partial" "$cache/lists/partial"
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
	mount --bind "$cache/debs" "$root/var/cache/apt/archives"
	mount --bind "$cache/lists" "$root/var/lib/apt/lists"
	mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
	apt_get() {
		chroot "$root" apt-get -qq -y -o APT::Keep-Downloaded-Packages=true -o Dpkg::Use-Pty=0 "$@" \
			</dev/null >"$work/apt.log" 2>&1
	}
	# Cached lists and .debs do without the network; lists that are not there, or stale, do not.
	apt_get install --no-install-recommends "$@" ||
		{ apt_get update && apt_get install --no-install-recommends "$@"; } ||
		{ tail -n 20 "$work/apt.log" >&2; die "cannot install $*"; }
	umount "$root"/{proc,dev,var/cache/apt/archives,var/lib/apt/lists,etc/resolv.conf}
	forget_when "$root"
}

# changes LOWER UPPER ROOT: make UPPER, the overlay's own notes, a layer that turns LOWER into ROOT. What is gone
# is found by comparing the trees, which covers whiteouts and opaque directories alike.
changes() {
	local lower=$1 upper=$2 root=$3 gone
	while IFS= read -r gone; do
		[ -d "$root/${gone%/*}" ] || continue # gone with its folder
		mkdir -p "$upper/${gone%/*}"
		: >"$upper/${gone%/*}/.wh.${gone##*/}"
	done < <(comm -23 <(cd "$lower" && find . | sort) <(cd "$root" && find . | sort))
	find "$upper" -type c -delete # last: with a whiteout gone, ROOT shows the file again
}

# build NAME
build() (
	name=$1 packages='' from=base config='{}' layers=()
	setup() { :; }
	# shellcheck source=/dev/null
	. "$here/recipes/$name.sh"
	tree=$work/$name
	mkdir -p "$tree"/{lower,upper,overlay,root,image}
	if [ "$from" = base ] || [ -n "$packages" ]; then
		base=$(base)
		tar -C "$tree/lower" --numeric-owner --xattrs --xattrs-include=security.capability -xzf "$base"
		mount -t overlay overlay "$tree/root" \
			-o "lowerdir=$tree/lower,upperdir=$tree/upper,workdir=$tree/overlay,redirect_dir=off,metacopy=off"
		# shellcheck disable=SC2086 # a list
		[ -z "$packages" ] || install_packages "$tree/root" $packages
	fi
	setup "$tree/root" "$tree/image"
	case $from in
	base)
		changes "$tree/lower" "$tree/upper" "$tree/root"
		pack "$tree/upper" "$tree/layer.tar.gz"
		layers=("$base")
		;;
	scratch) pack "$tree/image" "$tree/layer.tar.gz" ;;
	*) die "recipes/$name.sh: from=$from" ;;
	esac
	publish "$name" "$config" "${layers[@]}" "$tree/layer.tar.gz"
)

archive() {
	rm -f "$out/.$1.docker.tar"
	skopeo copy --quiet "oci:$oci:$1" "docker-archive:$out/.$1.docker.tar:localhost/$1:latest"
	mv "$out/.$1.docker.tar" "$out/$1.docker.tar"
}

# --- main --------------------------------------------------------------------------------------------------

[ $# -ge 2 ] || die 'usage: build.sh OUT NAME…'
for name in "${@:2}"; do recipe_key "$name" >/dev/null; done
require jq
mkdir -p "$1/oci/blobs/sha256" "$1/.work" "$cache"
out=$(cd "$1" && pwd) oci=$out/oci work=$out/.work cache=$(cd "$cache" && pwd)
shift

if [ -z "${BUILD_SH_INSIDE:-}" ]; then
	exec 8<"$out" # a folder will do for a lock, and asks for no right to write
	flock 8
	todo=()
	for name; do
		if built "$name" && archived "$name"; then say "$name: cached"; else todo+=("$name"); fi
	done
	[ ${#todo[@]} -gt 0 ] || exit 0
	[ "$(id -u)" = 0 ] || die "building ${todo[*]} takes root"
	require mmdebstrap
	[ "${ARCHIVES:-0}" != 1 ] || require skopeo
	exec 7<"$cache"
	flock 7
	# The work is done in namespaces of its own, scratch space included, and tied to this process: however it
	# ends, the kernel clears every mount and every process away.
	BUILD_SH_INSIDE=1 setpriv --pdeathsig KILL -- \
		unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- \
		"$here/build.sh" "$out" "${todo[@]}"
	exit
fi

trap 'exit 130' INT # process 1 of its namespace dies of no signal it does not ask for
mount -t tmpfs -o mode=755 tmpfs "$work"
export TMPDIR=$work
for name; do
	SECONDS=0
	if ! built "$name"; then
		build "$name"
		sweep
	fi
	if ! archived "$name"; then archive "$name"; fi
	say "$name: built in ${SECONDS}s"
done
