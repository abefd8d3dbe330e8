# bash completion for pgweir: asks the program itself, so that it knows what the program knows.

# The options in the text of --help.
_pgweir_options() {
	"$1" --help 2>/dev/null | awk '/^  +-/ {
		for (i = 1; i <= NF && $i ~ /^-/; i++) { sub(/[,=].*/, "", $i); print $i }
	}'
}

_pgweir() {
	local program=$1 word=$2 before=$3
	case $before in
	-u | --user)
		mapfile -t COMPREPLY < <(compgen -u -- "$word")
		return
		;;
	--help-config)
		mapfile -t COMPREPLY < <(compgen -W "$("$program" --help-config 2>/dev/null |
			awk '/^  [a-z]/ { print $1 }' | sort -u)" -- "$word")
		return
		;;
	esac
	case $word in
	-*) mapfile -t COMPREPLY < <(compgen -W "$(_pgweir_options "$program")" -- "$word") ;;
	*) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	esac
}

complete -o filenames -F _pgweir pgweir
