# sh -c watch.sh sh BIN SETTING...
#
# Makes a data directory, starts the server of it for each line of the input, and
# removes both when the input ends. That it does also when the process at the other
# end has been killed, and so no server outlives a test.

# Ctrl-C ends the test, which ends us by our input, and not in the middle of this.
trap '' HUP INT TERM
exec 2>&1

bin=$1
shift
dir=$(mktemp -d "${TMPDIR:-/tmp}/earshot-postgres.XXXXXX") || exit
dir=$(cd "$dir" && pwd -P)
if "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale -N --no-instructions >"$dir/log" 2>&1; then
	printf '%s\n' "$@" >>"$dir/data/postgresql.conf"
	echo "dir $dir"
else
	cat "$dir/log"
	echo failed
fi

while read -r _; do
	# -w: pg_ctl returns when the server answers, or has ended.
	if "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -s -w -t 60 start </dev/null; then
		echo ready
	else
		tail -n 20 "$dir/log"
		echo failed
	fi
done

"$bin/pg_ctl" -D "$dir/data" -s -w -m immediate stop >/dev/null 2>&1
rm -rf "$dir"
