# Signals to a server's process and all that descend from it; and the watchdog
# that ends them when the test process is gone.
#
#   sh family.sh signal STOP|CONT|KILL PID..
#   sh family.sh watch FOLDER              (ends FOLDER's servers when stdin ends)
#
# A process group is not enough: PostgreSQL's and Erlang's children leave it.

# The processes given and their descendants, by what /proc says now.
family() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v roots="$*" '
        # The name, in parentheses, may contain anything.
        { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2 }
        END {
            count = split(roots, root, " ")
            for (i = 1; i <= count; i++) if (root[i] in parent) found[root[i]]
            do {
                more = 0
                for (pid in parent)
                    if (!(pid in found) && (parent[pid] in found)) { found[pid]; more = 1 }
            } while (more)
            for (pid in found) print pid
        }' | sort -n
}

signal() {
    name=$1
    shift
    if [ "$name" = CONT ]; then
        all=$(family "$@")
        [ -z "$all" ] || kill -CONT $all 2>/dev/null
        return 0
    fi
    # A stopped process makes no children: when two looks agree, all are found.
    before=
    while all=$(family "$@"); [ "$all" != "$before" ]; do
        kill -STOP $all 2>/dev/null
        before=$all
    done
    [ "$name" = STOP ] || [ -z "$all" ] || kill "-$name" $all 2>/dev/null
    return 0
}

watch() {
    folder=$1
    # Ctrl-C is meant for the test process; its end is what counts here.
    trap '' INT TERM HUP
    read -r _
    # A server that is being started writes its process id into this folder
    # first, so from here on it fails.
    mv "$folder" "$folder.ended"
    signal KILL $(cat "$folder.ended"/pids/* 2>/dev/null)
    # What was killed may write for a moment yet.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf "$folder.ended" 2>/dev/null && break
        sleep 0.2
    done
}

"$@"
