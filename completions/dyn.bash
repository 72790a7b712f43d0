# bash completion for dyn. Generated from the command tree by `dyn completion bash`: do not edit.
# Load it:  source <(dyn completion bash)

_dyn_subcommands() {
    list=""
    case "$1" in
        "") list="demo shell get put del merge keys export import doctor bench help version completion cluster ring node fault debug key" ;;
        "demo") list="add remove" ;;
        "cluster") list="status hints views plan commit leave remove replace weight abandon rotate transfers repair events" ;;
        "ring") list="show owner export diff simulate" ;;
        "node") list="start cert stats data" ;;
        "node data") list="backup info restore" ;;
        "fault") list="cut cut1 heal delay drop pause skew disk list" ;;
        "debug") list="bundle" ;;
        "key") list="explain repair" ;;
    esac
}

_dyn_value() {
    list=""
    case "$1" in
        "demo:--keep") list="files" ;;
        "shell:-f"|"shell:--file") list="files" ;;
        "put:--ctx") list="last none" ;;
        "del:--ctx") list="last" ;;
        "export:--to") list="files" ;;
        "import:--existing") list="skip replace beside" ;;
        "doctor:--only") list="local cluster" ;;
        "doctor:--skip") list="host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults" ;;
        "doctor:--explain") list="host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults" ;;
        "doctor:--bundle") list="files" ;;
        "bench:--op") list="get put mixed" ;;
        "bench:--dist") list="uniform zipf hot" ;;
        "bench:--compare") list="files" ;;
        "cluster status:--wait") list="healthy" ;;
        "cluster events:--level") list="info warn error" ;;
        "ring export:--format") list="svg dot md json" ;;
        "ring export:--file") list="files" ;;
        "ring simulate:--remove") list="names" ;;
        "node start:--data-dir") list="files" ;;
        "node start:--discover") list="mdns none" ;;
        "node start:--durability") list="full normal memory" ;;
        "node start:--config") list="files" ;;
        "node start:--key-file") list="files" ;;
        "node start:--password-file") list="files" ;;
        "node start:--log-format") list="text json" ;;
        "node start:--replace") list="names" ;;
        "node cert:--dir") list="files" ;;
        "node data restore:--data") list="files" ;;
        "debug bundle:--log") list="files" ;;
        *:-n|*:--node) list="nodes" ;;
        *:-o|*:--output) list="table wide plain json jsonl csv value" ;;
        *:--color) list="auto always never" ;;
        *:--tls-ca) list="files" ;;
        *:--tls-cert) list="files" ;;
        *:--tls-key) list="files" ;;
    esac
}

_dyn_arguments() {
    list=""
    case "$1" in
        "demo add") list="none" ;;
        "demo remove") list="names" ;;
        "get") list="keys*" ;;
        "put") list="keys values" ;;
        "del") list="keys*" ;;
        "merge") list="keys" ;;
        "keys") list="keys" ;;
        "export") list="keys" ;;
        "import") list="files" ;;
        "doctor") list="host.python,host.store,host.space,host.files,host.text,host.config,host.ports,host.mdns,host.secrets,host.completion,cluster.answer,cluster.health,cluster.views,cluster.versions,cluster.clocks,cluster.transfers,ring.copies,data.siblings,data.hints,data.repair,data.rot,node.disk,node.speed,node.load,node.durability,node.certificate,node.faults*" ;;
        "help") list="demo,shell,get,put,del,merge,keys,export,import,doctor,bench,help,version,completion,cluster,ring,node,fault,debug,key,ctx,formats,environment,exit-codes*" ;;
        "completion") list="bash,zsh,fish" ;;
        "cluster plan") list="leave,remove,replace,weight names names" ;;
        "cluster commit") list="none" ;;
        "cluster leave") list="names" ;;
        "cluster remove") list="names" ;;
        "cluster replace") list="names names" ;;
        "cluster weight") list="names none" ;;
        "ring owner") list="keys*" ;;
        "ring diff") list="files files" ;;
        "node cert") list="ca,node,client none" ;;
        "node stats") list="names" ;;
        "node data backup") list="files" ;;
        "node data info") list="files" ;;
        "node data restore") list="files" ;;
        "fault cut") list="names names" ;;
        "fault cut1") list="names names" ;;
        "fault delay") list="names names none" ;;
        "fault drop") list="names names none" ;;
        "fault pause") list="names none" ;;
        "fault skew") list="names none" ;;
        "fault disk") list="names full,error,ok" ;;
        "debug bundle") list="files" ;;
        "key explain") list="keys" ;;
        "key repair") list="keys" ;;
    esac
}

_dyn_options() {
    list=""
    case "$1" in
        "demo") list="--nodes --base-port --keep" ;;
        "demo add") list="--base-port" ;;
        "demo remove") list="--base-port" ;;
        "shell") list="-e --exec -f --file --read-only --keep-going" ;;
        "get") list="-r --strict --one --ctx" ;;
        "put") list="-w --strict --ctx" ;;
        "del") list="-w --strict --ctx" ;;
        "merge") list="--take --value --union -w --strict" ;;
        "keys") list="--limit --siblings -0 --null" ;;
        "export") list="--to --resume" ;;
        "import") list="--existing --resume --dry-run" ;;
        "doctor") list="--list --only --skip --explain --bundle" ;;
        "bench") list="--op --reads --clients --pipeline --rate --size --keys --dist --duration --count --seed --fill --spread --assert --fault --compare --save" ;;
        "cluster status") list="--check --wait --for --watch --interval" ;;
        "cluster hints") list="--watch --interval" ;;
        "cluster views") list="--watch --interval" ;;
        "cluster commit") list="--dry-run --wait --for" ;;
        "cluster leave") list="--dry-run --wait --for" ;;
        "cluster remove") list="--force --dry-run --wait --for" ;;
        "cluster replace") list="--dry-run --wait --for" ;;
        "cluster weight") list="--dry-run --wait --for" ;;
        "cluster abandon") list="--dry-run" ;;
        "cluster transfers") list="--watch --interval" ;;
        "cluster repair") list="--check --wait" ;;
        "cluster events") list="--last --since --level --follow -f" ;;
        "ring export") list="--format --file" ;;
        "ring simulate") list="--nodes --zones --partitions --replicas --remove --weight --add --keys" ;;
        "node start") list="--name --cluster --listen --port --peer-port --http-port --data-dir --join --discover --zone --weight --nrw --partitions --durability --max-value-bytes --config --key-file --password-file --log-format --seat --replace --allow-faults" ;;
        "node cert") list="--dir --cluster --host --days --renew" ;;
        "node stats") list="--watch --interval" ;;
        "node data info") list="--check" ;;
        "node data restore") list="--data --undelete --skip-damaged" ;;
        "fault skew") list="--behind" ;;
        "debug bundle") list="--keys --log" ;;
    esac
    list+=" -n --node -o --output --json --timeout -q --quiet -y --yes --color --tls-ca --tls-cert --tls-key --no-header --help -h"
}

_dyn_takes_value() {
    case "$1" in
        *:-n|*:--node|*:-o|*:--output|*:--timeout|*:--color|*:--tls-ca|*:--tls-cert|*:--tls-key) return 0 ;;
        "demo:--nodes"|"demo:--base-port"|"demo:--keep"|"demo add:--base-port"|"demo remove:--base-port"|"shell:-e"|"shell:--exec"|"shell:-f"|"shell:--file"|"get:-r"|"put:-w"|"put:--ctx"|"del:-w"|"del:--ctx"|"merge:--take"|"merge:--value"|"merge:-w"|"keys:--limit"|"export:--to"|"import:--existing"|"import:--resume"|"doctor:--only"|"doctor:--skip"|"doctor:--explain"|"doctor:--bundle"|"bench:--op"|"bench:--reads"|"bench:--clients"|"bench:--pipeline"|"bench:--rate"|"bench:--size"|"bench:--keys"|"bench:--dist"|"bench:--duration"|"bench:--count"|"bench:--seed"|"bench:--assert"|"bench:--fault"|"bench:--compare"|"cluster status:--wait"|"cluster status:--for"|"cluster status:--interval"|"cluster hints:--interval"|"cluster views:--interval"|"cluster commit:--for"|"cluster leave:--for"|"cluster remove:--for"|"cluster replace:--for"|"cluster weight:--for"|"cluster transfers:--interval"|"cluster events:--last"|"cluster events:--since"|"cluster events:--level"|"ring export:--format"|"ring export:--file"|"ring simulate:--nodes"|"ring simulate:--zones"|"ring simulate:--partitions"|"ring simulate:--replicas"|"ring simulate:--remove"|"ring simulate:--weight"|"ring simulate:--add"|"ring simulate:--keys"|"node start:--name"|"node start:--cluster"|"node start:--listen"|"node start:--port"|"node start:--peer-port"|"node start:--http-port"|"node start:--data-dir"|"node start:--join"|"node start:--discover"|"node start:--zone"|"node start:--weight"|"node start:--nrw"|"node start:--partitions"|"node start:--durability"|"node start:--max-value-bytes"|"node start:--config"|"node start:--key-file"|"node start:--password-file"|"node start:--log-format"|"node start:--seat"|"node start:--replace"|"node cert:--dir"|"node cert:--cluster"|"node cert:--host"|"node cert:--days"|"node stats:--interval"|"node data restore:--data"|"debug bundle:--log") return 0 ;;
    esac
    return 1
}

# Walks the words before the cursor: sets command (its words), place (which argument comes next), previous (a flag
# that waits for its value) and nodes (what -n says).
_dyn_walk() {
    local word
    command="" place=1 previous="" nodes=()
    for word in "$@"; do
        if [[ -n $previous ]]; then
            [[ $previous == -n || $previous == --node ]] && nodes+=(-n "$word")
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

# Sets kind: what completes the argument at $place.
_dyn_kind() {
    local each i=0
    kind="none"
    _dyn_arguments "$command"
    for each in $list; do
        (( ++i ))
        if [[ $i == "$place" || $each == *\* ]]; then
            kind=${each%\*} kind=${kind//,/ }
            return
        fi
    done
}

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
        keys|nodes|names)
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
