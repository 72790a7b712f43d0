# bash completion for dyn. Generated from the command tree by `dyn completion bash`: do not edit.
# Load it:  source <(dyn completion bash)

_dyn_subcommands() {
    list=""
    case "$1" in
        "") list="demo shell explain get put del merge keys watch export import status doctor stat top latency slo hot monitor check bench completion man cheat help version cluster ring node trace fault debug key context config alias schema" ;;
        "demo") list="ls stop rm add remove kill pause resume restart partition heal slow drop skew reset faults" ;;
        "cluster") list="status hints views plan commit leave remove replace weight zone abandon rotate transfers repair settings events" ;;
        "cluster transfers") list="pause resume limit" ;;
        "ring") list="show owner export diff simulate" ;;
        "node") list="start stop info ping unit config drain logs cert stats data" ;;
        "node data") list="backup info restore path verify compact" ;;
        "trace") list="ls show export" ;;
        "fault") list="cut cut1 heal delay drop pause skew disk list" ;;
        "debug") list="bundle" ;;
        "key") list="explain locate history compare repair" ;;
        "context") list="ls show check add edit rename copy rm use -" ;;
        "config") list="show get set unset edit path" ;;
        "alias") list="ls set rm" ;;
        "schema") list="ls show" ;;
    esac
}

_dyn_value() {
    list=""
    case "$1" in
        "demo:--seed-data") list="none tour carts" ;;
        "demo:--keep"|"demo:--dir") list="files" ;;
        "shell:-f"|"shell:--file") list="files" ;;
        "shell:--init") list="files" ;;
        "get:--from") list="names" ;;
        "put:--ctx") list="last none" ;;
        "del:--ctx") list="last" ;;
        "keys:--prefix") list="keys" ;;
        "keys:--on") list="names" ;;
        "export:--to") list="files" ;;
        "export:--prefix") list="keys" ;;
        "export:--format") list="jsonl csv" ;;
        "import:--existing") list="skip replace beside" ;;
        "import:--format") list="jsonl csv" ;;
        "import:--prefix") list="keys" ;;
        "status:--wait") list="healthy converged no-transfers" ;;
        "doctor:--only") list="local cluster" ;;
        "doctor:--skip") list="host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.private host.demos host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults" ;;
        "doctor:--explain") list="host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.private host.demos host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults" ;;
        "doctor:--bundle") list="files" ;;
        "latency:--by") list="node op" ;;
        "hot:--by") list="cluster node" ;;
        "check:--format") list="text json nagios prometheus" ;;
        "bench:--op") list="get put mixed merge" ;;
        "bench:--dist") list="uniform zipf hot" ;;
        "bench:--compare") list="files" ;;
        "cluster status:--wait") list="healthy converged no-transfers" ;;
        "cluster events:--level") list="info warn error" ;;
        "ring show:--by") list="node partition zone" ;;
        "ring show:--as-of") list="files" ;;
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
        "node start:--log-level") list="info warn error" ;;
        "node start:--replace") list="names" ;;
        "node stop:--data-dir") list="files" ;;
        "node unit:--config") list="files" ;;
        "node logs:--file") list="files" ;;
        "node logs:--level") list="info warn error" ;;
        "node cert:--dir") list="files" ;;
        "node data restore:--data") list="files" ;;
        "node data verify:--data-dir") list="files" ;;
        "trace export:--format") list="json shiviz" ;;
        "debug bundle:--log") list="files" ;;
        "key locate:--ring") list="files" ;;
        "context add:--password-file") list="files" ;;
        "context add:--prompt-color") list="red green yellow blue magenta cyan" ;;
        "config set:--in") list="contexts" ;;
        "config unset:--in") list="contexts" ;;
        *:-c|*:--context) list="contexts" ;;
        *:-n|*:--node) list="nodes" ;;
        *:-o|*:--output) list="table wide plain json jsonl csv value" ;;
        *:--confirm) list="contexts" ;;
        *:--color) list="auto always never" ;;
        *:--tls-ca) list="files" ;;
        *:--tls-cert) list="files" ;;
        *:--tls-key) list="files" ;;
    esac
}

_dyn_arguments() {
    list=""
    case "$1" in
        "demo stop") list="none" ;;
        "demo rm") list="none" ;;
        "demo add") list="none" ;;
        "demo remove") list="names" ;;
        "demo kill") list="names" ;;
        "demo pause") list="names" ;;
        "demo resume") list="names" ;;
        "demo restart") list="names" ;;
        "demo partition") list="names*" ;;
        "demo slow") list="names none" ;;
        "demo drop") list="names names none" ;;
        "demo skew") list="names none" ;;
        "explain") list="siblings,context,clock,dot,blind-write,tombstone,last-write-wins,unknown,partition,ring,preference-list,replicas,coordinator,zone,weight,epoch,seal,discovery,quorum,sloppy-quorum,strict,hint,read-repair,anti-entropy,merkle,gossip,scrub*" ;;
        "get") list="keys*" ;;
        "put") list="keys values" ;;
        "del") list="keys*" ;;
        "merge") list="keys" ;;
        "keys") list="keys" ;;
        "watch") list="keys" ;;
        "export") list="keys" ;;
        "import") list="files" ;;
        "doctor") list="host.python,host.store,host.space,host.files,host.text,host.config,host.ports,host.mdns,host.secrets,host.private,host.demos,host.completion,cluster.answer,cluster.health,cluster.views,cluster.versions,cluster.clocks,cluster.transfers,ring.copies,data.siblings,data.hints,data.repair,data.rot,node.disk,node.speed,node.load,node.durability,node.certificate,node.faults*" ;;
        "check") list="quorum,disk,hints,siblings,clock,convergence" ;;
        "completion") list="bash,zsh,fish" ;;
        "man") list="demo,shell,explain,get,put,del,merge,keys,watch,export,import,status,doctor,stat,top,latency,slo,hot,monitor,check,bench,completion,man,cheat,help,version,cluster,ring,node,trace,fault,debug,key,context,config,alias,schema,ctx,formats,environment,scripts,ports,shell-keys,exit-codes*" ;;
        "cheat") list="demo,shell,explain,get,put,del,merge,keys,watch,export,import,status,doctor,stat,top,latency,slo,hot,monitor,check,bench,completion,man,cheat,help,version,cluster,ring,node,trace,fault,debug,key,context,config,alias,schema,ctx,formats,environment,scripts,ports,shell-keys,exit-codes" ;;
        "help") list="demo,shell,explain,get,put,del,merge,keys,watch,export,import,status,doctor,stat,top,latency,slo,hot,monitor,check,bench,completion,man,cheat,help,version,cluster,ring,node,trace,fault,debug,key,context,config,alias,schema,ctx,formats,environment,scripts,ports,shell-keys,exit-codes*" ;;
        "cluster plan") list="leave,remove,replace,weight,zone names names*" ;;
        "cluster commit") list="none" ;;
        "cluster leave") list="names" ;;
        "cluster remove") list="names*" ;;
        "cluster replace") list="names names" ;;
        "cluster weight") list="names none" ;;
        "cluster zone") list="names none names*" ;;
        "cluster transfers limit") list="none" ;;
        "cluster repair") list="names*" ;;
        "ring owner") list="keys*" ;;
        "ring diff") list="files files" ;;
        "node stop") list="names" ;;
        "node info") list="names" ;;
        "node ping") list="names" ;;
        "node config") list="names" ;;
        "node drain") list="names" ;;
        "node logs") list="names" ;;
        "node cert") list="ca,node,client none" ;;
        "node stats") list="names" ;;
        "node data backup") list="files" ;;
        "node data info") list="files" ;;
        "node data restore") list="files" ;;
        "node data path") list="names" ;;
        "node data verify") list="names" ;;
        "node data compact") list="files" ;;
        "trace show") list="none" ;;
        "trace export") list="none" ;;
        "fault cut") list="names names" ;;
        "fault cut1") list="names names" ;;
        "fault delay") list="names names none" ;;
        "fault drop") list="names names none" ;;
        "fault pause") list="names none" ;;
        "fault skew") list="names none" ;;
        "fault disk") list="names full,error,ok" ;;
        "debug bundle") list="files" ;;
        "key explain") list="keys" ;;
        "key locate") list="keys*" ;;
        "key history") list="keys" ;;
        "key compare") list="keys none none" ;;
        "key repair") list="keys" ;;
        "context show") list="contexts" ;;
        "context check") list="contexts" ;;
        "context add") list="none" ;;
        "context edit") list="contexts" ;;
        "context rename") list="contexts none" ;;
        "context copy") list="contexts none" ;;
        "context rm") list="contexts" ;;
        "context use") list="contexts" ;;
        "config get") list="context,nodes,password-file,tls-ca,tls-cert,tls-key,output,timeout,color,ascii,no-input,pager,writer,protected,prompt-color,note" ;;
        "config set") list="context,nodes,password-file,tls-ca,tls-cert,tls-key,output,timeout,color,ascii,no-input,pager,writer,protected,prompt-color,note none*" ;;
        "config unset") list="context,nodes,password-file,tls-ca,tls-cert,tls-key,output,timeout,color,ascii,no-input,pager,writer,protected,prompt-color,note" ;;
        "alias set") list="none none" ;;
        "alias rm") list="none" ;;
        "schema show") list="dyn.aliases/v1,dyn.backup.info/v1,dyn.backup/v1,dyn.bench/v1,dyn.bundle/v1,dyn.cert/v1,dyn.change/v1,dyn.cheat/v1,dyn.check/v1,dyn.cluster.events/v1,dyn.cluster.settings/v1,dyn.compare/v1,dyn.completion/v1,dyn.config.path/v1,dyn.config.setting/v1,dyn.config/v1,dyn.context.check/v1,dyn.context/v1,dyn.contexts/v1,dyn.del/v1,dyn.demo.list/v1,dyn.demo.started/v1,dyn.demo/v1,dyn.doctor.checks/v1,dyn.doctor/v1,dyn.error/v1,dyn.explain/v1,dyn.export.done/v1,dyn.export.end/v1,dyn.export/v1,dyn.fault.nodes/v1,dyn.get/v1,dyn.help.topic/v1,dyn.help/v1,dyn.hints.delivered/v1,dyn.hints/v1,dyn.history/v1,dyn.hot.keys/v1,dyn.import/v1,dyn.keys/v1,dyn.latency/v1,dyn.locate/v1,dyn.man/v1,dyn.merge/v1,dyn.monitor.request/v1,dyn.node.config/v1,dyn.node.data.compact/v1,dyn.node.data.path/v1,dyn.node.data.verify/v1,dyn.node.drain/v1,dyn.node.info/v1,dyn.node.logs/v1,dyn.node.ping/v1,dyn.node.stop/v1,dyn.node.unit/v1,dyn.plan/v1,dyn.put/v1,dyn.put_back/v1,dyn.repair.cancel/v1,dyn.repair.cancels/v1,dyn.repair.key/v1,dyn.repair/v1,dyn.repairs/v1,dyn.restore/v1,dyn.ring.diff/v1,dyn.ring.owner/v1,dyn.ring.simulate/v1,dyn.ring/v1,dyn.schemas/v1,dyn.slo/v1,dyn.start/v1,dyn.stat/v1,dyn.stats/v1,dyn.status/v1,dyn.term/v1,dyn.terms/v1,dyn.trace/v1,dyn.traces/v1,dyn.transfers.pace/v1,dyn.transfers/v1,dyn.version/v1,dyn.views/v1,dyn.watch/v1" ;;
    esac
}

_dyn_options() {
    list=""
    case "$1" in
        "demo") list="--nodes --base-port --nrw --latency --seed-data --keep --dir --ephemeral --background --no-shell --tour" ;;
        "demo add") list="--base-port" ;;
        "demo remove") list="--base-port" ;;
        "demo kill") list="--base-port" ;;
        "demo pause") list="--base-port" ;;
        "demo resume") list="--base-port" ;;
        "demo restart") list="--base-port" ;;
        "demo partition") list="--base-port" ;;
        "demo heal") list="--base-port" ;;
        "demo slow") list="--jitter --base-port" ;;
        "demo drop") list="--base-port" ;;
        "demo skew") list="--behind --base-port" ;;
        "demo reset") list="--base-port" ;;
        "demo faults") list="--base-port" ;;
        "shell") list="-e --exec -f --file --read-only --keep-going --check --init --no-history --vi" ;;
        "get") list="-r --strict --one --all --raw --ctx --from --trace" ;;
        "put") list="-w --strict --ctx --if-absent --if-context --return-ctx --trace" ;;
        "del") list="-w --strict --ctx --trace" ;;
        "merge") list="--take --value --union --lww --edit --with -w --strict" ;;
        "keys") list="--prefix --limit --siblings --tombstones --stale --on --partition -0 --null" ;;
        "watch") list="--exact --first --exec --count --for --interval" ;;
        "export") list="--to --prefix --format --with-ctx --rate --resume" ;;
        "import") list="--existing --format --prefix --with-ctx --rate --resume --dry-run" ;;
        "status") list="--check --wait --for --views --watch --interval" ;;
        "doctor") list="--list --only --skip --fix --explain --bundle" ;;
        "stat") list="--interval --count" ;;
        "top") list="--interval" ;;
        "latency") list="--by --history --interval" ;;
        "slo") list="--for --check --watch --interval" ;;
        "hot") list="--count --by --exact --watch --interval" ;;
        "monitor") list="--key --op --rate --for" ;;
        "check") list="--format --warn --critical" ;;
        "bench") list="--op --reads --clients --pipeline --rate --size --keys --dist --duration --count --seed --fill --spread --assert --fault --compare --save" ;;
        "completion") list="--install --dry-run" ;;
        "man") list="--roff" ;;
        "cluster") list="--check --wait --for --views --watch --interval" ;;
        "cluster status") list="--check --wait --for --views --watch --interval" ;;
        "cluster hints") list="--deliver-now --for --watch --interval" ;;
        "cluster views") list="--watch --interval" ;;
        "cluster commit") list="--accept-loss --dry-run --wait --for" ;;
        "cluster leave") list="--dry-run --no-wait --wait --for" ;;
        "cluster remove") list="--force --accept-loss --dry-run --no-wait --wait --for" ;;
        "cluster replace") list="--dry-run --no-wait --wait --for" ;;
        "cluster weight") list="--dry-run --no-wait --wait --for" ;;
        "cluster zone") list="--dry-run --no-wait --wait --for" ;;
        "cluster abandon") list="--dry-run" ;;
        "cluster rotate") list="--no-wait --for" ;;
        "cluster transfers") list="--watch --interval" ;;
        "cluster repair") list="--check --cancel --wait" ;;
        "cluster events") list="--last --since --level --follow -f" ;;
        "ring") list="--by --strip --as-of --watch --interval" ;;
        "ring show") list="--by --strip --as-of --watch --interval" ;;
        "ring export") list="--format --file" ;;
        "ring simulate") list="--nodes --zones --partitions --replicas --remove --weight --add --keys" ;;
        "node start") list="--name --cluster --listen --port --peer-port --http-port --data-dir --join --discover --zone --weight --nrw --partitions --durability --max-value-bytes --config --key-file --password-file --log-format --log-level --seat --replace --allow-faults --ephemeral --check-config" ;;
        "node stop") list="--data-dir --for" ;;
        "node ping") list="--count" ;;
        "node unit") list="--user --name --config" ;;
        "node config") list="--origin" ;;
        "node drain") list="--for" ;;
        "node logs") list="--file --last --since --level --follow -f" ;;
        "node cert") list="--dir --cluster --host --days --renew" ;;
        "node stats") list="--watch --interval" ;;
        "node data info") list="--check" ;;
        "node data restore") list="--data --undelete --skip-damaged" ;;
        "node data verify") list="--data-dir" ;;
        "trace") list="--count" ;;
        "trace ls") list="--count" ;;
        "trace export") list="--format" ;;
        "fault delay") list="--jitter" ;;
        "fault skew") list="--behind" ;;
        "debug bundle") list="--keys --log" ;;
        "key locate") list="--ring" ;;
        "context add") list="--password-file --protected --prompt-color --note --use" ;;
        "config") list="--origin" ;;
        "config show") list="--origin" ;;
        "config set") list="--in" ;;
        "config unset") list="--in" ;;
    esac
    list+=" -c --context -n --node -o --output --json --field --timeout -q --quiet -v --verbose -y --yes --confirm --no-input --color --ascii --no-pager --debug --tls-ca --tls-cert --tls-key --no-header --help -h"
}

_dyn_takes_value() {
    case "$1" in
        *:-c|*:--context|*:-n|*:--node|*:-o|*:--output|*:--field|*:--timeout|*:--confirm|*:--color|*:--tls-ca|*:--tls-cert|*:--tls-key) return 0 ;;
        "demo:--nodes"|"demo:--base-port"|"demo:--nrw"|"demo:--latency"|"demo:--seed-data"|"demo:--keep"|"demo:--dir"|"demo add:--base-port"|"demo remove:--base-port"|"demo kill:--base-port"|"demo pause:--base-port"|"demo resume:--base-port"|"demo restart:--base-port"|"demo partition:--base-port"|"demo heal:--base-port"|"demo slow:--jitter"|"demo slow:--base-port"|"demo drop:--base-port"|"demo skew:--base-port"|"demo reset:--base-port"|"demo faults:--base-port"|"shell:-e"|"shell:--exec"|"shell:-f"|"shell:--file"|"shell:--init"|"get:-r"|"get:--from"|"put:-w"|"put:--ctx"|"put:--if-context"|"del:-w"|"del:--ctx"|"merge:--take"|"merge:--value"|"merge:--with"|"merge:-w"|"keys:--prefix"|"keys:--limit"|"keys:--on"|"keys:--partition"|"watch:--exec"|"watch:--count"|"watch:--for"|"watch:--interval"|"export:--to"|"export:--prefix"|"export:--format"|"export:--rate"|"import:--existing"|"import:--format"|"import:--prefix"|"import:--rate"|"import:--resume"|"status:--wait"|"status:--for"|"status:--interval"|"doctor:--only"|"doctor:--skip"|"doctor:--explain"|"doctor:--bundle"|"stat:--interval"|"stat:--count"|"top:--interval"|"latency:--by"|"latency:--interval"|"slo:--for"|"slo:--interval"|"hot:--count"|"hot:--by"|"hot:--interval"|"monitor:--key"|"monitor:--op"|"monitor:--rate"|"monitor:--for"|"check:--format"|"check:--warn"|"check:--critical"|"bench:--op"|"bench:--reads"|"bench:--clients"|"bench:--pipeline"|"bench:--rate"|"bench:--size"|"bench:--keys"|"bench:--dist"|"bench:--duration"|"bench:--count"|"bench:--seed"|"bench:--assert"|"bench:--fault"|"bench:--compare"|"cluster:--wait"|"cluster:--for"|"cluster:--interval"|"cluster status:--wait"|"cluster status:--for"|"cluster status:--interval"|"cluster hints:--for"|"cluster hints:--interval"|"cluster views:--interval"|"cluster commit:--accept-loss"|"cluster commit:--for"|"cluster leave:--for"|"cluster remove:--accept-loss"|"cluster remove:--for"|"cluster replace:--for"|"cluster weight:--for"|"cluster zone:--for"|"cluster rotate:--for"|"cluster transfers:--interval"|"cluster events:--last"|"cluster events:--since"|"cluster events:--level"|"ring:--by"|"ring:--as-of"|"ring:--interval"|"ring show:--by"|"ring show:--as-of"|"ring show:--interval"|"ring export:--format"|"ring export:--file"|"ring simulate:--nodes"|"ring simulate:--zones"|"ring simulate:--partitions"|"ring simulate:--replicas"|"ring simulate:--remove"|"ring simulate:--weight"|"ring simulate:--add"|"ring simulate:--keys"|"node start:--name"|"node start:--cluster"|"node start:--listen"|"node start:--port"|"node start:--peer-port"|"node start:--http-port"|"node start:--data-dir"|"node start:--join"|"node start:--discover"|"node start:--zone"|"node start:--weight"|"node start:--nrw"|"node start:--partitions"|"node start:--durability"|"node start:--max-value-bytes"|"node start:--config"|"node start:--key-file"|"node start:--password-file"|"node start:--log-format"|"node start:--log-level"|"node start:--seat"|"node start:--replace"|"node stop:--data-dir"|"node stop:--for"|"node ping:--count"|"node unit:--name"|"node unit:--config"|"node drain:--for"|"node logs:--file"|"node logs:--last"|"node logs:--since"|"node logs:--level"|"node cert:--dir"|"node cert:--cluster"|"node cert:--host"|"node cert:--days"|"node stats:--interval"|"node data restore:--data"|"node data verify:--data-dir"|"trace:--count"|"trace ls:--count"|"trace export:--format"|"fault delay:--jitter"|"debug bundle:--log"|"key locate:--ring"|"context add:--password-file"|"context add:--prompt-color"|"context add:--note"|"config set:--in"|"config unset:--in") return 0 ;;
    esac
    return 1
}

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
