# fish completion for pgweir and pgweir-ramp: asks the program itself, so that it knows what the
# program knows.

function __pgweir_run
    set -l words (commandline -opc)
    env $words[1] $argv 2>/dev/null
end

# Of each line of --help about an option: its names, and what its value is called, if it takes one;
# then, behind a tab, what it does.
function __pgweir_lines
    __pgweir_run --help | awk '/^  +-/ {
        sub(/^ +/, "")
        text = match($0, /  +/) ? substr($0, RSTART + RLENGTH) : ""
        sub(/  .*/, "")
        gsub(/, |=/, " ")
        print $0 "\t" text
    }'
end

function __pgweir_options
    __pgweir_lines | awk -F '\t' '{
        n = split($1, word, " ")
        for (i = 1; i <= n; i++) if (word[i] ~ /^-/) print word[i] "\t" $2
    }'
end

# What the value of the option before is called; nothing: it takes none.
function __pgweir_value
    set -l words (commandline -opc)
    string match -q -- '-*' $words[-1]; or return
    __pgweir_lines | cut -f 1 | awk -v option=$words[-1] '{
        for (i = 1; i <= NF; i++) if ($i == option) found = 1
        if (found && $NF !~ /^-/) print $NF
        if (found) exit
    }'
end

function __pgweir_keys
    __pgweir_run --help-config |
        awk '/^  [a-z]/ { key = $1; $1 = ""; sub(/^ /, ""); print key "\t" $0 }' | sort -u -k 1,1
end

function __pgweir_values
    set -l value (__pgweir_value)
    switch "$value"
        case '{*'
            string split , (string trim -c '{}' $value)
        case USER
            __fish_complete_users
        case '[KEY]'
            __pgweir_keys
    end
end

function __pgweir_value_is
    set -l value (__pgweir_value)
    contains -- "$value" $argv
end

for program in pgweir pgweir-ramp
    complete -c $program -n 'not __pgweir_value_is "" FILE PGBENCH' -f -a '(__pgweir_values)'
    complete -c $program -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__pgweir_options)'
end
complete -c pgweir-ramp -n 'not __pgweir_value_is FILE PGBENCH' -f
