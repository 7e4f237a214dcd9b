# shellcheck shell=bash
# bash completion for mcp-reap(1)

_mcp_reap()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i=1 command=false value=''

	# COMMAND begins at the first word that is neither an option nor the value
	# of one; VALUE is the option whose value is to be completed. What bash
	# splits at the = are three words.
	while ((i < COMP_CWORD)) && ! $command; do
		value=''
		case ${COMP_WORDS[i]} in
		--grace | --kill-after | --idle-stop | --idle-request | --spare | --trace | --trace-max | --stop)
			value=${COMP_WORDS[i]}
			[[ ${COMP_WORDS[i + 1]} != = ]] || ((i += 1))
			((i += 1))
			;;
		--stats | --list | --drop-launcher | --restart)
			if [[ ${COMP_WORDS[i + 1]} == = ]]; then
				value=${COMP_WORDS[i]}
				((i += 2))
			fi
			;;
		--) command=true ;;
		--*) ;;
		-?*)
			# In -tFILE the value is in the same word.
			if [[ ${COMP_WORDS[i]} =~ ^-[^gkit]*[gkit]$ ]]; then
				value=${COMP_WORDS[i]: -1}
				((i += 1))
			fi
			;;
		*)
			command=true
			((i -= 1))
			;;
		esac
		((i += 1))
	done

	COMPREPLY=()
	if ((i > COMP_CWORD)); then
		[[ $cur != = ]] || cur=''
		case $value in
		t | --trace)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			;;
		--drop-launcher)
			mapfile -t COMPREPLY < <(compgen -W all -- "$cur")
			;;
		i | --idle-stop)
			mapfile -t COMPREPLY < <(compgen -W 'auto never' -- "$cur")
			;;
		--stop | --restart)
			mapfile -t COMPREPLY < <(compgen -W "$(mcp-reap --list 2>/dev/null | sed -nE 's,^ *([0-9]+)  .*,\1,p')" -- "$cur")
			;;
		--stats | --list)
			mapfile -t COMPREPLY < <(compgen -W json -- "$cur")
			;;
		esac
	elif ! $command && [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '--drop-launcher --forget --frugal --grace= --help --idle-request= --idle-stop= --json-only
			--kill-after= --lazy --list --no-new-privs --outlive-parent --restart --spare= --stats --stop= --trace= --trace-max= --verbose --version' -- "$cur")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
	elif declare -F _comp_command_offset >/dev/null; then # bash-completion 2.12
		_comp_command_offset "$i"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$i"
	elif ((i == COMP_CWORD)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
} && complete -F _mcp_reap mcp-reap
