# CivitasCluster: a coordinator and some workers for TAP tests, on PostgreSQL::Test::Cluster.
#
#   my $cluster = CivitasCluster->new(workers => 2);      # servers, extension, nodes
#   $cluster->sql('SELECT ...');                          # on the coordinator; dies on an error
#   my ($code, $out, $err) = $cluster->try(0, 'SELECT');  # on node 0 (coordinator), 1, 2, ...
#   $cluster->node(1)->kill9;
#
# The test talks to a server over its Unix socket, the nodes to each other over 127.0.0.1 with TLS.
# All of it is removed when the test ends.
package CivitasCluster;

use strict;
use warnings;
use Carp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

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

# Prepared transactions left on the nodes that run, in all.
sub prepared_transactions
{
	my ($self) = @_;
	my $count = 0;
	$count += $_->safe_psql('postgres', 'SELECT count(*) FROM pg_prepared_xacts') for @{ $self->{nodes} };
	return $count;
}

1;
