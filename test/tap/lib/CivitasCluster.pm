# CivitasCluster: a coordinator and some workers for TAP tests, on PostgreSQL::Test::Cluster.
#
#   my $cluster = CivitasCluster->new(workers => 2);      # servers, extension, nodes
#   $cluster->sql('SELECT ...');                          # on the coordinator; dies on an error
#   my ($code, $out, $err) = $cluster->try(0, 'SELECT');  # on node 0 (coordinator), 1, 2, ...
#   $cluster->session(1)->run('BEGIN');                   # a session on node 1, see CivitasSession
#   $cluster->wait_until('rows are there', sub { ... });  # bounded, and says what was going on if it was in vain
#   $cluster->kill_server(1);                             # none of its processes says another word
#   $cluster->node_token(1, role => 'r');                 # what proves a session of that role on node 1 to be a node's
#
# No test relies on how long a thing takes: it waits for the state that it needs, and states that are passed quickly are held
# by a lock or by a debug point: prepare_to_hold, SET citus.debug_point = 'NAME:wait', wait_for_point, let_go.
#
# The test talks to a server over its Unix socket, the nodes to each other over 127.0.0.1 with TLS.
# All of it is removed when the test ends.
package CivitasCluster;

use strict;
use warnings;
use Carp;
use CivitasSession;
use Digest::SHA qw(hmac_sha256);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Options: workers (default 2), conf (text for every postgresql.conf), add_nodes (default 1),
# name (prefix of the nodes' names).
sub new
{
	my ($class, %options) = @_;
	my $self = bless { nodes => [] }, $class;
	my $workers = $options{workers} // 2;
	my $name = $options{name} // 'node';
	for my $i (0 .. $workers)
	{
		my $node = $self->make_server("$name$i", $options{conf} // '');
		push @{ $self->{nodes} }, $node;
		$node->safe_psql('postgres', 'CREATE EXTENSION citus');
	}
	if ($options{add_nodes} // 1)
	{
		$self->sql(sprintf(q{SELECT citus_set_coordinator_host('127.0.0.1', %d)}, $self->node(0)->port));
		$self->sql(sprintf(q{SELECT citus_add_node('127.0.0.1', %d)}, $self->node($_)->port))
		  for 1 .. $workers;
	}
	return $self;
}

# A server with the library loaded, started, not part of the cluster yet.
sub make_server
{
	my ($self, $name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 'logical', extra => [ '-E', 'UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'citus'
listen_addresses = '127.0.0.1'
shared_buffers = 32MB
max_connections = 100
max_prepared_transactions = 200
wal_level = logical
$conf
CONF
	$node->start;
	return $node;
}

sub node { my ($self, $i) = @_; return $self->{nodes}[$i] // croak "no node $i"; }

sub workers { my ($self) = @_; my @nodes = @{ $self->{nodes} }; return @nodes[ 1 .. $#nodes ]; }

# Runs SQL on the coordinator, returns its output; the test dies on an error.
sub sql { my ($self, $sql, %options) = @_; return $self->node(0)->safe_psql('postgres', $sql, %options); }

# Runs SQL on node $i: (psql's exit code, stdout, stderr). SQLSTATEs are shown in stderr. Bounded.
sub try
{
	my ($self, $i, $sql, %options) = @_;
	my ($out, $err, $timed_out) = ('', '', 0);
	my $code = $self->node($i)->psql('postgres', "\\set VERBOSITY verbose\n$sql",
		stdout => \$out, stderr => \$err, timeout => $options{timeout} // 120, timed_out => \$timed_out,
		on_error_stop => 1);
	croak "timed out: $sql" if $timed_out;
	return ($code, $out, $err);
}

# The same query on every node: list of outputs.
sub everywhere { my ($self, $sql) = @_; return map { $_->safe_psql('postgres', $sql) } @{ $self->{nodes} }; }

# Hexadecimal, for citus_internal.prove_node(); see src/remote/node_token.cpp. Options: role, database, gpid, users (the session
# is for a user's own text), age (s), secret (hexadecimal).
sub node_token
{
	my ($self, $i, %options) = @_;
	my $secret = $options{secret}
	  // $self->node($i)->safe_psql('postgres', q{SELECT encode(secret, 'hex') FROM citus_internal.cluster_secret WHERE current});
	my $made_at = int((time - 946684800 - ($options{age} // 0)) * 1e6);
	my $claim = pack('CCq>q>', 1, $options{users} ? 1 : 0, $options{gpid} // 1, $made_at)
	  . join '', map { chr int rand 256 } 1 .. 16;
	my $mac = hmac_sha256("civitas node\0$claim" . ($options{role} // getpwuid $>) . "\0" . ($options{database} // 'postgres') . "\0",
		pack('H*', $secret));
	return unpack 'H*', $claim . $mac;
}

sub session { my ($self, $i) = @_; return CivitasSession->new($self->node($i)); }

# Runs a statement on the coordinator while $during is called, $delay seconds after its start: where it is by then is up to
# chance. What psql complained about.
sub run_beside
{
	my ($self, $sql, $delay, $during) = @_;
	my ($out, $err) = ('', '');
	my $handle = IPC::Run::start(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $self->node(0)->connstr('postgres'),
			'-c', "SET application_name = 'under_test'", '-c', $sql ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	sleep $delay;
	$during->();
	$handle->finish;
	return $err;
}

# Cancels what run_beside() has started, if it is not over.
sub cancel_tested
{
	my ($self) = @_;
	$self->node(0)->psql('postgres',
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'under_test' AND state = 'active'});
	return;
}

# Waits until a condition holds. If it never does the test ends, with what all servers were doing.
sub wait_until
{
	my ($self, $what, $condition) = @_;
	my $end = time + $CivitasSession::patience;
	while (time < $end)
	{
		return 1 if $condition->();
		sleep 0.05;
	}
	fail("waiting until $what");
	for my $node (@{ $self->{nodes} })
	{
		$node->psql('postgres', q{SELECT pid, backend_type, application_name, state, wait_event, left(query, 200) FROM pg_stat_activity
			WHERE pid <> pg_backend_pid() AND backend_type !~ 'writer|checkpointer'}, stdout => \my $out, stderr => \my $err, timeout => 20);
		diag($node->name . ":\n" . ($out // '') . ($err // ''));
	}
	die "in vain\n";
}

# A file beside the coordinator's data, by its path.
sub write_file
{
	my ($self, $name, $text) = @_;
	my $path = $self->node(0)->basedir . "/$name";
	unlink $path;
	append_to_file($path, $text);
	return $path;
}

# --- debug points of processes of node $i, the coordinator if none is named ---

sub prepare_to_hold
{
	my ($self, $i) = @_;
	my $folder = $self->node($i // 0)->data_dir;
	unlink "$folder/citus_debug_continue", glob "$folder/citus_debug_at.*";
	return;
}

# The processes that stand at a point, or at any.
sub held
{
	my ($self, $point, $i) = @_;
	$point //= '*';
	my @files = glob $self->node($i // 0)->data_dir . "/citus_debug_at.$point.*";
	return map { /(\d+)$/ } @files;
}

# Waits until one stands there; its pid.
sub wait_for_point
{
	my ($self, $point, $i) = @_;
	my $pid;
	$self->wait_until("$point is reached", sub { ($pid) = $self->held($point, $i); defined $pid });
	return $pid;
}

sub let_go
{
	my ($self, $i) = @_;
	append_to_file($self->node($i // 0)->data_dir . '/citus_debug_continue', '');
	return;
}

# --- the end of servers ---

sub postmaster { my ($self, $i) = @_; return (split /\n/, slurp_file($self->node($i)->data_dir . '/postmaster.pid'))[0]; }

# The processes of a server, the postmaster first.
sub processes
{
	my ($self, $i) = @_;
	my $postmaster = $self->postmaster($i);
	return ($postmaster, split ' ', `ps -o pid= --ppid $postmaster`);
}

# Kills a server with all of its processes: the postmaster's children would live on until they notice.
sub kill_server
{
	my ($self, $i) = @_;
	my $postmaster = $self->postmaster($i);
	# Stopped, it makes no more of them.
	kill 'STOP', $postmaster;
	my @processes = $self->processes($i);
	kill 'KILL', @processes;
	# A zombie is not gone for kill(2), but holds nothing any more.
	$self->wait_until("node $i is dead", sub { `ps -o stat= -p @{[ join ',', @processes ]}` !~ /^[^Z\s]/m });
	$self->node($i)->{_pid} = undef;
	return;
}

# Starts a server that kill_server() ended: its postmaster counts as running while nobody has reaped it.
sub start_killed
{
	my ($self, $i) = @_;
	my $node = $self->node($i);
	my $command = "pg_ctl -D '" . $node->data_dir . "' -l '" . $node->logfile . "' -w -t 120 start >/dev/null 2>&1 </dev/null";
	$self->wait_until("node $i starts", sub { system($command) == 0 });
	$node->_update_pid(1);
	return;
}

# Waits until a server whose process crashed has restarted. $since: what log_position() was before the crash.
sub log_position { my ($self, $i) = @_; return -s $self->node($i)->logfile; }

sub wait_for_restart
{
	my ($self, $i, $since) = @_;
	$self->wait_until("node $i has restarted",
		sub { slurp_file($self->node($i)->logfile, $since) =~ /database system is ready to accept connections/ });
	return;
}

# Waits until no session between nodes is inside a transaction on the nodes that run, and finishes what is left prepared: what the
# servers do for a client that got an error may take longer than the error.
sub settle
{
	my ($self) = @_;
	my $open = q{SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'citus_internal%' AND (xact_start IS NOT NULL OR state = 'active')};
	$self->wait_until('no session between nodes is in a transaction', sub { !grep { $_ > 0 } $self->everywhere($open) });
	return $self->wait_until('nothing is prepared',
		sub { $self->everywhere('SELECT recover_prepared_transactions()'); $self->prepared_transactions == 0 });
}

# Prepared transactions left on the nodes that run, in all.
sub prepared_transactions
{
	my ($self) = @_;
	my $count = 0;
	$count += $_->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts') for @{ $self->{nodes} };
	return $count;
}

1;
