# Changes that do not arrive while a shard is moved, split or distributed: the operation fails with XX001, the old placement
# stays in use with all rows, and nothing is left behind. What is copied is in regress/sql/hash_functions.sql.
use strict;
use warnings;
use CivitasCluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run;

my $cluster = CivitasCluster->new(workers => 3, conf => "citus.defer_shard_delete_interval = -1\nfsync = off\n");
my $coordinator = $cluster->node(0);
# One that comes later, and gets the reference tables then.
my $third = "'127.0.0.1', " . $cluster->node(3)->port;
$cluster->sql("SELECT citus_remove_node($third)");

# A hash function with a setting of the node's in it: the same words everywhere, not the same hash.
$cluster->sql(q{
	CREATE TYPE odd AS (a int);
	CREATE FUNCTION odd_hash(odd) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS
		$$SELECT hashint4($1.a) # coalesce(nullif(current_setting('odd.mask', true), ''), '0')::int$$;
	CREATE FUNCTION odd_eq(odd, odd) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a = $2.a';
	CREATE OPERATOR = (LEFTARG = odd, RIGHTARG = odd, FUNCTION = odd_eq, HASHES);
	CREATE OPERATOR CLASS odd_ops DEFAULT FOR TYPE odd USING hash AS OPERATOR 1 =, FUNCTION 1 odd_hash(odd);
	CREATE TABLE odds (k odd NOT NULL, v int);
	ALTER TABLE odds REPLICA IDENTITY FULL;
	SELECT create_distributed_table('odds', 'k', shard_count => 4, colocate_with => 'none');
	INSERT INTO odds SELECT row(i)::odd, i FROM generate_series(1, 100) i;
	CREATE TABLE plain (k int PRIMARY KEY, v int);
	SELECT create_distributed_table('plain', 'k', shard_count => 4, colocate_with => 'none');
	INSERT INTO plain SELECT i, i FROM generate_series(1, 100) i;
	CREATE TABLE plain_ref (k int PRIMARY KEY, v int);
	SELECT create_reference_table('plain_ref');
	INSERT INTO plain_ref SELECT i, i FROM generate_series(1, 100) i;
});

sub facts { return $cluster->sql("SELECT count(*), sum(v), count(DISTINCT k) FROM $_[0]"); }

sub leftovers
{
	$cluster->sql('CALL citus_cleanup_orphaned_resources()');
	my $left = $cluster->sql('SELECT count(*) FROM pg_dist_cleanup') . ' ';
	for my $node (@{ $cluster->{nodes} })
	{
		$left .= $node->safe_psql('postgres', q{SET citus.show_shards_for_app_name_prefixes = '*';
			SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication
			UNION ALL SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^(odds|plain)_[0-9]+$' AND NOT EXISTS (
				SELECT FROM pg_dist_placement WHERE groupid = (SELECT groupid FROM pg_dist_local_group)
				AND shardid = substring(relname FROM '[0-9]+$')::bigint)});
	}
	return $left;
}

# Runs an operation, with something else done when the rows have been copied; what it says.
sub disturbed
{
	my ($operation, $point, $during) = @_;
	$cluster->prepare_to_hold;
	my ($out, $err) = ('', '');
	my $handle = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'VERBOSITY=verbose', '-d', $coordinator->connstr('postgres'),
			'-c', "SET citus.debug_point = '$point:wait'", '-c', $operation ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	$cluster->wait_for_point($point);
	$during->();
	$cluster->let_go;
	$handle->finish;
	return $err;
}

sub on_workers
{
	my ($sql) = @_;
	$_->safe_psql('postgres', "$sql") for $cluster->workers;
	return;
}

my ($one, $two) = split /\n/, $cluster->sql('SELECT nodeid FROM pg_dist_node WHERE groupid > 0 ORDER BY nodeid');
my $halve = sub {
	my ($table) = @_;
	return $cluster->sql(qq{SELECT format('SELECT citus_split_shard_by_split_points(%s, ARRAY[''%s''], ARRAY[$one, $two], ''force_logical'')',
		shardid, (shardminvalue::bigint + shardmaxvalue::bigint) / 2)
		FROM pg_dist_shard WHERE logicalrelid = '$table'::regclass AND shardminvalue = '0'});
};

# --- a change that no target takes ---

for my $change ('INSERT INTO odds SELECT row(i)::odd, 0 FROM generate_series(101, 140) i', 'UPDATE odds SET v = v + 1', 'DELETE FROM odds WHERE v > 0')
{
	my $err = disturbed($halve->('odds'), 'move_copied', sub {
		$cluster->sql("$change");
		on_workers('ALTER DATABASE postgres SET odd.mask = 1431655765');
	});
	on_workers('ALTER DATABASE postgres RESET odd.mask');
	like($err, qr/XX001: a changed row of table .* belongs to none of the new shards/, "$change: the split fails");
	$cluster->sql('DELETE FROM odds; INSERT INTO odds SELECT row(i)::odd, i FROM generate_series(1, 100) i');
	is(facts('odds'), '100|5050|100', '... the rows are there');
	is($cluster->sql(q{SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = 'odds'::regclass}), '4', '... in the old shards');
	is(leftovers(), '0 ', '... and nothing is left behind');
}

# --- a target that swallows one, in a move and while a table is distributed ---

# Of the nodes alone.
$_->safe_psql('postgres', q{
	SET citus.enable_ddl_propagation = off;
	CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.v = 3000 THEN RETURN NULL; END IF; RETURN NEW; END';
	CREATE FUNCTION add_trigger() RETURNS event_trigger LANGUAGE plpgsql AS $$
	DECLARE
		r record;
	BEGIN
		FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
			EXECUTE format('CREATE TRIGGER swallow BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.swallow()', r.objid::regclass);
			EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER swallow', r.objid::regclass);
		END LOOP;
	END $$;
	CREATE EVENT TRIGGER new_tables ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION add_trigger()}) for $cluster->workers;
my ($move) = $cluster->sql(qq{SELECT format('SELECT citus_move_shard_placement(%s, %s, %s, ''force_logical'')', shardid, nodeid, $one + $two - nodeid)
	FROM pg_dist_shard JOIN pg_dist_placement USING (shardid) JOIN pg_dist_node USING (groupid)
	WHERE shardid = get_shard_id_for_distribution_column('plain', 3000)});
my $err = disturbed($move, 'move_copied', sub { $cluster->sql('INSERT INTO plain VALUES (3000, 3000)') });
like($err, qr/XX001: a change of table .* met 0 rows of shard/, 'an insert is swallowed: the move fails');
is(facts('plain'), '101|8050|101', '... the rows are there');
is(leftovers(), '0 ', '... and nothing is left behind');

$cluster->sql('CREATE TABLE locals (k int PRIMARY KEY, v int); INSERT INTO locals SELECT i, i FROM generate_series(1, 100) i');
$err = disturbed(q{SELECT create_distributed_table_concurrently('locals', 'k', colocate_with => 'none')}, 'online_copied',
	sub { $cluster->sql('INSERT INTO locals VALUES (3000, 3000)') });
like($err, qr/XX001: a change of table .* met 0 rows of shard/, 'an insert is swallowed: the table is not distributed');
is(facts('locals'), '101|8050|101', '... the rows are there');
is($cluster->sql(q{SELECT count(*) FROM pg_dist_partition WHERE logicalrelid = 'locals'::regclass}), '0', '... in the local table');
is(leftovers(), '0 ', '... and nothing is left behind');

# --- a new node's copy of a reference table swallows one ---

my $copies = q{SELECT count(*) FROM pg_dist_placement JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 'plain_ref'::regclass};
my $before = $cluster->sql($copies);
$cluster->sql("SELECT citus_add_node($third)");
is($cluster->sql($copies), $before, 'a new node has no copy yet');
my $id = $cluster->sql("SELECT nodeid FROM pg_dist_node WHERE nodeport = " . $cluster->node(3)->port);
my $replicate = "SELECT citus_internal.copy_reference_tables(ARRAY[$id], 'force_logical')";
$err = disturbed($replicate, 'move_copied', sub { $cluster->sql('INSERT INTO plain_ref VALUES (3000, 3000)') });
like($err, qr/XX001: a change of table .* met 0 rows of shard/, 'an insert is swallowed: the node gets no copy');
is(facts('plain_ref'), '101|8050|101', '... the rows are there');
is($cluster->sql($copies), $before, '... where they were');
is(leftovers(), '0 ', '... and nothing is left behind');

# --- without any of it all goes well ---

$_->safe_psql('postgres', 'SET citus.enable_ddl_propagation = off; DROP EVENT TRIGGER new_tables') for $cluster->workers;
for my $operation ($halve->('odds'), $move)
{
	$err = disturbed($operation, 'move_copied', sub {
		$cluster->sql('INSERT INTO plain VALUES (4000, 0); DELETE FROM plain WHERE k = 4000; UPDATE plain SET v = v + 1; UPDATE plain SET v = v - 1');
		$cluster->sql('INSERT INTO odds SELECT row(i)::odd, 0 FROM generate_series(101, 140) i; UPDATE odds SET v = v + 1; UPDATE odds SET v = v - 1; DELETE FROM odds WHERE v = 0');
	});
	is($err, '', 'with changes of every kind');
}
is(facts('odds'), '100|5050|100', 'the rows are there');
is(facts('plain'), '101|8050|101', 'the rows are there');
$err = disturbed($replicate, 'move_copied', sub { $cluster->sql('UPDATE plain_ref SET v = v + 1; UPDATE plain_ref SET v = v - 1') });
is($err, '', 'a copy of a reference table with changes');
is($cluster->sql($copies), $before + 1, '... is there');
is($cluster->node(3)->safe_psql('postgres', 'SELECT count(*), sum(v), count(DISTINCT k) FROM plain_ref'), '101|8050|101', '... with all rows');
done_testing();
