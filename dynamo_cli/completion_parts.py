"""The parts of the completion scripts that do not depend on the commands; `completions` puts the tables around them.

WALK and KIND are bash and zsh alike: they use no name that is special in either (in zsh, `path` and `words` are).
"""

from __future__ import annotations

WALK = """\
# Walks the words before the cursor: sets command (its words), place (which argument comes next), previous (a flag
# that waits for its value) and nodes (what -n and -c say).
_dyn_walk() {
    local word
    command="" place=1 previous="" nodes=()
    for word in "$@"; do
        if [[ -n $previous ]]; then
            case $previous in
                -n|--node|-c|--context) nodes+=("$previous" "$word") ;;
            esac
            previous=""
        elif _dyn_takes_value "$command:$word"; then
            previous=$word
        elif [[ $word == -* ]]; then
            continue
        else
            _dyn_subcommands "$command"
            if [[ " $list " == *" $word "* ]]; then
                command="${command:+$command }$word" place=1
            else
                (( place++ ))
            fi
        fi
    done
}
"""

KIND = """\
# Sets kind: what completes the argument at $place.
_dyn_kind() {
    local each i=0
    kind="none"
    _dyn_arguments "$command"
    for each in LIST; do
        (( ++i ))
        if [[ $i == "$place" || $each == *\\* ]]; then
            kind=${each%\\*} kind=${kind//,/ }
            return
        fi
    done
}
"""

BASH = """\

_dyn() {
    local line=${COMP_LINE:0:COMP_POINT} current colons kind command place previous list
    local -a typed nodes
    COMPREPLY=()
    # By itself bash cuts words at colons; keys have them. So: cut the line ourselves, and give back what bash expects.
    read -ra typed <<< "$line"
    [[ $line == *[[:space:]] ]] && typed+=("")
    current=${typed[-1]}
    _dyn_walk "${typed[@]:1:${#typed[@]}-2}"
    if [[ -n $previous ]]; then
        _dyn_value "$command:$previous"
        kind=$list
    elif [[ $current == --*=* ]]; then
        _dyn_value "$command:${current%%=*}"
        kind=$list current=${current#*=}
    elif [[ $current == -* ]]; then
        _dyn_options "$command"
        kind=$list
    else
        _dyn_subcommands "$command"
        kind=$list
        [[ -n $kind ]] || _dyn_kind
    fi
    case $kind in
        none) ;;
        keys|nodes|names|contexts)
            local word
            while IFS= read -r word; do
                COMPREPLY+=("$(printf %q "$word")")
            done < <(dyn __complete "$kind" "$current" "${nodes[@]}" 2>/dev/null) ;;
        files) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames ;;
        values)
            if [[ $current == @* ]]; then
                local file
                while IFS= read -r file; do
                    COMPREPLY+=("@$(printf %q "$file")")
                done < <(compgen -f -- "${current#@}")
            fi ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$current") ;;
    esac
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        colons=${current%"${current##*:}"}
        COMPREPLY=("${COMPREPLY[@]#"$colons"}")
    fi
}

complete -F _dyn dyn
"""

ZSH = """\

_dyn() {
    emulate -L zsh
    setopt extended_glob no_glob_subst
    local current=$PREFIX kind command place previous list
    local -a typed described found nodes
    typed=("${(@Q)words[2,CURRENT-1]}")
    _dyn_walk "${typed[@]}"
    if [[ -n $previous ]]; then
        _dyn_value "$command:$previous"
        kind=$list
    elif [[ $current == --*=* ]]; then
        _dyn_value "$command:${current%%=*}"
        kind=$list
        compset -P '*='
    elif [[ $current == -* ]]; then
        _dyn_describe_options "$command"
        _describe -o option described
        return
    else
        _dyn_subcommands "$command"
        if [[ -n $list ]]; then
            _dyn_describe_subcommands "$command"
            _describe command described
            return
        fi
        _dyn_kind
    fi
    case $kind in
        none) ;;
        keys|nodes|names|contexts)
            found=("${(@f)$(dyn __complete $kind "${(Q)PREFIX}" "${nodes[@]}" 2>/dev/null)}")
            found=(${found:#})
            (( $#found )) && compadd -a found ;;
        files) _files ;;
        values)
            if [[ $PREFIX == @* ]]; then
                compset -P @
                _files
            fi ;;
        *) compadd -- ${=kind} ;;
    esac
}

if [[ $funcstack[1] == _dyn ]]; then
    _dyn "$@"
else
    compdef _dyn dyn
fi
"""

FISH = """\
# Prints where the cursor is: the command's words, then how many of its arguments are there, then the flag that waits.
function __dyn_where
    set -l path
    set -l place 1
    set -l previous ""
    set -l tokens (commandline -opc)
    for word in $tokens[2..]
        if test -n "$previous"
            set previous ""
        else if contains -- "$path:$word" OWN_VALUE_FLAGS; or contains -- $word VALUE_FLAGS
            set previous $word
        else if string match -q -- '-*' $word
            continue
        else if contains -- $word (__dyn_subcommands "$path")
            set path (string trim -- "$path $word")
            set place 1
        else
            set place (math $place + 1)
        end
    end
    printf '%s\\n' "$path" $place "$previous"
end

# True at a new word of this command: __dyn_at PATH [PLACE | PLACE+]
function __dyn_at
    set -l where (__dyn_where)
    test "$where[1]" = "$argv[1]"; and test -z "$where[3]"; or return 1
    test (count $argv) -lt 2; and return 0
    if string match -q '*+' -- $argv[2]
        test $where[2] -ge (string replace + '' -- $argv[2])
    else
        test $where[2] -eq $argv[2]
    end
end

# True within the command or below it.
function __dyn_in
    set -l where (__dyn_where)
    test "$where[1]" = "$argv[1]"
end

function __dyn_dynamic
    set -l nodes
    set -l previous ""
    for word in (commandline -opc)
        contains -- "$previous" -n --node -c --context; and set -a nodes $previous $word
        set previous $word
    end
    dyn __complete $argv[1] (commandline -ct) $nodes 2>/dev/null
end

function __dyn_files
    string match -q '@*' -- (commandline -ct); or return
    set -l typed (string sub -s 2 -- (commandline -ct))
    for file in (__fish_complete_path "$typed")
        echo "@$file"
    end
end
"""
