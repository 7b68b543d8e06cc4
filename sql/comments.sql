-- Comments on objects whose own part of the script has none: what docs/reference and \df+ show.
COMMENT ON FUNCTION pg_catalog.citus_set_coordinator_host(text,integer,noderole,name) IS
	'Registers this server as the coordinator, under the host name and port by which the workers reach it. Must precede the first citus_add_node(); may be called again after an address change.';
COMMENT ON FUNCTION pg_catalog.citus_add_node(text,integer,integer,noderole,name) IS
	'Adds a server to the cluster and activates it: metadata, table shells and reference tables are copied to it. The server must run the same version of the extension. Returns the node id; a node that is there already keeps its id.';
COMMENT ON FUNCTION pg_catalog.citus_add_inactive_node(text,integer,integer,noderole,name) IS
	'Adds a server without activating it: it gets no metadata and no shards until citus_activate_node().';
COMMENT ON FUNCTION pg_catalog.citus_add_secondary_node(text,integer,text,integer,name) IS
	'Registers a standby of a primary that is in the cluster already.';
COMMENT ON FUNCTION pg_catalog.citus_activate_node(text,integer) IS
	'Activates a node: copies metadata, table shells and reference tables to it, and lets new shards go there.';
COMMENT ON FUNCTION pg_catalog.citus_disable_node(text,integer,boolean) IS
	'Deactivates a node for a while: its reference table replicas are dropped from the metadata and it is not asked any more. Refused while it holds the only placement of a shard.';
COMMENT ON FUNCTION pg_catalog.citus_remove_node(text,integer) IS
	'Removes a node from the cluster. Refused while it holds the only placement of a shard.';
COMMENT ON FUNCTION pg_catalog.citus_pause_node_within_txn(integer, boolean, integer) IS
    'Has traffic to a node''s group wait until the transaction ends; force and lock_cooldown as for citus_update_node().';
COMMENT ON FUNCTION pg_catalog.master_add_secondary_node(text,integer,text,integer,name) IS
    'The same as citus_add_secondary_node().';
COMMENT ON FUNCTION pg_catalog.citus_update_node(integer, text, integer, boolean, integer) IS
    'Changes a node''s host name and port, as a failover does. Traffic to its group waits until the transaction ends; with force, transactions that have used it fail after lock_cooldown milliseconds. A secondary of the group that has the address takes the node''s old one.';
COMMENT ON FUNCTION pg_catalog.citus_set_node_property(text,integer,text,boolean) IS
	'Sets a property of a node; the one that exists is shouldhaveshards: whether new shards go there.';
COMMENT ON FUNCTION pg_catalog.citus_get_active_worker_nodes() IS
	'The active workers: host name and port.';
COMMENT ON FUNCTION pg_catalog.citus_check_cluster_node_health() IS
    'Tries every connection between two nodes; one row for each, false where it failed or the asking node has not been told of the newest changes of nodes, and null where it could not be reached.';
COMMENT ON FUNCTION pg_catalog.citus_check_connection_to_node(text,integer) IS
	'Whether this node can connect to another one.';
COMMENT ON FUNCTION pg_catalog.citus_is_coordinator() IS
	'Whether this server is the coordinator.';
COMMENT ON FUNCTION pg_catalog.citus_coordinator_nodeid() IS
	'The coordinator''s node id, 0 if it is not registered.';
COMMENT ON FUNCTION pg_catalog.citus_nodename_for_nodeid(integer) IS
	'The host name of a node; null if there is none.';
COMMENT ON FUNCTION pg_catalog.citus_nodeport_for_nodeid(integer) IS
	'The port of a node; null if there is none.';
COMMENT ON FUNCTION pg_catalog.get_nodeid_for_groupid(integer) IS
	'The node id of a group''s primary.';
COMMENT ON FUNCTION pg_catalog.citus_is_primary_node() IS
	'Whether this server is a primary.';
COMMENT ON FUNCTION pg_catalog.citus_create_restore_point(text) IS
	'Writes a restore point of this name into the WAL of every node, at one moment: no transaction is committed on one side of it only. Restore all nodes with recovery_target_name, then call recover_prepared_transactions() on each. Commits that span nodes wait meanwhile. Returns the coordinator''s position.';
COMMENT ON FUNCTION pg_catalog.get_rebalance_table_shards_plan(regclass,real,integer,bigint[],boolean,name,real) IS
	'The moves that a rebalance would make now, one row for each shard that moves: those of colocated tables move together. All distributed tables, or the colocation group of one; see rebalance_table_shards() for the arguments.';
COMMENT ON FUNCTION pg_catalog.rebalance_table_shards(regclass,real,integer,bigint[],citus.shard_transfer_mode,boolean,name) IS
	'Moves shards until the nodes are evenly loaded, each move in a transaction of its own, and returns when the last one is done. threshold: a node within this share of the average is even enough; max_shard_moves: the most moves to make; excluded_shard_list: shards that stay; drain_only: only empty the nodes whose shouldhaveshards is false; rebalance_strategy: a row of pg_dist_rebalance_strategy, the default one if null. Cannot run inside a transaction block.';
COMMENT ON FUNCTION pg_catalog.citus_drain_node(text,integer,citus.shard_transfer_mode,name) IS
	'Sets shouldhaveshards of a node to false and moves its shards to the other nodes. It can be removed then.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_start(name,boolean,citus.shard_transfer_mode,boolean,boolean) IS
	'Plans a rebalance of all distributed tables and schedules it as a background job, whose id it returns; null when there is nothing to move. Moves of one colocation group follow one another unless parallel_transfer_colocated_shards; citus.max_background_task_executors says how many run at a time.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_status(boolean) IS
	'How far the newest rebalance job is: see citus_job_status().';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_stop() IS
	'Cancels the rebalance job. The move that runs is ended and undone; moves that are done stay.';
COMMENT ON FUNCTION pg_catalog.citus_rebalance_wait() IS
	'Waits until the rebalance job has ended.';
COMMENT ON FUNCTION pg_catalog.citus_job_list() IS
	'The background jobs, oldest first.';
COMMENT ON FUNCTION pg_catalog.citus_job_status(bigint,boolean) IS
	'A background job with details: its tasks that run (for a move its phase, the bytes at source and target, and how far the target lags behind), have failed or wait to be tried again, and how many are in each state. With raw, sizes are bytes.';
COMMENT ON FUNCTION pg_catalog.citus_job_wait(bigint,citus_job_status) IS
	'Waits until a background job has ended, or is in the desired state; an error if it ended otherwise.';
COMMENT ON FUNCTION pg_catalog.citus_job_cancel(bigint) IS
	'Cancels a background job: tasks that have not started never will, one that runs is cancelled. For the owner of its tasks and superusers.';
COMMENT ON FUNCTION pg_catalog.citus_add_rebalance_strategy(name,regproc,regproc,regproc,real,real,real) IS
	'Adds a rebalance strategy: functions that give the cost of a shard, the capacity of a node (relative to the others) and whether a shard may be on a node; the threshold used if none is given, the lowest that may be given, and how much a move must gain as a share of what it moves.';
COMMENT ON FUNCTION pg_catalog.citus_set_default_rebalance_strategy(text) IS
	'Makes a rebalance strategy the one that is used when none is named.';
COMMENT ON FUNCTION pg_catalog.citus_validate_rebalance_strategy_functions(regproc,regproc,regproc) IS
	'Raises an error unless the functions can be those of a rebalance strategy.';
COMMENT ON FUNCTION pg_catalog.citus_shard_cost_1(bigint) IS
	'Cost function of by_shard_count: all shards cost the same.';
COMMENT ON FUNCTION pg_catalog.citus_shard_cost_by_disk_size(bigint) IS
	'Cost function of by_disk_size: bytes of a shard and of those colocated with it, and 100 MB, so that empty shards are spread too.';
COMMENT ON FUNCTION pg_catalog.citus_node_capacity_1(integer) IS
	'Capacity function of the built-in strategies: all nodes are equal.';
COMMENT ON FUNCTION pg_catalog.citus_shard_allowed_on_node_true(bigint,integer) IS
	'Placement function of the built-in strategies: every shard may be on every node.';
COMMENT ON FUNCTION pg_catalog.citus_version() IS
	'The version of the library and how it was built.';
COMMENT ON FUNCTION pg_catalog.create_distributed_table(regclass,text,citus.distribution_type,text,integer) IS
	'Spreads a table over the cluster by the hash of a column. Rows that it has are moved. colocate_with names a table whose shards the new ones go with (''default'': tables of the same column type and shard count; ''none'': a group of its own); shard_count defaults to citus.shard_count. With a null column, the table becomes a single shard.';
COMMENT ON FUNCTION pg_catalog.create_distributed_function(regprocedure,text,text,boolean) IS
	'Records which argument says with which shards the calls of a function belong; colocate_with names a table of these shards. The function is on every node, calls run on the node that is asked, and the statements of the function go to the rows from there.';
COMMENT ON FUNCTION pg_catalog.create_reference_table(regclass) IS
	'Copies a table to every node, for tables that others join with and point to. Rows that it has are kept.';
COMMENT ON FUNCTION pg_catalog.undistribute_table(regclass,boolean) IS
	'Turns a distributed or reference table into an ordinary table of this server again, rows included. cascade_via_foreign_keys takes along what foreign keys connect.';
COMMENT ON FUNCTION pg_catalog.create_distributed_table_concurrently(regclass,text,citus.distribution_type,text,integer) IS
	'create_distributed_table() while others read and write the table, which needs a primary key or another replica identity, and no foreign keys. Not in a transaction block.';
COMMENT ON PROCEDURE pg_catalog.alter_old_partitions_set_access_method(regclass,timestamptz,name) IS
	'Changes the access method of the partitions whose range of time ends at older_than or before, each in a transaction of its own.';
COMMENT ON FUNCTION pg_catalog.alter_distributed_table(regclass,text,integer,text,boolean) IS
	'Changes the distribution column, the shard count or the colocation group of a distributed table. The rows move into new shards while nobody else can use the table; all that depends on it stays. cascade_to_colocated: whether a new shard count or group applies to all tables that are colocated with it.';
COMMENT ON FUNCTION pg_catalog.alter_table_set_access_method(regclass,text) IS
	'Changes the access method of a table, on all nodes where it is distributed: what ALTER TABLE .. SET ACCESS METHOD does.';
COMMENT ON FUNCTION pg_catalog.citus_add_local_table_to_metadata(regclass,boolean) IS
	'Makes a table of the coordinator known to the cluster, so that every node can ask it and foreign keys between it and reference tables work.';
COMMENT ON FUNCTION pg_catalog.truncate_local_data_after_distributing_table(regclass) IS
	'Deletes the rows that a distributed table''s own, local storage still has from the time before it was distributed.';
COMMENT ON FUNCTION pg_catalog.get_shard_id_for_distribution_column(regclass,"any") IS
	'The shard that holds rows with a value, or NULL, in the distribution column.';
COMMENT ON FUNCTION pg_catalog.citus_table_size(regclass) IS
	'Disk space of all placements of a table, in bytes, without indexes.';
COMMENT ON FUNCTION pg_catalog.citus_relation_size(regclass) IS
	'Disk space of the main fork of all placements of a table or index, in bytes.';
COMMENT ON FUNCTION pg_catalog.citus_total_relation_size(regclass,boolean) IS
	'Disk space of all placements of a table with indexes and TOAST, in bytes.';
COMMENT ON FUNCTION pg_catalog.run_command_on_workers(text,boolean) IS
	'Runs a command on every worker, outside of this transaction; a row for each with its first result or its error.';
COMMENT ON FUNCTION pg_catalog.run_command_on_all_nodes(text,boolean,boolean) IS
	'Runs a command on every node, outside of this transaction; a row for each with its first result or its error.';
COMMENT ON FUNCTION pg_catalog.run_command_on_coordinator(text,boolean) IS
	'Runs a command on the coordinator, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_shards(regclass,text,boolean) IS
	'Runs a command for every shard of a table, with %s standing for the shard''s name, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_placements(regclass,text,boolean) IS
	'Runs a command for every placement of a table''s shards, with %s standing for the shard''s name, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.run_command_on_colocated_placements(regclass,regclass,text,boolean) IS
	'Runs a command for every pair of placements of two colocated tables, with two %s standing for the shards'' names, outside of this transaction.';
COMMENT ON FUNCTION pg_catalog.column_name_to_column(regclass,text) IS
	'The form in which pg_dist_partition stores a distribution column.';
COMMENT ON FUNCTION pg_catalog.column_to_column_name(regclass,text) IS
	'The name of a distribution column stored in pg_dist_partition.';
COMMENT ON FUNCTION pg_catalog.shard_name(regclass,bigint,boolean) IS
	'The name of a shard''s table, qualified where needed.';
COMMENT ON FUNCTION pg_catalog.relation_is_a_known_shard(regclass) IS
	'Whether a table is a shard that the metadata knows.';
COMMENT ON FUNCTION pg_catalog.citus_table_is_visible(oid) IS
	'Whether a table is visible in the search path and not hidden as a shard.';
COMMENT ON FUNCTION pg_catalog.role_exists(name) IS
	'Whether a role exists.';
COMMENT ON FUNCTION pg_catalog.authinfo_valid(text) IS
	'Whether a text is usable as authinfo of pg_dist_authinfo.';
COMMENT ON FUNCTION pg_catalog.poolinfo_valid(text) IS
	'Whether a text is usable as poolinfo of pg_dist_poolinfo.';
COMMENT ON TABLE pg_catalog.pg_dist_partition IS
	'The tables of the metadata, one row a table.';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.logicalrelid IS 'the table';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.partmethod IS 'h: hash; n: not distributed by a column (reference, single shard, local); r: range; a: append';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.partkey IS 'the distribution column; column_to_column_name() tells its name';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.colocationid IS 'colocation group, 0 for none';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.repmodel IS 't: a replica on every node with shards; s: by streaming replication of the nodes; c: by statement';
COMMENT ON COLUMN pg_catalog.pg_dist_partition.autoconverted IS 'added to the metadata because of a foreign key, not by a user';
COMMENT ON TABLE pg_catalog.pg_dist_shard IS
	'The shards, one row a shard.';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.logicalrelid IS 'the table it is part of';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardid IS 'unique in the cluster; the end of the shard''s name';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardstorage IS 't: ordinary table';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardminvalue IS 'lowest hash value, inclusive; null where there is one shard';
COMMENT ON COLUMN pg_catalog.pg_dist_shard.shardmaxvalue IS 'highest hash value, inclusive';
COMMENT ON TABLE pg_catalog.pg_dist_placement IS
	'Where the shards are, one row a copy of a shard.';
COMMENT ON COLUMN pg_catalog.pg_dist_placement.placementid IS 'unique in the cluster';
COMMENT ON COLUMN pg_catalog.pg_dist_placement.groupid IS 'the group of pg_dist_node that holds it';
COMMENT ON TABLE pg_catalog.pg_dist_node IS
	'The servers of the cluster.';
COMMENT ON COLUMN pg_catalog.pg_dist_node.nodeid IS 'unique, given out when the node is added';
COMMENT ON COLUMN pg_catalog.pg_dist_node.groupid IS 'a server and its standbys; 0 is the coordinator';
COMMENT ON COLUMN pg_catalog.pg_dist_node.noderack IS 'where it is, for information';
COMMENT ON COLUMN pg_catalog.pg_dist_node.hasmetadata IS 'whether it gets the metadata';
COMMENT ON COLUMN pg_catalog.pg_dist_node.isactive IS 'whether it is in use';
COMMENT ON COLUMN pg_catalog.pg_dist_node.metadatasynced IS 'whether it has been told of all changes of nodes';
COMMENT ON COLUMN pg_catalog.pg_dist_node.shouldhaveshards IS 'whether new shards go there';
COMMENT ON TABLE pg_catalog.pg_dist_colocation IS
	'Colocation groups: tables whose shards line up.';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.shardcount IS 'shards of each table in it';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.replicationfactor IS 'placements of each shard, -1 for reference tables';
COMMENT ON COLUMN pg_catalog.pg_dist_colocation.distributioncolumntype IS '0 where there is no distribution column';
COMMENT ON TABLE pg_catalog.pg_dist_object IS
	'Objects (schemas, types, functions, ...) that the cluster keeps on every node.';
COMMENT ON TABLE pg_catalog.pg_dist_local_group IS
	'The group of this server, one row.';
COMMENT ON TABLE pg_catalog.pg_dist_transaction IS
	'Commit records: transactions that were decided to commit and may still be prepared on a node.';
COMMENT ON COLUMN pg_catalog.pg_dist_transaction.groupid IS 'the node where it was prepared';
COMMENT ON COLUMN pg_catalog.pg_dist_transaction.gid IS 'the name that it was prepared under';
COMMENT ON TABLE pg_catalog.pg_dist_authinfo IS
	'How to log in to other nodes: what is added to the connection string, such as password=..., for a role. Superusers only.';
COMMENT ON COLUMN pg_catalog.pg_dist_authinfo.nodeid IS 'the node; 0 for all';
COMMENT ON COLUMN pg_catalog.pg_dist_authinfo.rolename IS 'the role that connects';
COMMENT ON TABLE pg_catalog.pg_dist_poolinfo IS
	'Where poolers in front of nodes listen. It is kept, not used: nodes connect to each other directly.';
COMMENT ON TABLE pg_catalog.pg_dist_node_metadata IS
	'Facts about the cluster as a whole.';
COMMENT ON TABLE pg_catalog.pg_dist_schema IS
	'Schemas whose tables are each one shard.';
COMMENT ON TABLE pg_catalog.pg_dist_cleanup IS
	'What an operation left to be deleted.';
COMMENT ON TABLE pg_catalog.pg_dist_rebalance_strategy IS
	'How the rebalancer judges nodes and shards.';
COMMENT ON TABLE pg_catalog.pg_dist_background_job IS
	'Background jobs.';
COMMENT ON TABLE pg_catalog.pg_dist_background_task IS
	'Steps of background jobs.';
COMMENT ON TABLE pg_catalog.pg_dist_background_task_depend IS
	'Which step waits for which.';
COMMENT ON VIEW pg_catalog.pg_dist_shard_placement IS
	'Placements with the node that holds each; kept for older scripts.';
COMMENT ON VIEW pg_catalog.citus_tables IS
	'The distributed, reference and local tables of the metadata that the current user may see.';
COMMENT ON VIEW pg_catalog.citus_shards IS
	'Every placement of every shard, with its node and its size in bytes.';
COMMENT ON VIEW pg_catalog.citus_schemas IS
	'Schemas whose tables are each one shard.';
COMMENT ON VIEW pg_catalog.citus_nodes IS
	'The active servers with their role.';
COMMENT ON TYPE pg_catalog.noderole IS 'Whether a node is a primary or a standby.';
COMMENT ON TYPE pg_catalog.citus_copy_format IS 'The formats of COPY.';
COMMENT ON TYPE citus.distribution_type IS 'How a table can be distributed.';
COMMENT ON TYPE citus.shard_transfer_mode IS 'How shards are moved.';
COMMENT ON TYPE pg_catalog.citus_job_status IS 'States of a background job.';
COMMENT ON TYPE pg_catalog.citus_task_status IS 'States of a step of a background job.';
COMMENT ON FUNCTION pg_catalog.remove_local_tables_from_metadata() IS
	'Takes tables that were added to the metadata automatically out of it, where no foreign key needs them any more.';
COMMENT ON FUNCTION pg_catalog.distributed_tables_colocated(regclass,regclass) IS
	'Whether two tables are colocated: equal values of their distribution columns are on the same node.';
COMMENT ON FUNCTION pg_catalog.update_distributed_table_colocation(regclass,text) IS
	'Puts a table into another colocation group: that of the table named (whose shards must match), or one of its own for ''none''. No rows move.';
COMMENT ON FUNCTION pg_catalog.get_colocated_table_array(regclass) IS
	'The tables colocated with a table.';
COMMENT ON FUNCTION pg_catalog.get_colocated_shard_array(bigint) IS
	'The shards colocated with a shard.';
COMMENT ON FUNCTION pg_catalog.get_all_active_transactions() IS
	'The backends of this server that belong to a distributed transaction: their own (worker_query false) or another backend''s.';
COMMENT ON FUNCTION pg_catalog.get_global_active_transactions() IS
	'get_all_active_transactions() of all nodes.';
COMMENT ON FUNCTION pg_catalog.check_distributed_deadlocks() IS
	'Looks for deadlocks across nodes now and cancels the youngest transaction of each; whether there were any. The server does so by itself.';
COMMENT ON FUNCTION pg_catalog.citus_stat_activity() IS
	'pg_stat_activity of all nodes; see the view of the same name.';
COMMENT ON VIEW pg_catalog.citus_stat_activity IS
	'pg_stat_activity of all nodes, with the global pid of the backend that each works for.';
COMMENT ON VIEW pg_catalog.citus_dist_stat_activity IS
	'Sessions of clients on all nodes: citus_stat_activity without the sessions of nodes among themselves.';
COMMENT ON FUNCTION pg_catalog.citus_locks() IS 'pg_locks of all nodes; see the view of the same name.';
COMMENT ON VIEW pg_catalog.citus_locks IS
	'pg_locks of all nodes, with the global pid of the backend that each is held or wanted for.';
COMMENT ON VIEW pg_catalog.citus_lock_waits IS
	'Which statement waits for which transaction, wherever in the cluster the wait is.';
COMMENT ON FUNCTION pg_catalog.citus_blocking_pids(integer) IS
	'Like pg_blocking_pids(), also for waits on other nodes: the processes of this node that a process of this node waits for.';
COMMENT ON FUNCTION pg_catalog.citus_isolation_test_session_is_blocked(integer,integer[]) IS
	'Whether a process waits for one of some others, here or on other nodes; for isolation tests.';
COMMENT ON FUNCTION pg_catalog.pg_cancel_backend(bigint) IS
	'Cancels the statement of the backend with a global pid, on whatever node it is.';
COMMENT ON FUNCTION pg_catalog.pg_terminate_backend(bigint,bigint) IS
	'Ends the session of the backend with a global pid, on whatever node it is.';
COMMENT ON FUNCTION pg_catalog.citus_remote_connection_stats() IS
	'Sessions that all backends of this server have to other nodes now, by node and database; kept ones count. citus.max_shared_pool_size limits them.';
COMMENT ON FUNCTION pg_catalog.citus_move_shard_placement(bigint,text,integer,text,integer,citus.shard_transfer_mode) IS
	'Moves a shard, with the shards of all colocated tables that belong to it, from one node to another. Queries go on; writes wait for a moment at the end (auto, force_logical) or all the time (block_writes). The old placement is dropped later.';
COMMENT ON FUNCTION pg_catalog.citus_move_shard_placement(bigint,integer,integer,citus.shard_transfer_mode) IS
	'The same by node ids.';
COMMENT ON FUNCTION pg_catalog.citus_copy_shard_placement(bigint,text,integer,text,integer,citus.shard_transfer_mode) IS
	'Gives a shard, with the shards of all colocated tables that belong to it, one more placement. Works like citus_move_shard_placement(), but the source stays.';
COMMENT ON FUNCTION pg_catalog.citus_copy_shard_placement(bigint,integer,integer,citus.shard_transfer_mode) IS
	'The same by node ids.';
COMMENT ON PROCEDURE pg_catalog.citus_cleanup_orphaned_resources() IS
	'Drops what moves and splits have left: replaced placements that nobody reads any more, and whatever a failure left behind. Runs in the background too, see citus.defer_shard_delete_interval.';
COMMENT ON PROCEDURE pg_catalog.citus_cleanup_orphaned_shards() IS
	'The same as citus_cleanup_orphaned_resources(), under its older name.';
COMMENT ON FUNCTION pg_catalog.citus_local_disk_space_stats() IS
	'Available and total bytes of the file system that holds this server''s data directory.';
COMMENT ON FUNCTION citus_internal.visible_in_view(boolean,text) IS
	'True, or the error that ON CONFLICT DO UPDATE meets a row that the view does not show.';
COMMENT ON FUNCTION citus_internal.unreferenced(boolean,text,text,text,text,text[]) IS
	'True, or the error of a foreign key whose referenced row would move to another shard.';
COMMENT ON FUNCTION citus_internal.row_left(oid,tid,tid) IS
	'Marks a row that this transaction deleted as moved, so that others who wait for it fail with a serialization error; returns the last argument.';
COMMENT ON FUNCTION citus_internal.check_option(boolean,text,text[]) IS
	'True, or the error that a row violates the check option of a view.';
COMMENT ON FUNCTION citus_internal.shell_oid(oid,text[],oid[]) IS
	'Of the named tables, the oid given for the one that a shard belongs to.';
COMMENT ON FUNCTION pg_catalog.get_rebalance_progress() IS
	'Moves, copies and splits of shards that run now, a row for each shard: bytes at the source and at the target, the phase, and, while changes are replicated, the position in the source''s log and how much of it the target has.';
COMMENT ON FUNCTION pg_catalog.citus_stat_counters(oid) IS
	'Sessions and statements counted in a database (0: in each) while citus.enable_stat_counters was on, since the last reset or the server''s start.';
COMMENT ON FUNCTION pg_catalog.citus_stat_counters_reset(oid) IS
	'Sets the counters of a database (0: the current one) to zero.';
COMMENT ON VIEW pg_catalog.citus_stat_counters IS
	'Sessions to other nodes that were made, could not be made, or were found kept, and runs of remote queries over one or several shards, by database.';
COMMENT ON FUNCTION pg_catalog.citus_stat_statements() IS
	'What the view citus_stat_statements shows; executor 1 is adaptive, 2 insert-select.';
COMMENT ON FUNCTION pg_catalog.citus_stat_statements_reset() IS
	'Forgets what citus_stat_statements counted.';
COMMENT ON VIEW pg_catalog.citus_stat_statements IS
	'How often each statement on distributed tables was run by each user, by the value of the distribution column that chose its shard, while citus.stat_statements_track was all. queryid is that of pg_stat_statements, which need not be loaded.';
COMMENT ON FUNCTION pg_catalog.citus_split_shard_by_split_points(bigint,text[],integer[],citus.shard_transfer_mode) IS
	'Cuts a shard, and those of the tables colocated with it, into several. A split point is the last hash of a new shard, so n points make n + 1 shards; node_ids says where each goes, in hash order; where the shard has several placements the first of each goes there unless that node has one already, the others stay where they are. The old shards are dropped later.';
COMMENT ON FUNCTION pg_catalog.isolate_tenant_to_new_shard(regclass,"any",text,citus.shard_transfer_mode) IS
	'Gives one value of the distribution column, or NULL (and what has the same hash) a shard of its own, on the node where it is, and returns that shard. cascade_option ''CASCADE'' is needed where other tables are colocated: their shards are cut as well.';
COMMENT ON FUNCTION citus_internal.merge_once(bigint) IS
	'True, or the error that MERGE would change a row a second time.';
COMMENT ON FUNCTION citus_internal.hold_snapshot(bigint) IS
	'makes the next statement of this session run under the snapshot that the first call with this number took';
COMMENT ON FUNCTION citus_internal.lock_shard_groups(regclass,bigint[],bigint[],boolean) IS
	'locks shard groups of a table, and shards, until the end of the transaction, in the order given; others of the kind may share the locks unless alone is true';
COMMENT ON FUNCTION citus_internal.copy_reference_tables(integer[],citus.shard_transfer_mode) IS
	'Copies the reference tables to those of the nodes that lack them. A rebalance does it before it moves shards there.';
COMMENT ON FUNCTION pg_catalog.citus_rotate_cluster_secret() IS
	'Gives all nodes a new secret to know each other by; every active node must answer. The old one is accepted for ten minutes more. On the coordinator, by superusers.';
COMMENT ON TABLE citus_internal.cluster_secret IS
	'What nodes know each other by. Only superusers see it; no dump holds it.';
COMMENT ON FUNCTION citus_internal.prove_node(bytea) IS
	'Shows that a node of the cluster opened the session; the session ends where the token does not.';
COMMENT ON FUNCTION citus_internal.act_as(name,bigint,bytea) IS
	'Has the rest of the transaction run in the name of a role, in a session that has proven itself, until the next call.';
COMMENT ON FUNCTION citus_internal.node_sessions() IS
	'Sessions of this server that other nodes have opened, with the global pids of the backends that they work for.';
COMMENT ON FUNCTION pg_catalog.citus_prepare_pg_upgrade() IS
	'Copies the metadata to where pg_upgrade keeps it, with names where that changes oids. From then on statements on distributed tables are refused in this database, until citus_finish_pg_upgrade(). By superusers, on every node, before its server is stopped for pg_upgrade.';
COMMENT ON FUNCTION pg_catalog.citus_finish_pg_upgrade() IS
	'Brings the metadata back that citus_prepare_pg_upgrade() has copied. On the server that the copy was made on, where pg_upgrade did not happen, it only ends the preparation.';
COMMENT ON TABLE citus_internal.metadata_copy IS
	'The metadata between citus_prepare_pg_upgrade() and citus_finish_pg_upgrade(); empty otherwise. Only superusers see it.';
COMMENT ON FUNCTION citus_internal.metadata_catalogs() IS
	'The tables and sequences of the extension that pg_upgrade does not keep the contents of.';
