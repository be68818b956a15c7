# Completion of pmclient(1) for fish. pmclient says itself what a word could become.

function __pmclient_complete
    set -l words (commandline -opc | string replace -r '^~/' "$HOME/")
    set -e words[1]
    set -l word (commandline -ct | string unescape)
    set -l flag (string match -r -- '^-[^=]*=' "$word")
    set -l value (string replace -r -- '^-[^=]*=' '' "$word")
    for line in (command pmclient complete -- $words "$word" 2>/dev/null)
        switch $line
            case ':files'
                for path in (__fish_complete_path "$value")
                    printf '%s%s\n' "$flag" $path
                end
            case ':directories'
                for path in (__fish_complete_directories "$value")
                    printf '%s%s\n' "$flag" $path
                end
            case ':programs'
                __fish_complete_command
            case ':users'
                __fish_complete_users
            case ':groups'
                __fish_complete_groups
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c pmclient -f -a '(__pmclient_complete)'
