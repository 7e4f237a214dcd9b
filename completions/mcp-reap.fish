# fish completion for mcp-reap(1)

# The word that is the command, and what follows it, if the command has begun.
function __mcp_reap_command
    set -l words (commandline -opc)[2..]
    while set -q words[1]
        switch $words[1]
            case --
                set -e words[1]
                break
            case --grace --kill-after --idle-stop --idle-request --spare --trace --trace-max --stop
                set -e words[1]
            case '--*'
            case '-*g' '-*k' '-*i' '-*t'
                set -e words[1]
            case '-*'
            case '*'
                break
        end
        set -e words[1]
    end
    string join -- \n $words
end

function __mcp_reap_no_command
    not contains -- -- (commandline -opc); and test -z "$(__mcp_reap_command)"
end

function __mcp_reap_complete_command
    set -l words (__mcp_reap_command)
    complete --do-complete=(string join ' ' -- (string escape -- $words) (commandline -ct) | string collect)
end

function __mcp_reap_sessions
    mcp-reap --list 2>/dev/null | string match -rg '^ *(\d+)  '
end

complete -c mcp-reap -f
complete -c mcp-reap -n 'not __mcp_reap_no_command' -a '(__mcp_reap_complete_command)'
complete -c mcp-reap -n '__mcp_reap_no_command; and not string match -q -- "-*" (commandline -ct)' -a '(__fish_complete_command)'
complete -c mcp-reap -n __mcp_reap_no_command -s g -l grace -x -d 'From the end of input to SIGTERM'
complete -c mcp-reap -n __mcp_reap_no_command -s k -l kill-after -x -d 'From SIGTERM to SIGKILL'
complete -c mcp-reap -n __mcp_reap_no_command -s i -l idle-stop -x -a 'auto never' -d 'Stop the server when nothing has passed for so long'
complete -c mcp-reap -n __mcp_reap_no_command -l idle-request -x -d 'For how long a request without an answer keeps the server'
complete -c mcp-reap -n __mcp_reap_no_command -s z -l lazy -d 'Start the server when it is first needed'
complete -c mcp-reap -n __mcp_reap_no_command -s r -l restart -d 'Start the server again when it dies'
complete -c mcp-reap -n __mcp_reap_no_command -s f -l frugal -d 'The same as -z -i 30m -l -j -r'
complete -c mcp-reap -n __mcp_reap_no_command -s l -l drop-launcher -d 'End npx once the server runs'
complete -c mcp-reap -n __mcp_reap_no_command -l drop-launcher=all -d "Even if it is the server's own parent"
complete -c mcp-reap -n __mcp_reap_no_command -s j -l json-only -d 'Send lines that are not JSON to stderr'
complete -c mcp-reap -n __mcp_reap_no_command -s x -l no-new-privs -d 'The server cannot gain privileges'
complete -c mcp-reap -n __mcp_reap_no_command -s o -l outlive-parent -d 'The parent may exit'
complete -c mcp-reap -n __mcp_reap_no_command -l spare -x -d 'Names of descendants that live on'
complete -c mcp-reap -n __mcp_reap_no_command -s v -l verbose -d 'Say on stderr what happens'
complete -c mcp-reap -n __mcp_reap_no_command -s s -l stats -d 'Say on stderr at the end what the session was'
complete -c mcp-reap -n __mcp_reap_no_command -l stats=json -d 'The same, as JSON'
complete -c mcp-reap -n __mcp_reap_no_command -s t -l trace -r -F -d 'Write all messages to a file'
complete -c mcp-reap -n __mcp_reap_no_command -l trace-max -x -d 'Keep that file and the one before at about this size'
complete -c mcp-reap -n __mcp_reap_no_command -s L -l list -d 'Show the sessions that run on this host'
complete -c mcp-reap -n __mcp_reap_no_command -l list=json -d 'The same, as JSON'
complete -c mcp-reap -n __mcp_reap_no_command -l stop -x -a '(__mcp_reap_sessions)' -d 'End a session'
complete -c mcp-reap -n '__mcp_reap_no_command; and string match -q -- "--restart=*" (commandline -ct)' -a '--restart=(__mcp_reap_sessions)' -d "Start a session's server again, now"
complete -c mcp-reap -n __mcp_reap_no_command -l forget -d 'Remove what --lazy has kept'
complete -c mcp-reap -n __mcp_reap_no_command -s h -l help -d 'Show a summary of the options'
complete -c mcp-reap -n __mcp_reap_no_command -s V -l version -d 'Show the version'
