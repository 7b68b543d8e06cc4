# ShardTraffic: clients of tables whose shards are moved and split, with a ledger of what they were told is committed.
#
#   my $traffic = ShardTraffic->new($cluster);      # makes and fills the tables counters, log and kinds
#   $traffic->start_writers(4);                     # psql sessions on all nodes, prepared statements
#   $traffic->start_readers(2);                     # pgbench, extended protocol; they fail at the first wrong answer
#   $traffic->stop;                                 # all end in between two transactions
#   is($traffic->errors, '');
#   is($traffic->wrong, '');                        # rows against the ledger
#   is($traffic->leftovers, '');
#
# A writer has keys of its own, so no writer waits for another. Each of its transactions inserts one row and counts
# it, some change or delete an earlier one, often on another node. What must be in the tables is known
# from the number of the last transaction that was acknowledged; that of a writer which was killed or met an error may have
# got one further.
package ShardTraffic;

use strict;
use warnings;
use IPC::Run;
use List::Util qw(max);
use POSIX ':sys_wait_h';
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

my $keys = 200;

sub new
{
	my ($class, $cluster) = @_;
	my $self = bless { cluster => $cluster, writers => [], readers => [], runs => [], longest => 0, reads => 0 }, $class;
	$cluster->sql(<<"SQL");
CREATE TABLE kinds (id int PRIMARY KEY);
INSERT INTO kinds SELECT generate_series(0, 9);
SELECT create_reference_table('kinds');
CREATE TABLE counters (k int PRIMARY KEY, n int NOT NULL, kind int REFERENCES kinds);
SELECT create_distributed_table('counters', 'k', shard_count => 4);
CREATE TABLE log (k int REFERENCES counters, id bigint, rev int NOT NULL, at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (k, id));
SELECT create_distributed_table('log', 'k', colocate_with => 'counters');
INSERT INTO counters SELECT i, 0, i % 10 FROM generate_series(1, $keys) i;
SQL
	return $self;
}

# --- any load -----------------------------------------------------------------------------------------

# Starts pgbench clients for some seconds: [ node, script, clients, mode, transactions a second ]. Ends with end_load().
sub start_load
{
	my ($cluster, $seconds, @clients) = @_;
	my @load;
	for my $client (@clients)
	{
		my ($node, $script, $count, $mode, $rate) = @$client;
		my $name = $cluster->node(0)->basedir . '/bench' . @load;
		push @load, { name => $name, handle => IPC::Run::start(
			[ 'pgbench', '-n', '-c', $count, '-j', 1, '-T', $seconds, '-M', $mode, '-R', $rate, '-f', $script, '-l', '--log-prefix', $name,
				$cluster->node($node)->connstr('postgres') ], '<', \undef, '>', "$name.out", '2>', "$name.err", IPC::Run::timeout(180)) };
	}
	return \@load;
}

# Waits for the clients: what they were told that is no success, how many transactions, the longest in ms.
sub end_load
{
	my ($load) = @_;
	my ($errors, $transactions, $longest) = ('', 0, 0);
	for my $client (@$load)
	{
		$client->{handle}->finish;
		$errors .= slurp_file("$client->{name}.err") =~ s/^pgbench \(.*\n//r;
		$errors .= "failed transactions\n" if slurp_file("$client->{name}.out") !~ /number of failed transactions: 0 /;
		for my $log (glob "$client->{name}.[0-9]*")
		{
			my @times = map { my @field = split / /; $field[2] - ($field[6] // 0) } split /\n/, slurp_file($log);
			$transactions += @times;
			$longest = max($longest, map { $_ / 1000 } @times);
		}
	}
	return ($errors, $transactions, $longest);
}

# --- operations that stop at a debug point ------------------------------------------------------------

# Starts SQL on the coordinator, in {pid}, that stands at the point when this returns. Ends with let_go().
sub start_at
{
	my ($cluster, $point, $sql) = @_;
	my %run = (out => '', err => '');
	$cluster->prepare_to_hold;
	$run{handle} = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'VERBOSITY=verbose', '-d', $cluster->node(0)->connstr('postgres'),
			'-c', "SET citus.debug_point = '$point:wait'", '-c', $sql ],
		'<', \undef, '>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(400));
	$run{pid} = $cluster->wait_for_point($point);
	return \%run;
}

# It goes on, to its end.
sub let_go
{
	my ($cluster, $run) = @_;
	$cluster->let_go;
	$run->{handle}->finish;
}

# --- writers ------------------------------------------------------------------------------------------

# The transactions of a run: what each inserts, changes and deletes, as [key, id].
sub make_plan
{
	my ($run, $writers, $number, $count) = @_;
	my (@plan, @alive);
	for my $i (1 .. $count)
	{
		my $key = 1 + $number % $writers + $writers * int rand(int($keys / $writers));
		my %step = (insert => [ $key, $run * 1_000_000 + $i ]);
		$step{change} = $alive[ rand @alive ] if $i % 3 == 0 && @alive;
		$step{delete} = splice @alive, int rand @alive, 1 if $i % 4 == 0 && @alive;
		push @alive, $step{insert};
		push @plan, \%step;
	}
	return \@plan;
}

sub script_of
{
	my ($plan, $stop) = @_;
	my $text = <<'SQL';
\timing on
PREPARE new_row(int, bigint) AS INSERT INTO log VALUES ($1, $2, 0);
PREPARE count(int, int) AS UPDATE counters SET n = n + $2 WHERE k = $1;
PREPARE change(int, bigint) AS UPDATE log SET rev = rev + 1 WHERE k = $1 AND id = $2;
PREPARE remove(int, bigint) AS DELETE FROM log WHERE k = $1 AND id = $2;
\echo begin
SQL
	for my $i (0 .. $#$plan)
	{
		my $step = $plan->[$i];
		my ($insert, $change, $delete) = @$step{qw(insert change delete)};
		$text .= "BEGIN;\nEXECUTE count($insert->[0], 1);\nEXECUTE new_row($insert->[0], $insert->[1]);\n";
		$text .= "EXECUTE change($change->[0], $change->[1]);\n" if $change;
		$text .= "EXECUTE remove($delete->[0], $delete->[1]);\nEXECUTE count($delete->[0], -1);\n" if $delete;
		$text .= "COMMIT;\n\\echo committed @{[ $i + 1 ]}\nSELECT pg_sleep(0.01);\n\\echo begin\n";
		$text .= "\\set stop `test -e $stop && echo 1 || echo 0`\n\\if :stop\n\\q\n\\endif\n" if $i % 5 == 4;
	}
	return $text;
}

sub start_writer
{
	my ($self, $writer, $count) = @_;
	my $base = $self->{cluster}->node(0)->basedir . "/writer$writer->{number}";
	my $number = ++$self->{run_count};
	my $plan = make_plan($number, scalar @{ $self->{writers} }, $writer->{number}, $count);
	my $script = $self->{cluster}->write_file("writer$writer->{number}.sql", script_of($plan, $self->stop_file));
	$writer->{run} = { number => $number, plan => $plan, base => $base };
	my $connection = $self->{cluster}->node($writer->{node})->connstr('postgres');
	$writer->{pid} = fork // die $!;
	return if $writer->{pid};
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', "$base.out";
	open STDERR, '>', "$base.err";
	{ exec 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $connection, '-f', $script; }
	POSIX::_exit(1);
}

sub stop_file { my ($self) = @_; return $self->{cluster}->node(0)->basedir . '/stop'; }

# Writers on all nodes in turn; each stops by itself after `transactions`.
sub start_writers
{
	my ($self, $count, $transactions) = @_;
	unlink $self->stop_file;
	$self->{transactions} = $transactions // 20_000;
	my $nodes = @{ $self->{cluster}{nodes} };
	$self->{writers} = [ map { { number => $_, node => $_ % $nodes } } 0 .. $count - 1 ];
	$self->start_writer($_, $self->{transactions}) for @{ $self->{writers} };
}

# A run that has ended: what it was told, and how long its transactions took.
sub harvest
{
	my ($self, $writer) = @_;
	my $run = delete $writer->{run};
	$writer->{pid} = 0;
	$run->{errors} = slurp_file("$run->{base}.err");
	$run->{acknowledged} = 0;
	my $time = 0;
	for (split /\n/, slurp_file("$run->{base}.out"))
	{
		if (/^Time: ([\d.]+) ms/) { $time += $1; }
		elsif (/^begin/) { $time = 0; }
		elsif (/^committed (\d+)/)
		{
			$run->{acknowledged} = $1;
			$self->{longest} = max($self->{longest}, $time);
		}
	}
	push @{ $self->{runs} }, $run;
}

# Starts writers again that have met an error; for tests in which they may.
sub tend
{
	my ($self) = @_;
	for my $writer (@{ $self->{writers} })
	{
		next if waitpid($writer->{pid}, WNOHANG) <= 0;
		$self->harvest($writer);
		$self->start_writer($writer, $self->{transactions});
	}
}

# --- readers ------------------------------------------------------------------------------------------

# The last statement reads each shard group in two scans: between them the group may go to another place.
sub start_readers
{
	my ($self, $count) = @_;
	my $script = $self->{cluster}->write_file('reader.sql', <<"SQL");
\\set k random(1, $keys)
SELECT 1 / (n = (SELECT count(*) FROM log l WHERE l.k = c.k))::int FROM counters c WHERE k = :k;
SELECT 1 / (count(*) = $keys)::int FROM counters JOIN kinds ON kind = id;
SELECT 1 / (count(*) = 0)::int FROM (SELECT c.k FROM counters c LEFT JOIN log l ON l.k = c.k GROUP BY c.k, n HAVING n <> count(l.k)) different;
SELECT 1 / (count(*) = 0)::int FROM counters c WHERE n <> (SELECT count(*) FROM log l WHERE l.k = c.k);
\\sleep 50 ms
SQL
	for my $number (0 .. $count - 1)
	{
		my %reader = (out => '', err => $self->{cluster}->write_file("reader$number.err", ''));
		my $node = $self->{cluster}->node($number % @{ $self->{cluster}{nodes} });
		$reader{handle} = IPC::Run::start([ 'pgbench', '-n', '-c', 1, '-T', 1000, '-P', 1, '-M', 'prepared', '-f', $script, $node->connstr('postgres') ],
			'<', \undef, '>', \$reader{out}, '2>', $reader{err});
		push @{ $self->{readers} }, \%reader;
	}
}

# --- the end ------------------------------------------------------------------------------------------

# Everybody stops, in between two transactions. A writer that does not within a minute is killed, which is an error.
sub stop
{
	my ($self) = @_;
	append_to_file($self->stop_file, '');
	my $end = time + 60;
	while (my @running = grep { $_->{pid} } @{ $self->{writers} })
	{
		for my $writer (@running)
		{
			$self->harvest($writer) if waitpid($writer->{pid}, WNOHANG) > 0;
		}
		kill 'KILL', map { $_->{pid} } @running if time > $end;
		sleep 0.05;
	}
	$self->{writers} = [];
	for my $reader (@{ $self->{readers} })
	{
		$reader->{handle}->signal('KILL');
		$reader->{handle}->finish;
		my $err = slurp_file($reader->{err});
		my @reports = $err =~ /^(progress: .*)\n/mg;
		$self->{reads} += $_ for map { /([\d.]+) tps/ } @reports;
		$err =~ s/^(?:progress: |pgbench \().*\n//mg;
		push @{ $self->{runs} }, { number => 0, errors => $err };
	}
	$self->{readers} = [];
}

# What clients were told that is no success.
sub errors { my ($self) = @_; return join '', map { $_->{errors} } @{ $self->{runs} }; }

sub transactions { my ($self) = @_; my $sum = 0; $sum += $_->{acknowledged} // 0 for @{ $self->{runs} }; return $sum; }

# The rows of a run, "key id rev", after so many of its transactions.
sub rows_after
{
	my ($run, $count) = @_;
	my %rows;
	for my $step (@{ $run->{plan} }[ 0 .. $count - 1 ])
	{
		$rows{"@{ $step->{insert} }"} = 0;
		$rows{"@{ $step->{change} }"}++ if $step->{change};
		delete $rows{"@{ $step->{delete} }"} if $step->{delete};
	}
	return join "\n", sort map { "$_ $rows{$_}" } keys %rows;
}

# Where the tables do not say what the ledger says; the writers must have stopped.
sub wrong
{
	my ($self, $node) = @_;
	my %found;
	for (split /\n/, $self->{cluster}->node($node // 0)->safe_psql('postgres', q{SELECT concat_ws(' ', k, id, rev) FROM log}))
	{
		push @{ $found{ int((split / /)[1] / 1_000_000) } }, $_;
	}
	my $wrong = '';
	for my $run (grep { $_->{plan} || defined $_->{rows} } @{ $self->{runs} })
	{
		my $rows = join "\n", sort @{ delete $found{ $run->{number} } // [] };
		if (!$run->{plan})
		{
			$wrong .= "run $run->{number}: rows have changed since they were checked\n" if $rows ne $run->{rows};
			next;
		}
		my $least = $run->{acknowledged};
		my $most = $run->{errors} eq '' ? $least : $least + 1;
		$most = @{ $run->{plan} } if $most > @{ $run->{plan} };
		if (grep { rows_after($run, $_) eq $rows } $least .. $most)
		{
			$run->{rows} = $rows;
			delete $run->{plan};
			next;
		}
		my %expected = map { $_ => 1 } split /\n/, rows_after($run, $least);
		my %seen;
		$seen{$_}++ for split /\n/, $rows;
		my @lost = grep { !$seen{$_} } sort keys %expected;
		my @more = grep { !$expected{$_} || $seen{$_} > 1 } sort keys %seen;
		$wrong .= sprintf "run %d, %d acknowledged: lost %d (%s ..), too many %d (%s ..)\n", $run->{number}, $least,
		  scalar @lost, $lost[0] // '', scalar @more, $more[0] // '';
	}
	$wrong .= "rows of unknown runs: @{[ keys %found ]}\n" if %found;
	return $wrong . $self->disagreement($node // 0);
}

# Counters and rows that do not agree, seen from a node; none at any time.
sub disagreement
{
	my ($self, $node) = @_;
	return $self->{cluster}->node($node)->safe_psql('postgres', qq{
		SELECT 'counter ' || k || ' is ' || n FROM counters c WHERE n <> (SELECT count(*) FROM log l WHERE l.k = c.k)
		UNION ALL SELECT 'counters: ' || count(*) || ', of them different: ' || count(DISTINCT k) FROM counters
			HAVING count(*) <> $keys OR count(DISTINCT k) <> $keys});
}

sub leftovers { my ($self) = @_; return leftovers_of($self->{cluster}, qw(counters log kinds)); }

# What operations on tables have left behind after clean-up, on all nodes: waits for what needs a moment.
sub leftovers_of
{
	my ($cluster, @tables) = @_;
	my $names = join '|', @tables;
	my $left;
	for (1 .. 120)
	{
		$cluster->sql('SELECT recover_prepared_transactions(); CALL citus_cleanup_orphaned_resources()');
		$left = $cluster->sql(q{SELECT 'record of ' || object_name FROM pg_dist_cleanup});
		for my $node (@{ $cluster->{nodes} })
		{
			my $group = $node->safe_psql('postgres', 'SELECT groupid FROM pg_dist_local_group');
			# Every shard's table is a placement, and every placement has its table.
			$left .= $node->safe_psql('postgres', qq{SET citus.show_shards_for_app_name_prefixes = '*';
				SELECT 'slot ' || slot_name FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication
				UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
				UNION ALL SELECT 'lock of ' || l.pid FROM pg_locks l WHERE locktype = 'advisory' AND objsubid > 2
				UNION ALL SELECT 'table ' || relname FROM pg_class c WHERE relkind = 'r' AND relname ~ '^($names)_[0-9]+\$' AND NOT EXISTS (
					SELECT FROM pg_dist_placement WHERE groupid = $group AND shardid = substring(relname FROM '[0-9]+\$')::bigint)
				UNION ALL SELECT 'missing ' || shardid FROM pg_dist_placement WHERE groupid = $group AND NOT EXISTS (
					SELECT FROM pg_class WHERE relkind = 'r' AND relname ~ ('_' || shardid || '\$'))});
		}
		return '' if $left eq '';
		sleep 0.5;
	}
	return $left;
}

1;
