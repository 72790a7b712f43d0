# fish completion for dyn. Generated from the command tree by `dyn completion fish`: do not edit.
# Load it:  dyn completion fish | source

function __dyn_subcommands
    switch $argv[1]
        case ''
            string split ' ' 'demo shell get put del merge keys export import doctor bench help version completion cluster ring node fault debug key'
        case 'demo'
            string split ' ' 'add remove'
        case 'cluster'
            string split ' ' 'status hints views plan commit leave remove replace weight abandon rotate transfers repair events'
        case 'ring'
            string split ' ' 'show owner export diff simulate'
        case 'node'
            string split ' ' 'start cert stats data'
        case 'node data'
            string split ' ' 'backup info restore'
        case 'fault'
            string split ' ' 'cut cut1 heal delay drop pause skew disk list'
        case 'debug'
            string split ' ' 'bundle'
        case 'key'
            string split ' ' 'explain repair'
    end
end

# Prints where the cursor is: the command's words, then how many of its arguments are there, then the flag that waits.
function __dyn_where
    set -l path
    set -l place 1
    set -l previous ""
    set -l tokens (commandline -opc)
    for word in $tokens[2..]
        if test -n "$previous"
            set previous ""
        else if contains -- "$path:$word" 'demo:--nodes' 'demo:--base-port' 'demo:--keep' 'demo add:--base-port' 'demo remove:--base-port' 'shell:-e' 'shell:--exec' 'shell:-f' 'shell:--file' 'get:-r' 'put:-w' 'put:--ctx' 'del:-w' 'del:--ctx' 'merge:--take' 'merge:--value' 'merge:-w' 'keys:--limit' 'export:--to' 'import:--existing' 'import:--resume' 'doctor:--only' 'doctor:--skip' 'doctor:--explain' 'doctor:--bundle' 'bench:--op' 'bench:--reads' 'bench:--clients' 'bench:--pipeline' 'bench:--rate' 'bench:--size' 'bench:--keys' 'bench:--dist' 'bench:--duration' 'bench:--count' 'bench:--seed' 'bench:--assert' 'bench:--fault' 'bench:--compare' 'cluster status:--wait' 'cluster status:--for' 'cluster status:--interval' 'cluster hints:--interval' 'cluster views:--interval' 'cluster commit:--for' 'cluster leave:--for' 'cluster remove:--for' 'cluster replace:--for' 'cluster weight:--for' 'cluster transfers:--interval' 'cluster events:--last' 'cluster events:--since' 'cluster events:--level' 'ring export:--format' 'ring export:--file' 'ring simulate:--nodes' 'ring simulate:--zones' 'ring simulate:--partitions' 'ring simulate:--replicas' 'ring simulate:--remove' 'ring simulate:--weight' 'ring simulate:--add' 'ring simulate:--keys' 'node start:--name' 'node start:--cluster' 'node start:--listen' 'node start:--port' 'node start:--peer-port' 'node start:--http-port' 'node start:--data-dir' 'node start:--join' 'node start:--discover' 'node start:--zone' 'node start:--weight' 'node start:--nrw' 'node start:--partitions' 'node start:--durability' 'node start:--max-value-bytes' 'node start:--config' 'node start:--key-file' 'node start:--password-file' 'node start:--log-format' 'node start:--seat' 'node start:--replace' 'node cert:--dir' 'node cert:--cluster' 'node cert:--host' 'node cert:--days' 'node stats:--interval' 'node data restore:--data' 'debug bundle:--log'; or contains -- $word -n --node -o --output --timeout --color --tls-ca --tls-cert --tls-key
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
    printf '%s\n' "$path" $place "$previous"
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
        contains -- "$previous" -n --node; and set -a nodes -n $word
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

complete -c dyn -f
complete -c dyn -n "__dyn_at '' 1" -a demo -d 'Start a cluster of real node processes on this machine, and open a shell on it'
complete -c dyn -n "__dyn_at '' 1" -a shell -d 'Open a shell: the same commands without `dyn`, with completion and history, over one connection'
complete -c dyn -n "__dyn_at '' 1" -a get -d 'Read keys'
complete -c dyn -n "__dyn_at '' 1" -a put -d 'Write a value'
complete -c dyn -n "__dyn_at '' 1" -a del -d 'Delete keys: what was read of them'
complete -c dyn -n "__dyn_at '' 1" -a merge -d 'Settle siblings with one value'
complete -c dyn -n "__dyn_at '' 1" -a keys -d 'List the cluster'\''s live keys, one a line'
complete -c dyn -n "__dyn_at '' 1" -a export -d 'Write keys and all their values (siblings too) as JSON lines: dyn import reads them, in this or another cluster'
complete -c dyn -n "__dyn_at '' 1" -a import -d 'Put the keys of an export'
complete -c dyn -n "__dyn_at '' 1" -a doctor -d 'Say what is wrong here and in the cluster, and the command that mends it'
complete -c dyn -n "__dyn_at '' 1" -a bench -d 'Measure throughput and latency: closed loop, or with --rate open loop, where latency counts from when it was due'
complete -c dyn -n "__dyn_at '' 1" -a help -d 'Explain a command or a topic'
complete -c dyn -n "__dyn_at '' 1" -a version -d 'Print the version of dyn, and with --json of what it runs on'
complete -c dyn -n "__dyn_at '' 1" -a completion -d 'Print the completion script of a shell'
complete -c dyn -n "__dyn_at '' 1" -a cluster -d 'Members, health and views of the cluster'
complete -c dyn -n "__dyn_at '' 1" -a ring -d 'Who owns what'
complete -c dyn -n "__dyn_at '' 1" -a node -d 'Run a node'
complete -c dyn -n "__dyn_at '' 1" -a fault -d 'Break nodes and links on purpose (nodes started with --allow-faults), and heal them'
complete -c dyn -n "__dyn_at '' 1" -a debug -d 'What others need to help with a cluster'
complete -c dyn -n "__dyn_at '' 1" -a key -d 'One key, on every node that holds it'
complete -c dyn -s n -l node -x -a '(__dyn_dynamic nodes)' -d 'Node to ask; several: in order'
complete -c dyn -s o -l output -x -a 'table wide plain json jsonl csv value' -d 'Output format'
complete -c dyn -l json -d 'Same as -o json'
complete -c dyn -l timeout -x -d 'Deadline in seconds; default 3'
complete -c dyn -s q -l quiet -d 'No remarks'
complete -c dyn -s y -l yes -d 'Confirm what would be asked'
complete -c dyn -l color -x -a 'auto always never' -d 'Colour; default auto'
complete -c dyn -l tls-ca -r -F -d 'Speak TLS; the CA that signs nodes'
complete -c dyn -l tls-cert -r -F -d 'Certificate to show'
complete -c dyn -l tls-key -r -F -d 'Key of that certificate'
complete -c dyn -l no-header -d 'No header line in plain and csv'
complete -c dyn -l help -s h -d 'Show this page'
complete -c dyn -n "__dyn_at 'demo' 1" -a add -d 'Start one more node in a demo that runs in another terminal, and end when the ring has settled'
complete -c dyn -n "__dyn_at 'demo' 1" -a remove -d 'Have a node of a demo that runs in another terminal leave, end its process, and delete its data'
complete -c dyn -n "__dyn_in 'demo'" -l nodes -x -d 'How many; default 5, or as many as a kept demo has'
complete -c dyn -n "__dyn_in 'demo'" -l base-port -x -d 'Node i has client port P+i, peer port P+100+i, HTTP port P+200+i; default 7700'
complete -c dyn -n "__dyn_in 'demo'" -l keep -r -F -d 'Data and logs go there, and stay'
complete -c dyn -n "__dyn_in 'demo add'" -l base-port -x -d 'That of the demo; default 7700'
complete -c dyn -n "__dyn_at 'demo remove' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'demo remove'" -l base-port -x -d 'That of the demo; default 7700'
complete -c dyn -n "__dyn_in 'shell'" -s e -l exec -x -d 'Run this; several: in order'
complete -c dyn -n "__dyn_in 'shell'" -s f -l file -r -F -d 'Run a script; - is standard input'
complete -c dyn -n "__dyn_in 'shell'" -l read-only -d 'Refuse what writes'
complete -c dyn -n "__dyn_in 'shell'" -l keep-going -d 'Run the rest of a script after an error'
complete -c dyn -n "__dyn_at 'get' 1+" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'get'" -s r -x -d 'Replicas to hear'
complete -c dyn -n "__dyn_in 'get'" -l strict -d 'Count owners only, no stand-ins'
complete -c dyn -n "__dyn_in 'get'" -l one -d 'A key with siblings is an error (exit 4)'
complete -c dyn -n "__dyn_in 'get'" -l ctx -d 'Print the causal context too'
complete -c dyn -n "__dyn_at 'put' 1" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_at 'put' 2" -a '(__dyn_files)'
complete -c dyn -n "__dyn_in 'put'" -s w -x -d 'Replicas that must hold it'
complete -c dyn -n "__dyn_in 'put'" -l strict -d 'Count owners only, no stand-ins'
complete -c dyn -n "__dyn_in 'put'" -l ctx -x -a 'last none' -d 'Causal context of the write; see dyn help ctx'
complete -c dyn -n "__dyn_at 'del' 1+" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'del'" -s w -x -d 'Replicas that must hold it'
complete -c dyn -n "__dyn_in 'del'" -l strict -d 'Count owners only, no stand-ins'
complete -c dyn -n "__dyn_in 'del'" -l ctx -x -a 'last' -d 'Causal context of the write; see dyn help ctx'
complete -c dyn -n "__dyn_at 'merge' 1" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'merge'" -l take -x -d 'Keep this sibling'
complete -c dyn -n "__dyn_in 'merge'" -l value -x -d 'Write this value'
complete -c dyn -n "__dyn_in 'merge'" -l union -d 'Unite JSON arrays or objects'
complete -c dyn -n "__dyn_in 'merge'" -s w -x -d 'Replicas that must hold it'
complete -c dyn -n "__dyn_in 'merge'" -l strict -d 'Count owners only, no stand-ins'
complete -c dyn -n "__dyn_at 'keys' 1" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'keys'" -l limit -x -d 'At most N keys, 0: all. On a terminal 500'
complete -c dyn -n "__dyn_in 'keys'" -l siblings -d 'Only keys in conflict'
complete -c dyn -n "__dyn_in 'keys'" -s 0 -l null -d 'Raw keys, a NUL after each, for xargs -0'
complete -c dyn -n "__dyn_at 'export' 1" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'export'" -l to -r -F -d 'Write a new file; default standard output'
complete -c dyn -n "__dyn_in 'export'" -l resume -d 'Go on with the file of --to after its last whole line'
complete -c dyn -n "__dyn_at 'import' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_in 'import'" -l existing -x -a 'skip replace beside' -d 'Keys that have other values: leave them alone (default), replace, or add as siblings'
complete -c dyn -n "__dyn_in 'import'" -l resume -x -d 'Go on at this line: the one that an error named'
complete -c dyn -n "__dyn_in 'import'" -l dry-run -d 'Read and compare only; write nothing'
complete -c dyn -n "__dyn_at 'doctor' 1+" -a 'host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults'
complete -c dyn -n "__dyn_in 'doctor'" -l list -d 'List the checks and make none'
complete -c dyn -n "__dyn_in 'doctor'" -l only -x -a 'local cluster' -d 'This machine, or the cluster'
complete -c dyn -n "__dyn_in 'doctor'" -l skip -x -a 'host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults' -d 'Leave this out; several'
complete -c dyn -n "__dyn_in 'doctor'" -l explain -x -a 'host.python host.store host.space host.files host.text host.config host.ports host.mdns host.secrets host.completion cluster.answer cluster.health cluster.views cluster.versions cluster.clocks cluster.transfers ring.copies data.siblings data.hints data.repair data.rot node.disk node.speed node.load node.durability node.certificate node.faults' -d 'Say what a check is about, and make none'
complete -c dyn -n "__dyn_in 'doctor'" -l bundle -r -F -d 'Write what there is to know into a zip, too'
complete -c dyn -n "__dyn_in 'bench'" -l op -x -a 'get put mixed' -d 'What to do'
complete -c dyn -n "__dyn_in 'bench'" -l reads -x -d 'Share of gets in mixed'
complete -c dyn -n "__dyn_in 'bench'" -l clients -x -d 'Connections'
complete -c dyn -n "__dyn_in 'bench'" -l pipeline -x -d 'Commands in flight on each'
complete -c dyn -n "__dyn_in 'bench'" -l rate -x -d 'So many requests are due each second, answered or not (open loop)'
complete -c dyn -n "__dyn_in 'bench'" -l size -x -d 'Bytes of a value'
complete -c dyn -n "__dyn_in 'bench'" -l keys -x -d 'Different keys'
complete -c dyn -n "__dyn_in 'bench'" -l dist -x -a 'uniform zipf hot' -d 'Evenly; or some more often: zipf 0.99; nine in ten for one key in a hundred'
complete -c dyn -n "__dyn_in 'bench'" -l duration -x -d 'How long to measure'
complete -c dyn -n "__dyn_in 'bench'" -l count -x -d 'How many requests, instead'
complete -c dyn -n "__dyn_in 'bench'" -l seed -x -d 'Of the keys drawn'
complete -c dyn -n "__dyn_in 'bench'" -l fill -d 'Write every key once before gets are measured'
complete -c dyn -n "__dyn_in 'bench'" -l spread -d 'Connect to all members, or only to the nodes that are named'
complete -c dyn -n "__dyn_in 'bench'" -l assert -x -d 'Exit 8 unless they hold: '\''p99<10,get.p50<2,errors=0'\'''
complete -c dyn -n "__dyn_in 'bench'" -l fault -x -d 'Break something meanwhile: '\''kill n2 @3s; heal @7s'\''; see dyn help bench'
complete -c dyn -n "__dyn_in 'bench'" -l compare -r -F -d 'With the last run, or with a kept one'
complete -c dyn -n "__dyn_in 'bench'" -l save -d 'Keep the figures in the state directory'
complete -c dyn -n "__dyn_at 'help' 1+" -a 'demo shell get put del merge keys export import doctor bench help version completion cluster ring node fault debug key ctx formats environment exit-codes'
complete -c dyn -n "__dyn_at 'completion' 1" -a 'bash zsh fish'
complete -c dyn -n "__dyn_at 'cluster' 1" -a status -d 'Health, nodes and views of the cluster'
complete -c dyn -n "__dyn_at 'cluster' 1" -a hints -d 'Rows that nodes keep for owners who missed them: how many, since when, and why each still waits'
complete -c dyn -n "__dyn_at 'cluster' 1" -a views -d 'Who believes what about whom'
complete -c dyn -n "__dyn_at 'cluster' 1" -a plan -d 'Say what a change of the ring would move, between whom, and how even the ring is after it'
complete -c dyn -n "__dyn_at 'cluster' 1" -a commit -d 'Do what a plan says'
complete -c dyn -n "__dyn_at 'cluster' 1" -a leave -d 'Have a node hand over what it holds and leave: its process ends by itself once the others have everything'
complete -c dyn -n "__dyn_at 'cluster' 1" -a remove -d 'Remove a dead node: the others take over its part, from each other'
complete -c dyn -n "__dyn_at 'cluster' 1" -a replace -d 'Put a member that owns nothing yet in the place of a dead one: it takes over just that'
complete -c dyn -n "__dyn_at 'cluster' 1" -a weight -d 'Give a node a larger share of the ring, or a smaller one'
complete -c dyn -n "__dyn_at 'cluster' 1" -a abandon -d 'Give up the change that is under way: the ring is again what it was before, and nothing is lost'
complete -c dyn -n "__dyn_at 'cluster' 1" -a rotate -d 'Make a new secret, by which nodes know that a context is one of theirs'
complete -c dyn -n "__dyn_at 'cluster' 1" -a transfers -d 'How far the change of the ring is that is under way: who has taken in how much of its part, and what waits'
complete -c dyn -n "__dyn_at 'cluster' 1" -a repair -d 'Compare all partitions that a node owns with their other owners, and make equal what differs'
complete -c dyn -n "__dyn_at 'cluster' 1" -a events -d 'What the nodes noted: who joined, went silent, came back, was repaired or rebuilt; the latest last'
complete -c dyn -n "__dyn_in 'cluster status'" -l check -d 'Exit 8 unless the cluster is healthy'
complete -c dyn -n "__dyn_in 'cluster status'" -l wait -x -a 'healthy' -d 'Wait until it is; exit 8 if not'
complete -c dyn -n "__dyn_in 'cluster status'" -l for -x -d 'Wait this long; default 60'
complete -c dyn -n "__dyn_in 'cluster status'" -l watch -d 'Look again and again, until Ctrl-C'
complete -c dyn -n "__dyn_in 'cluster status'" -l interval -x -d 'Between two looks of --watch; default 1'
complete -c dyn -n "__dyn_in 'cluster hints'" -l watch -d 'Look again and again, until Ctrl-C'
complete -c dyn -n "__dyn_in 'cluster hints'" -l interval -x -d 'Between two looks of --watch; default 1'
complete -c dyn -n "__dyn_in 'cluster views'" -l watch -d 'Look again and again, until Ctrl-C'
complete -c dyn -n "__dyn_in 'cluster views'" -l interval -x -d 'Between two looks of --watch; default 1'
complete -c dyn -n "__dyn_at 'cluster plan' 1" -a 'leave remove replace weight'
complete -c dyn -n "__dyn_at 'cluster plan' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'cluster plan' 3" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'cluster commit'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster commit'" -l wait -d 'Stay until the ring is settled; exit 7 if it takes too long'
complete -c dyn -n "__dyn_in 'cluster commit'" -l for -x -d 'With --wait: no longer; default 600'
complete -c dyn -n "__dyn_at 'cluster leave' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'cluster leave'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster leave'" -l wait -d 'Stay until the ring is settled; exit 7 if it takes too long'
complete -c dyn -n "__dyn_in 'cluster leave'" -l for -x -d 'With --wait: no longer; default 600'
complete -c dyn -n "__dyn_at 'cluster remove' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'cluster remove'" -l force -d 'Decide it alone: of two nodes the other is gone'
complete -c dyn -n "__dyn_in 'cluster remove'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster remove'" -l wait -d 'Stay until the ring is settled; exit 7 if it takes too long'
complete -c dyn -n "__dyn_in 'cluster remove'" -l for -x -d 'With --wait: no longer; default 600'
complete -c dyn -n "__dyn_at 'cluster replace' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'cluster replace' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'cluster replace'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster replace'" -l wait -d 'Stay until the ring is settled; exit 7 if it takes too long'
complete -c dyn -n "__dyn_in 'cluster replace'" -l for -x -d 'With --wait: no longer; default 600'
complete -c dyn -n "__dyn_at 'cluster weight' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'cluster weight'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster weight'" -l wait -d 'Stay until the ring is settled; exit 7 if it takes too long'
complete -c dyn -n "__dyn_in 'cluster weight'" -l for -x -d 'With --wait: no longer; default 600'
complete -c dyn -n "__dyn_in 'cluster abandon'" -l dry-run -d 'Show what it would do, and change nothing'
complete -c dyn -n "__dyn_in 'cluster transfers'" -l watch -d 'Look again and again, until Ctrl-C'
complete -c dyn -n "__dyn_in 'cluster transfers'" -l interval -x -d 'Between two looks of --watch; default 1'
complete -c dyn -n "__dyn_in 'cluster repair'" -l check -d 'Exit 8 unless all was compared and every key could be repaired'
complete -c dyn -n "__dyn_in 'cluster repair'" -l wait -d 'Stay until the pass is over'
complete -c dyn -n "__dyn_in 'cluster events'" -l last -x -d 'The last N; default 20, with --since all'
complete -c dyn -n "__dyn_in 'cluster events'" -l since -x -d 'Not older than 90s, 10m, 2h, 1d'
complete -c dyn -n "__dyn_in 'cluster events'" -l level -x -a 'info warn error' -d 'This and what is worse'
complete -c dyn -n "__dyn_in 'cluster events'" -l follow -s f -d 'Go on, with what happens, until Ctrl-C'
complete -c dyn -n "__dyn_at 'ring' 1" -a show -d 'Draw the ring: the primary of every partition, the nodes'\'' shares, and whether the placement keeps its rules'
complete -c dyn -n "__dyn_at 'ring' 1" -a owner -d 'Say where keys live: position, partition, owners, and the stand-ins that write for an owner that is down'
complete -c dyn -n "__dyn_at 'ring' 1" -a export -d 'Write the ring as a picture, a graph, a table, or as the document itself'
complete -c dyn -n "__dyn_at 'ring' 1" -a diff -d 'Compare two rings: the partitions that have other owners, and how many each node gains and loses'
complete -c dyn -n "__dyn_at 'ring' 1" -a simulate -d 'Say what a change would move, and how even the ring would be'
complete -c dyn -n "__dyn_at 'ring owner' 1+" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_in 'ring export'" -l format -x -a 'svg dot md json' -d 'Default svg'
complete -c dyn -n "__dyn_in 'ring export'" -l file -r -F -d 'Write it there; default: print it'
complete -c dyn -n "__dyn_at 'ring diff' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_at 'ring diff' 2" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_in 'ring simulate'" -l nodes -x -d 'Begin with N new nodes; asks nobody'
complete -c dyn -n "__dyn_in 'ring simulate'" -l zones -x -d 'Zones of new nodes, by turns'
complete -c dyn -n "__dyn_in 'ring simulate'" -l partitions -x -d 'With --nodes; default 256'
complete -c dyn -n "__dyn_in 'ring simulate'" -l replicas -x -d 'With --nodes; default 3'
complete -c dyn -n "__dyn_in 'ring simulate'" -l remove -x -a '(__dyn_dynamic names)' -d 'NODE leaves; may be repeated'
complete -c dyn -n "__dyn_in 'ring simulate'" -l weight -x -d 'NODE weighs W; as often'
complete -c dyn -n "__dyn_in 'ring simulate'" -l add -x -d 'K nodes join'
complete -c dyn -n "__dyn_in 'ring simulate'" -l keys -x -d 'Say how many rows of M keys would move'
complete -c dyn -n "__dyn_at 'node' 1" -a start -d 'Run a node in the foreground'
complete -c dyn -n "__dyn_at 'node' 1" -a cert -d 'Make certificates for TLS: a CA for the cluster, then one for each node, and for clients that are to show one'
complete -c dyn -n "__dyn_at 'node' 1" -a stats -d 'What a node did since its start, how long it took of late, what waits in it, and what it does beside clients'
complete -c dyn -n "__dyn_at 'node' 1" -a data -d 'The store of a node: back it up, look into a backup, put one back'
complete -c dyn -n "__dyn_in 'node start'" -l name -x -d 'Default nPORT'
complete -c dyn -n "__dyn_in 'node start'" -l cluster -x -d 'Cluster to join or found; default dyn'
complete -c dyn -n "__dyn_in 'node start'" -l listen -x -d 'Address to bind; default 127.0.0.1'
complete -c dyn -n "__dyn_in 'node start'" -l port -x -d 'For clients (RESP); default 7700'
complete -c dyn -n "__dyn_in 'node start'" -l peer-port -x -d 'For nodes; default port + 100'
complete -c dyn -n "__dyn_in 'node start'" -l http-port -x -d '/health, /metrics; default port + 200'
complete -c dyn -n "__dyn_in 'node start'" -l data-dir -r -F -d 'Default $XDG_DATA_HOME/dyn/CLUSTER/NAME'
complete -c dyn -n "__dyn_in 'node start'" -l join -x -d 'A node of the cluster; never found one'
complete -c dyn -n "__dyn_in 'node start'" -l discover -x -a 'mdns none' -d 'Look for nodes; default mdns'
complete -c dyn -n "__dyn_in 'node start'" -l zone -x -d 'Replicas go to different zones first'
complete -c dyn -n "__dyn_in 'node start'" -l weight -x -d 'Share of the ring; default 1'
complete -c dyn -n "__dyn_in 'node start'" -l nrw -x -d 'Quorums of a new cluster; default 3/2/2'
complete -c dyn -n "__dyn_in 'node start'" -l partitions -x -d 'Of a new cluster; default 256. One that has another number is refused'
complete -c dyn -n "__dyn_in 'node start'" -l durability -x -a 'full normal memory' -d 'full: an ack means fsynced; normal: a power cut may take the last writes; memory: so may a crash'
complete -c dyn -n "__dyn_in 'node start'" -l max-value-bytes -x -d 'Largest value; default 1M'
complete -c dyn -n "__dyn_in 'node start'" -l config -r -F -d 'Settings as TOML; default ./dyn.toml if there'
complete -c dyn -n "__dyn_in 'node start'" -l key-file -r -F -d 'The cluster key, shared by its nodes'
complete -c dyn -n "__dyn_in 'node start'" -l password-file -r -F -d 'The password of clients'
complete -c dyn -n "__dyn_in 'node start'" -l log-format -x -a 'text json' -d 'Log lines on stderr; default text'
complete -c dyn -n "__dyn_in 'node start'" -l seat -x -d 'Take the seat of a member whose data is lost'
complete -c dyn -n "__dyn_in 'node start'" -l replace -x -a '(__dyn_dynamic names)' -d 'New node in a dead member'\''s place: its name or id'
complete -c dyn -n "__dyn_in 'node start'" -l allow-faults -d 'Take DYN.FAULT commands: for tests and demos, loopback only'
complete -c dyn -n "__dyn_at 'node cert' 1" -a 'ca node client'
complete -c dyn -n "__dyn_in 'node cert'" -l dir -r -F -d 'Where ca.pem and ca.key are; here'
complete -c dyn -n "__dyn_in 'node cert'" -l cluster -x -d 'Whose node or client; default dyn'
complete -c dyn -n "__dyn_in 'node cert'" -l host -x -d 'Under which clients reach the node; several'
complete -c dyn -n "__dyn_in 'node cert'" -l days -x -d 'Good for; default 730, a CA 3650'
complete -c dyn -n "__dyn_in 'node cert'" -l renew -d 'In the place of one that is there'
complete -c dyn -n "__dyn_at 'node stats' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'node stats'" -l watch -d 'Look again and again, until Ctrl-C'
complete -c dyn -n "__dyn_in 'node stats'" -l interval -x -d 'Between two looks of --watch; default 1'
complete -c dyn -n "__dyn_at 'node data' 1" -a backup -d 'Copy a node'\''s store into one file while it serves: what it held at one moment, checked and on the disk'
complete -c dyn -n "__dyn_at 'node data' 1" -a info -d 'What a backup holds, and of which node and cluster it is'
complete -c dyn -n "__dyn_at 'node data' 1" -a restore -d 'Put a backup back: into the running cluster that it is of, row by row, or as the store of its node'
complete -c dyn -n "__dyn_at 'node data backup' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_at 'node data info' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_in 'node data info'" -l check -d 'Read every row against its checksum; exit 8 if damaged'
complete -c dyn -n "__dyn_at 'node data restore' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_in 'node data restore'" -l data -r -F -d 'Make this empty directory the node'\''s data directory'
complete -c dyn -n "__dyn_in 'node data restore'" -l undelete -d 'Merge also keys that may have been deleted after the backup'
complete -c dyn -n "__dyn_in 'node data restore'" -l skip-damaged -d 'Leave out rows that fail their checksum, instead of all'
complete -c dyn -n "__dyn_at 'fault' 1" -a cut -d 'Cut links: no message passes between A and B'
complete -c dyn -n "__dyn_at 'fault' 1" -a cut1 -d 'Cut links one way: A'\''s messages no longer reach B'
complete -c dyn -n "__dyn_at 'fault' 1" -a heal -d 'Make every link whole again: no cut, no delay, no loss'
complete -c dyn -n "__dyn_at 'fault' 1" -a delay -d 'Make links slow: each message between A and B is late by MS, and none overtakes another'
complete -c dyn -n "__dyn_at 'fault' 1" -a drop -d 'Make links lose messages: PERCENT of those between A and B, by lot'
complete -c dyn -n "__dyn_at 'fault' 1" -a pause -d 'Hold a node up: for MS it neither reads nor answers, and then it goes on as if nothing had been'
complete -c dyn -n "__dyn_at 'fault' 1" -a skew -d 'Set a node'\''s wall clock wrong'
complete -c dyn -n "__dyn_at 'fault' 1" -a disk -d 'Fill a node'\''s disk, or break it'
complete -c dyn -n "__dyn_at 'fault' 1" -a list -d 'List the faults in force on every node'
complete -c dyn -n "__dyn_at 'fault cut' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault cut' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault cut1' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault cut1' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault delay' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault delay' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault drop' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault drop' 2" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault pause' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault skew' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_in 'fault skew'" -l behind -d 'So many seconds behind, not ahead'
complete -c dyn -n "__dyn_at 'fault disk' 1" -a '(__dyn_dynamic names)'
complete -c dyn -n "__dyn_at 'fault disk' 2" -a 'full error ok'
complete -c dyn -n "__dyn_at 'debug' 1" -a bundle -d 'Put what there is to know of this cluster into a zip that can be given to others'
complete -c dyn -n "__dyn_at 'debug bundle' 1" -a '(__fish_complete_path (commandline -ct))'
complete -c dyn -n "__dyn_in 'debug bundle'" -l keys -d 'Also which keys are in conflict, and where they live'
complete -c dyn -n "__dyn_in 'debug bundle'" -l log -r -F -d 'Also the end of this log; several'
complete -c dyn -n "__dyn_at 'key' 1" -a explain -d 'Where a key lives, what each node of its preference list holds, and what that amounts to'
complete -c dyn -n "__dyn_at 'key' 1" -a repair -d 'Make one key equal on all its owners now'
complete -c dyn -n "__dyn_at 'key explain' 1" -a '(__dyn_dynamic keys)'
complete -c dyn -n "__dyn_at 'key repair' 1" -a '(__dyn_dynamic keys)'
