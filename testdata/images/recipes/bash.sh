# bash at work: pipelines, loops, here-documents, jobs, traps, and the programs that scripts like it call.
config='{
	"WorkingDir": "/srv",
	"Entrypoint": ["/srv/work.sh"]
}'
setup() {
	install -d "$1/srv"
	install -m 755 /dev/stdin "$1/srv/work.sh" <<'SCRIPT'
#!/bin/bash
set -euo pipefail
shopt -s nullglob
trap 'rm -rf "$dir"' EXIT
dir=$(mktemp -d)
declare -A count
while read -r word; do count[$word]=$((${count[$word]:-0} + 1)); done < <(tr -s ' ' '\n' <<<'a b a c b a')
for w in "${!count[@]}"; do echo "$w ${count[$w]}"; done | sort -k2nr | tee "$dir/top" | head -n 1
find /etc -maxdepth 1 -name 'p*' -print0 | xargs -0 ls -ld | awk '{ print $NF }' | sed 's/^/ /' | wc -l
cat <<END >"$dir/doc"
here: $(id -u) $(uname -s) $(date +%Y)
END
grep -c here "$dir/doc"
(umask 077; cp "$dir/doc" "$dir/copy"; ln -s copy "$dir/link"; mv "$dir/copy" "$dir/moved"; chmod 600 "$dir/moved"; touch -d @0 "$dir/moved")
tar -C "$dir" -czf /tmp/a.tar.gz . && tar -tzf /tmp/a.tar.gz | sort >/dev/null
mkfifo "$dir/pipe"
sleep 0.1 & (echo through >"$dir/pipe") & read -r line <"$dir/pipe"; wait
echo "$line ${EPOCHSECONDS:+clock} $(stat -c %s "$dir/doc" >/dev/null && echo ok)"
coproc cat; echo co >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"; exec {COPROC[1]}>&-
trap 'echo signal' USR1; kill -USR1 $$ & wait || true; read -r -t 0.1 line </dev/zero || true
printf '%s\n' "$(ulimit -n)" "$(type -t cd)" >/dev/null; time true; exec 3<>/dev/null; df / >/dev/null
getent passwd root; getent hosts localhost || true
SCRIPT
}
