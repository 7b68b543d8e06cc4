# shellcheck shell=bash
# Sourced by the other scripts: what they share. Needs bash; leaves no state but functions.

# Runs a command as the unprivileged user that servers need: "postgres" when we are root.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp "$@")
	else
		"$@"
	fi
}

# Prints the names among "$@" of Debian packages that are not installed.
missing_packages() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

# Installs the missing ones among "$@", as root or through sudo, and says which. Debian starts a database
# server of its own as soon as the server package is there; nobody asked for that, so for the
# time of the installation it is told not to.
install_packages() {
	local missing sudo=() dropin=/etc/postgresql-common/createcluster.d/civitas-install.conf status=0
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "these Debian packages are missing and this user cannot install them: ${missing[*]}" >&2
			echo "ask an administrator to run: apt-get install ${missing[*]}" >&2
			return 1
		fi
		sudo=(sudo)
	fi
	echo "installing from Debian: ${missing[*]}"
	local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0)
	if ! "${apt[@]}" --no-install-recommends --print-uris install "${missing[@]}" >/dev/null 2>&1; then
		echo "refreshing the package lists"
		"${apt[@]}" update </dev/null || return 1
	fi
	if [ -z "$(missing_packages postgresql-common)" ]; then
		dropin=
	else
		"${sudo[@]}" mkdir -p "$(dirname "$dropin")"
		echo 'create_main_cluster = false' | "${sudo[@]}" tee "$dropin" >/dev/null
	fi
	"${apt[@]}" --no-install-recommends install "${missing[@]}" </dev/null || status=$?
	if [ $status != 0 ]; then # a stale list is the usual reason
		status=0
		{ "${apt[@]}" update && "${apt[@]}" --no-install-recommends install "${missing[@]}"; } </dev/null || status=$?
	fi
	[ -z "$dropin" ] || "${sudo[@]}" rm -f "$dropin"
	return $status
}

# Makes the missing ones among the locales "$@" (like de_DE.UTF-8) known to this machine, as root or through sudo.
# They come from the definitions of Debian's package "locales".
make_locales() {
	local name known missing=() sudo=()
	known=$(locale -a)
	for name in "$@"; do
		grep -qixF "${name/UTF-8/utf8}" <<<"$known" || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "these locales are missing and this user cannot make them: ${missing[*]}" >&2
			for name in "${missing[@]}"; do
				echo "ask an administrator to run: localedef --no-archive -i ${name%%.*} -f UTF-8 $name" >&2
			done
			return 1
		fi
		sudo=(sudo)
	fi
	echo "making locales: ${missing[*]}"
	for name in "${missing[@]}"; do
		"${sudo[@]}" localedef --no-archive -i "${name%%.*}" -f UTF-8 "$name" || return 1
	done
}

# Whether nobody listens on any of the COUNT tcp ports of 127.0.0.1 from PORT on.
ports_are_free() {
	perl -MIO::Socket::INET -e '
		my ($first, $count) = @ARGV;
		for my $port ($first .. $first + $count - 1)
		{
			exit 1 unless IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port,
				Proto => "tcp", Listen => 1, ReuseAddr => 1);
		}' "$1" "$2"
}

# Prints the first of COUNT consecutive free tcp ports, below those that the server's own test library and the kernel hand out, and
# keeps them for process HOLDER (default: this shell) as long as it lives: others who ask here get different ones.
find_free_ports() {
	perl -MFcntl=:flock -MIO::Socket::INET -e '
		my ($count, $holder) = @ARGV;
		my $folder = ($ENV{TMPDIR} // "/tmp") . "/civitas-ports.$<";
		mkdir $folder, 0700;
		open my $lock, ">", "$folder/lock" or die "cannot write $folder/lock: $!\n";
		flock $lock, LOCK_EX or die "cannot lock $folder/lock: $!\n";
		for my $file (glob "$folder/*.kept") # of processes that are gone
		{
			unlink $file unless -d "/proc/" . readlink $file;
		}
		try: for (1 .. 500)
		{
			my $first = 6000 + int rand 4000;
			for my $port ($first .. $first + $count - 1)
			{
				next try if -l "$folder/$port.kept";
				next try unless IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port,
					Proto => "tcp", Listen => 1, ReuseAddr => 1);
			}
			symlink $holder, "$folder/$_.kept" for $first .. $first + $count - 1;
			print "$first\n";
			exit 0;
		}
		die "no $count consecutive free ports found\n"' "$1" "${2:-$$}"
}

# PostgreSQL's major version: that of PG_CONFIG, else PG_MAJOR, else the one that this release of Debian has.
pg_major() {
	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'
	elif [ -n "${PG_MAJOR:-}" ]; then
		echo "$PG_MAJOR"
	else
		case $(. /etc/os-release && echo "${VERSION_ID:-}") in
		12) echo 15 ;;
		13) echo 17 ;;
		*) echo 18 ;;
		esac
	fi
}

# The PostgreSQL installation to build against: its pg_config.
find_pg_config() {
	echo "${PG_CONFIG:-/usr/lib/postgresql/$(pg_major)/bin/pg_config}"
}
