# fish completion for pgweir: asks the program itself, so that it knows what the program knows.

function __pgweir_run
    set -l words (commandline -opc)
    env $words[1] $argv 2>/dev/null
end

function __pgweir_options
    __pgweir_run --help | awk '/^  +-/ {
        n = 0
        for (i = 1; i <= NF && $i ~ /^-/; i++) { sub(/[,=].*/, "", $i); names[++n] = $i }
        if ($i ~ /^\[/) i++
        text = ""
        for (; i <= NF; i++) text = text " " $i
        for (j = 1; j <= n; j++) print names[j] "\t" substr(text, 2)
    }'
end

function __pgweir_keys
    __pgweir_run --help-config |
        awk '/^  [a-z]/ { key = $1; $1 = ""; sub(/^ /, ""); print key "\t" $0 }' | sort -u -k 1,1
end

function __pgweir_before
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

complete -c pgweir -n '__pgweir_before --help-config' -f -a '(__pgweir_keys)'
complete -c pgweir -n '__pgweir_before -u --user' -f -a '(__fish_complete_users)'
complete -c pgweir -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__pgweir_options)'
