# bash completion for pgweir and pgweir-ramp: asks the program itself, so that it knows what the
# program knows.

# Of each line of --help about an option: its names, and what its value is called, if it takes one.
_pgweir_lines() {
	"$1" --help 2>/dev/null | awk '/^  +-/ { sub(/^ +/, ""); sub(/  .*/, ""); gsub(/, |=/, " "); print }'
}

_pgweir_options() {
	_pgweir_lines "$1" | tr ' ' '\n' | grep '^-'
}

# What the value of option $2 is called; nothing: it takes none.
_pgweir_value() {
	_pgweir_lines "$1" | awk -v option="$2" '{
		for (i = 1; i <= NF; i++) if ($i == option) found = 1
		if (found && $NF !~ /^-/) print $NF
		if (found) exit
	}'
}

_pgweir_keys() {
	"$1" --help-config 2>/dev/null | awk '/^  [a-z]/ { print $1 }' | sort -u
}

_pgweir() {
	local program=$1 word=$2 before=$3 value=
	COMPREPLY=()
	case $before in
	-*) value=$(_pgweir_value "$program" "$before") ;;
	esac
	case $value,$word in
	USER,*) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
	\[KEY],*) mapfile -t COMPREPLY < <(compgen -W "$(_pgweir_keys "$program")" -- "$word") ;;
	\{*) mapfile -t COMPREPLY < <(compgen -W "$(tr -d '{}' <<<"$value" | tr , ' ')" -- "$word") ;;
	,-*) mapfile -t COMPREPLY < <(compgen -W "$(_pgweir_options "$program")" -- "$word") ;;
	FILE,* | PGBENCH,*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	,*) [[ $program == *-ramp ]] || mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}

complete -o filenames -F _pgweir pgweir pgweir-ramp
