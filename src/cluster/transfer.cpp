/*
 * transfer.cpp: the steps of a transfer that logical replication has no part in; see transfer.h.
 *
 * Targets are made and filled by the nodes that will have them, each shard by a command of its own,
 * several at a time. Writes are blocked by locking the tables' shells on every node, for whoever
 * writes to a shard holds a lock on the shell of the node that was asked: this node first, then the
 * others, like DDL. The locks are tried for, in a subtransaction, for less time than the deadlock
 * detectors take to notice, so that no client pays for a cycle with us.
 */
#include "transfer.h"

#include "civitas/cluster/cluster.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Commands that run at the same time for one transfer: several cores, but not all of a node's. */
constexpr size_t PARALLEL = 4;

Oid extension_owner()
{
	const char *owner =
		pg::sql_text("SELECT extowner::text FROM pg_extension WHERE extname = 'citus'");
	if (owner == nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the citus extension is not installed")));
	return atooid(owner);
}

} // namespace

/* An error on the way puts the user back with the (sub)transaction. */
void run_as_owner(void (*body)(void *), void *argument)
{
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(extension_owner(), context | SECURITY_LOCAL_USERID_CHANGE);
	body(argument);
	SetUserIdAndSecContext(user, context);
}

void run_as_owner_on_nodes(std::span<OwnerCommand> commands)
{
	pg::Vec<NodeTask> tasks;
	/* However long it takes; but not when nobody waits for it any more. */
	for (const OwnerCommand& command : commands)
		tasks.push({command.node,
					psprintf("SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; "
							 "SET lock_timeout = 0; "
							 "SET client_connection_check_interval = '10s'; %s",
							 command.sql),
					false, false, nullptr});
	for (size_t first = 0; first < commands.size(); first += PARALLEL)
	{
		const size_t count =
			commands.size() - first < PARALLEL ? commands.size() - first : PARALLEL;
		as_extension_owner([&] { run_tasks({tasks.data() + first, count}, true); });
		for (size_t i = first; i < first + count; i++)
		{
			const NodeTask& task = tasks[static_cast<int>(i)];
			if (!task.success)
				raise_task_error(task);
			commands[i].result = task.result;
		}
	}
}

const char *run_as_owner_on_node(const catalog::Node& node, const char *sql)
{
	OwnerCommand command = {node, sql, nullptr};
	run_as_owner_on_nodes({&command, 1});
	return command.result;
}

/* --- arrays of tables and shards -------------------------------------------------------------- */

char *source_name(const ShardTransfer& transfer)
{
	if (transfer.source_shard != INVALID_SHARD_ID)
		return catalog::qualified_shard_name(transfer.relid, transfer.source_shard);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(transfer.relid)),
									  get_rel_name(transfer.relid));
}

char *regclass_array(Transfers transfers)
{
	pg::Str sql;
	sql.raw("ARRAY[");
	for (const ShardTransfer& transfer : transfers)
	{
		sql.raw(&transfer == transfers.data() ? "" : ", ");
		sql.literal(quote_qualified_identifier(
			get_namespace_name(get_rel_namespace(transfer.relid)), get_rel_name(transfer.relid)));
	}
	return sql.raw("]::pg_catalog.regclass[]").c_str();
}

char *shard_id_array(Transfers transfers)
{
	pg::Str sql;
	sql.raw("ARRAY[");
	for (const ShardTransfer& transfer : transfers)
		sql.raw(&transfer == transfers.data() ? "" : ", ").num(transfer.target_shard);
	return sql.raw("]::bigint[]").c_str();
}

char *create_parts_sql(Transfers transfers, const char *part)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.create_shard_parts(").raw(regclass_array(transfers)).raw(", ");
	return sql.raw(shard_id_array(transfers)).raw(", ").literal(part).ch(')').c_str();
}

namespace {

/* What shares a statement: neighbours with one target node and no table twice (the targets of a
 * split are one shard group after the other). */
size_t group_length(Transfers transfers)
{
	size_t length = 1;
	for (; length < transfers.size(); length++)
	{
		if (transfers[length].target.group_id != transfers[0].target.group_id)
			break;
		for (size_t i = 0; i < length; i++)
			if (transfers[i].relid == transfers[length].relid)
				return length;
	}
	return length;
}

/* A command for each shard group. */
pg::Vec<OwnerCommand> for_each_group(Transfers transfers, const char *part)
{
	pg::Vec<OwnerCommand> commands;
	while (!transfers.empty())
	{
		const Transfers group = transfers.subspan(0, group_length(transfers));
		commands.push({group[0].target, create_parts_sql(group, part), nullptr});
		transfers = transfers.subspan(group.size());
	}
	return commands;
}

void run_for_each_group(Transfers transfers, const char *part)
{
	pg::Vec<OwnerCommand> commands = for_each_group(transfers, part);
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
}

bool has_rows(const ShardTransfer& transfer)
{
	return get_rel_relkind(transfer.relid) != RELKIND_PARTITIONED_TABLE;
}

/* SQL that is true of the rows. */
char *condition_of(const HashCut& cut)
{
	pg::Str sql;
	sql.raw("citus_internal.is_in_hash_range(").ident(cut.column).raw(", ").literal(cut.function);
	/* As literals: a sign is an operator. */
	sql.raw(", ").literal(psprintf("%d", cut.range.min));
	return sql.raw(", ").literal(psprintf("%d", cut.range.max)).ch(')').c_str();
}

} // namespace

/* --- steps ------------------------------------------------------------------------------------ */

void record_targets(int64 operation, Transfers transfers)
{
	pg::Vec<TemporaryObject> objects;
	for (const ShardTransfer& transfer : transfers)
		objects.push({ObjectType::Placement,
					  catalog::qualified_shard_name(transfer.relid, transfer.target_shard),
					  transfer.target.group_id, CleanupPolicy::OnFailure});
	record_objects(operation, objects.span());
}

void create_targets(int64 operation, Transfers transfers)
{
	record_targets(operation, transfers);
	run_for_each_group(transfers, "table");
}

pg::Vec<RowCount> copy_rows(Transfers transfers, std::span<const char *const> snapshots)
{
	pg::Vec<OwnerCommand> commands;
	pg::Vec<RowCount> counts;
	for (size_t i = 0; i < transfers.size(); i++)
	{
		const ShardTransfer& transfer = transfers[i];
		counts.push({});
		if (!has_rows(transfer))
			continue;
		pg::Str sql;
		sql.raw("SELECT citus_internal.pull_shard(");
		sql.literal(catalog::qualified_shard_name(transfer.relid, transfer.target_shard));
		sql.raw(", ").num(transfer.source.node_id).raw(", ");
		sql.literal(source_name(transfer))
			.raw(", ")
			.literal_or_null(transfer.cut.column == nullptr ? nullptr : condition_of(transfer.cut));
		sql.raw(", ");
		sql.literal_or_null(snapshots.empty() ? nullptr : snapshots[i]).ch(')');
		commands.push({transfer.target, sql.c_str(), nullptr});
	}
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
	int next = 0;
	for (size_t i = 0; i < transfers.size(); i++)
		if (has_rows(transfers[i]))
			read_counts(commands[next++].result, &counts[static_cast<int>(i)].looked_at,
						COPY_COUNTS);
	return counts;
}

void build_indexes(Transfers transfers)
{
	pg::Vec<OwnerCommand> commands;
	for (const ShardTransfer& transfer : transfers)
		commands.push({transfer.target, create_parts_sql({&transfer, 1}, "indexes"), nullptr});
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
	run_for_each_group(transfers, "attach");
	analyze(transfers);
}

void analyze(Transfers transfers)
{
	pg::Vec<OwnerCommand> commands;
	for (const ShardTransfer& transfer : transfers)
	{
		if (!has_rows(transfer))
			continue;
		pg::Str sql;
		sql.raw("ANALYZE ")
			.raw(catalog::qualified_shard_name(transfer.relid, transfer.target_shard));
		commands.push({transfer.target, sql.c_str(), nullptr});
	}
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
}

namespace {

bool any_foreign_key(Transfers transfers)
{
	for (const ShardTransfer& transfer : transfers)
		if (pg::sql_text(psprintf("SELECT 1 FROM pg_constraint WHERE contype = 'f' AND "
								  "conrelid = %u LIMIT 1",
								  transfer.relid)) != nullptr)
			return true;
	return false;
}

/* What a shard gets when its rows are there (deparse::shard_guard_commands()). */
bool any_guard(Transfers transfers)
{
	for (const ShardTransfer& transfer : transfers)
		if (deparse::shard_guard_commands(transfer.relid) != NIL)
			return true;
	return false;
}

} // namespace

void SwitchCommands::add(const catalog::Node& node, const char *sql)
{
	for (Command& command : commands_)
		if (command.node.group_id == node.group_id)
		{
			command.sql = psprintf("%s; %s", command.sql, sql);
			return;
		}
	commands_.push({node, sql});
}

void SwitchCommands::add_on_other_nodes(const char *sql)
{
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		add(node, sql);
}

void SwitchCommands::run_on_nodes()
{
	pg::Vec<txn::NodeCommand> others;
	for (const Command& command : commands_)
		if (command.node.group_id == catalog::local_group_id())
			/* What other nodes allow to who sends it, this one allows to its owner. */
			as_extension_owner([&] { pg::sql_run(command.sql); });
		else
			others.push({&command.node, command.sql});
	txn::run_on_nodes(others.span());
}

void add_foreign_keys(SwitchCommands *commands, Transfers transfers)
{
	if (!any_foreign_key(transfers) && !any_guard(transfers))
		return;
	while (!transfers.empty())
	{
		const Transfers group = transfers.subspan(0, group_length(transfers));
		pg::Str sql;
		sql.raw("SELECT citus_internal.add_foreign_keys(").raw(regclass_array(group)).raw(", ");
		sql.raw(shard_id_array(group)).ch(')');
		commands->add(group[0].target, sql.c_str());
		transfers = transfers.subspan(group.size());
	}
}

void ignore_foreign_keys(SwitchCommands *commands, Transfers transfers)
{
	if (!any_foreign_key(transfers))
		return;
	for (const ShardTransfer& transfer : transfers)
	{
		pg::Str sql;
		sql.raw("SELECT citus_internal.ignore_foreign_keys(")
			.literal(
				quote_qualified_identifier(get_namespace_name(get_rel_namespace(transfer.relid)),
										   get_rel_name(transfer.relid)))
			.raw("::pg_catalog.regclass, ");
		commands->add(transfer.source, sql.num(transfer.source_shard).ch(')').c_str());
	}
}

/* --- blocking writes -------------------------------------------------------------------------- */

namespace {

/* How long a try may hold others up, ms; well below deadlock_timeout. */
constexpr int TRY_TIMEOUT = 200;
/* Pause between tries, ms: from, to. */
constexpr int FIRST_PAUSE = 100;
constexpr int LONGEST_PAUSE = 5000;

/* The tables and the reference tables that they reference: a cascade from there would reach the
 * source placement only. By oid. */
List *tables_to_block(List *tables)
{
	List *all = list_copy(tables);
	ListCell *cell;
	foreach (cell, tables)
	{
		List *referenced = pg::sql_texts(psprintf(
			"SELECT confrelid::text FROM pg_constraint WHERE contype = 'f' AND conrelid = %u",
			lfirst_oid(cell)));
		ListCell *other;
		foreach (other, referenced)
		{
			const Oid relid = atooid(static_cast<const char *>(lfirst(other)));
			if (catalog::find_table(relid) != nullptr)
				all = list_append_unique_oid(all, relid);
		}
	}
	list_sort(all, list_oid_cmp);
	return all;
}

/* "LOCK TABLE a, b IN EXCLUSIVE MODE" of source placements on one node; null where there are none.
 */
char *lock_sources_sql(Transfers transfers, GroupId group)
{
	pg::Str sql;
	for (const ShardTransfer& transfer : transfers)
		if (transfer.source.group_id == group)
		{
			sql.raw(sql.empty() ? "LOCK TABLE ONLY " : ", ONLY ");
			sql.raw(source_name(transfer));
		}
	return sql.empty() ? nullptr : sql.raw(" IN EXCLUSIVE MODE").c_str();
}

char *lock_shells_sql(List *tables)
{
	pg::Str sql;
	ListCell *cell;
	foreach (cell, tables)
	{
		sql.raw(sql.empty() ? "LOCK TABLE ONLY " : ", ONLY ");
		sql.qualified(get_namespace_name(get_rel_namespace(lfirst_oid(cell))),
					  get_rel_name(lfirst_oid(cell)));
	}
	return sql.raw(" IN EXCLUSIVE MODE").c_str();
}

/* All locks, this node first. */
void take_locks(List *tables, Transfers transfers)
{
	const char *shells = lock_shells_sql(tables);
	const char *own_sources = lock_sources_sql(transfers, catalog::local_group_id());
	/* Sessions are opened before anybody waits for us. */
	txn::run_on_other_nodes(psprintf("SET LOCAL lock_timeout = %d", TRY_TIMEOUT));
	ListCell *cell;
	foreach (cell, tables)
		LockRelationOid(lfirst_oid(cell), ExclusiveLock);
	pg::Vec<txn::NodeCommand> commands;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		const char *sources = lock_sources_sql(transfers, node.group_id);
		commands.push({&node, psprintf("%s;%s;SET LOCAL lock_timeout TO DEFAULT", shells,
									   sources != nullptr ? sources : "")});
	}
	txn::run_on_nodes(commands.span());
	if (own_sources != nullptr)
		pg::sql_run(own_sources);
}

/* One try; false: somebody else's transaction lasts longer. */
bool try_to_lock(void (*take)(void *), void *argument)
{
	const MemoryContext context = CurrentMemoryContext;
	const ResourceOwner owner = CurrentResourceOwner;
	volatile bool locked = false;
	const int level = NewGUCNestLevel();
	set_config_option("lock_timeout", psprintf("%d", TRY_TIMEOUT), PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	BeginInternalSubTransaction(nullptr);
	PG_TRY();
	{
		take(argument);
		ReleaseCurrentSubTransaction();
		locked = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		ErrorData *error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
			error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	/* lock_timeout is the session's again. */
	AtEOXact_GUC(true, level);
	return locked;
}

void pause(int duration)
{
	WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, duration,
			  PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

} // namespace

void lock_patiently(void (*take)(void *), void *argument, void (*meanwhile)(void *),
					void *meanwhile_argument)
{
	for (int duration = FIRST_PAUSE; !try_to_lock(take, argument);
		 duration = duration * 2 < LONGEST_PAUSE ? duration * 2 : LONGEST_PAUSE)
	{
		pause(duration);
		if (meanwhile != nullptr)
			meanwhile(meanwhile_argument);
	}
}

void block_writes(List *tables, Transfers transfers, void (*meanwhile)(void *), void *argument)
{
	struct
	{
		List *tables;
		Transfers transfers;
	} locks = {tables_to_block(tables), transfers};
	lock_patiently(
		[](void *both) {
			const auto *all = static_cast<decltype(locks) *>(both);
			take_locks(all->tables, all->transfers);
		},
		&locks, meanwhile, argument);
}

} // namespace civitas::cluster
