#!/bin/sh
# Holds the includes against the plan of the house: a room may include the rooms below it, never above or beside.
set -eu
status=0
allowed() {
    case $1 in
        base) echo 'base' ;;
        db | zoo | tasks | runner) echo "$1 base" ;;
        eval) echo 'eval tasks runner zoo db base' ;;
        reports) echo 'reports db base' ;;
        cli) echo 'cli reports eval tasks runner zoo db base' ;;
    esac
}
for room in base db zoo tasks runner eval reports cli; do
    pattern=$(allowed $room | tr ' ' '|')
    found=$(find $room -name '*.[ch]' -exec grep -nE '^#include "' {} + | grep -vE "#include \"($pattern)/" || true)
    if [ -n "$found" ]; then
        echo "$room/ includes what it may not:"
        echo "$found"
        status=1
    fi
done
exit $status
