# CivitasSession: a psql that is fed statement by statement, for tests whose sessions meet in a certain order.
#
#   my $s = $cluster->session(0);
#   $s->run('BEGIN; UPDATE ...');          # to its end; what it printed
#   $s->start('UPDATE ...');               # without waiting for its end
#   $s->says('rows 5');                    # waits until that was printed
#   $s->silent_for(1, 'rows');             # whether it was not printed for that long: something must hold the session
#   $s->finish;
#
# {out} and {err} hold what was printed, {out} since the last run(). Waits are bounded by minutes: they end early when a thing
# happens, and never because the machine was slow.
package CivitasSession;

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Longest wait for something that should happen at once, s.
our $patience = 120;

sub new
{
	my ($class, $node) = @_;
	my $self = bless { in => '', out => '', err => '', runs => 0 }, $class;
	$self->{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, IPC::Run::timeout(410));
	return $self;
}

sub start { my ($self, $sql) = @_; return $self->feed("$sql;"); }

sub feed
{
	my ($self, $text) = @_;
	$self->{in} .= "$text\n";
	$self->pump until $self->{in} eq '';
	return;
}

# Moves what is there to be read and written. False when psql has gone.
sub pump
{
	my ($self) = @_;
	return 1 if eval { $self->{handle}->pump_nb; 1 };
	$self->{in} = '';
	return 0;
}

sub has_said
{
	my ($self, $word) = @_;
	$self->pump;
	return index($self->{out}, $word) >= 0;
}

sub says
{
	my ($self, $word) = @_;
	my $end = time + $patience;
	while (time < $end)
	{
		my $lives = $self->pump;
		return 1 if index($self->{out}, $word) >= 0;
		last unless $lives;
		sleep 0.02;
	}
	diag("no $word in: $self->{out}$self->{err}");
	return 0;
}

sub run
{
	my ($self, $sql) = @_;
	my $done = 'done_' . ++$self->{runs};
	$self->{out} = '';
	$self->feed("$sql;\n\\echo $done");
	$self->says("$done\n") or die "a session did not come to the end of: $sql\n";
	return $self->{out} =~ s/\Q$done\E\n//r;
}

sub silent_for
{
	my ($self, $seconds, $word) = @_;
	my $end = time + $seconds;
	while (time < $end)
	{
		return 0 if $self->has_said($word);
		sleep 0.02;
	}
	return 1;
}

sub finish
{
	my ($self) = @_;
	eval { $self->feed('\q'); $self->{handle}->finish };
	return;
}

# As if the client's machine had gone.
sub vanish { my ($self) = @_; eval { $self->{handle}->kill_kill }; return; }

1;
