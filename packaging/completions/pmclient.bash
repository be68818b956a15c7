# Completion of pmclient(1) for bash. pmclient says itself what a word could become.

_pmclient() {
	local rest=${COMP_LINE:0:COMP_POINT} words=() blanks part i
	# Bash takes words apart at ":", "=" and "@", too. What no blank divides is one word.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		blanks=${rest%%[!$' \t\n']*}
		rest=${rest#"$blanks"}
		part=${COMP_WORDS[i]}
		if ((i == COMP_CWORD)); then
			part=$rest # up to the cursor
		fi
		rest=${rest#"$part"}
		if ((i == 0)) || [[ $blanks ]]; then
			words+=("$part")
		else
			words[${#words[@]} - 1]+=$part
		fi
	done
	local last=$((${#words[@]} - 1)) cut=
	local word=${words[last]} breaks=${COMP_WORDBREAKS//[!:=@]/}
	unset "words[last]" "words[0]"
	case $word in
	[\'\"]*) word=${word:1} ;; # nothing is taken apart within quotes
	*[:=@]*) [[ $breaks ]] && cut=${word%"${word##*[$breaks]}"} ;;
	esac
	cut=${cut%@} # this one belongs to what is behind it
	for i in "${!words[@]}"; do
		part=${words[i]/#'~/'/"$HOME/"}
		part=${part//[\'\"]/}
		words[i]=${part//\\/}
	done

	COMPREPLY=()
	local lines line
	mapfile -t lines < <(command pmclient complete -- "${words[@]}" "$word" 2>/dev/null)
	for line in "${lines[@]}"; do
		case $line in
		:files) compopt -o default ;;
		:directories) compopt -o dirnames ;;
		:programs) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
		:users) mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
		:groups) mapfile -t COMPREPLY < <(compgen -g -- "$word") ;;
		*)
			line=${line%%$'\t'*}
			COMPREPLY+=("${line#"$cut"}")
			;;
		esac
	done
}

complete -F _pmclient pmclient
