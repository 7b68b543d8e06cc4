# ProtocolClient: a client that speaks PostgreSQL's protocol itself, for what psql cannot do: portals that are read in parts.
#
#   my $client = ProtocolClient->new($node, application_name => 'x');   # startup parameters may follow
#   my @rows = $client->query('SELECT ...');              # each row a list reference; dies on an error
#   $client->open_portal('p', 'SELECT ...');              # Parse and Bind
#   my ($more, @rows) = $client->fetch('p', 10);          # Execute with a row limit; whether it was suspended
#   $client->sync;                                        # ends the implicit transaction, if there is one
#   $client->parameter('TimeZone');                       # the parameter status that the server reported last
#
# Over the server's Unix socket, trusted, as this user to database postgres. Every read is bounded by minutes.
package ProtocolClient;

use strict;
use warnings;
use Carp;
use IO::Select;
use IO::Socket::UNIX;

sub new
{
	my ($class, $node, %startup) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or croak "no connection to $path: $!";
	my $self = bless { socket => $socket, pending => '', parameters => {} }, $class;
	my $user = getpwuid $>;
	my $options = pack '(Z*)*x', user => $user, database => 'postgres', %startup;
	$self->write(pack('NN', 8 + length $options, 196608) . $options);
	$self->read_until('Z');
	return $self;
}

sub write
{
	my ($self, $bytes) = @_;
	while (length $bytes)
	{
		my $written = syswrite $self->{socket}, $bytes or croak "write: $!";
		substr $bytes, 0, $written, '';
	}
	return;
}

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body; }

# The next message: its type and its body.
sub read_message
{
	my ($self) = @_;
	my $end = time + 170;
	for (;;)
	{
		if (length $self->{pending} >= 5)
		{
			my ($type, $length) = unpack 'a1N', $self->{pending};
			if (length $self->{pending} > $length)
			{
				my $body = substr $self->{pending}, 5, $length - 4;
				substr $self->{pending}, 0, $length + 1, '';
				return ($type, $body);
			}
		}
		croak 'no answer within minutes' if time > $end;
		next if !IO::Select->new($self->{socket})->can_read(1);
		sysread $self->{socket}, $self->{pending}, 65536, length $self->{pending} or croak 'connection closed';
	}
}

# Rows, up to a message of one of these types, which is kept in {last}.
sub read_until
{
	my ($self, $types) = @_;
	my @rows;
	for (;;)
	{
		my ($type, $body) = $self->read_message;
		if ($type eq 'D')
		{
			push @rows, [ unpack 'x2(N/a)*', $body ];
		}
		if ($type eq 'S')
		{
			my ($name, $value) = unpack 'Z*Z*', $body;
			$self->{parameters}{$name} = $value;
		}
		if ($type eq 'E')
		{
			my %field = map { (substr($_, 0, 1), substr $_, 1) } split /\0/, $body;
			croak "$field{C}: $field{M}";
		}
		next if index($types, $type) < 0;
		$self->{last} = $type;
		return @rows;
	}
}

sub query
{
	my ($self, $sql) = @_;
	$self->write(message('Q', "$sql\0"));
	return $self->read_until('Z');
}

sub parameter { my ($self, $name) = @_; return $self->{parameters}{$name}; }

sub open_portal
{
	my ($self, $portal, $sql) = @_;
	$self->write(message('P', "\0$sql\0\0\0") . message('B', "$portal\0\0" . "\0" x 6) . message('H', ''));
	return $self->read_until('2');
}

sub fetch
{
	my ($self, $portal, $count) = @_;
	$self->write(message('E', "$portal\0" . pack('N', $count)) . message('H', ''));
	my @rows = $self->read_until('sC');
	return ($self->{last} eq 's', @rows);
}

sub sync
{
	my ($self) = @_;
	$self->write(message('S', ''));
	return $self->read_until('Z');
}

1;
