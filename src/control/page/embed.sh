#!/bin/sh
# Files as C arrays, for the page of the stats port. usage: embed.sh NAME FILE [NAME FILE]...
set -eu
while [ $# -gt 0 ]; do
	printf 'static const unsigned char %s[] = {\n' "$1"
	od -An -v -tu1 "$2" | sed 's/[0-9][0-9]*/&,/g'
	printf '};\n'
	shift 2
done
