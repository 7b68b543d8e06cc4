/*
 * shard_ddl.cpp: shards of this node, made from the shell that stands beside them.
 *
 * create: the shell's own definition (deparse) is parsed once; for every shard a copy of the trees
 * is renamed and executed. apply: the same with a statement that somebody ran on the table. Both
 * run as the current user, so that rights are PostgreSQL's to check. Dropping follows the names,
 * because the shell may be gone by then.
 */
#include "civitas/ddl/shard_ddl.h"

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/tables.h"
#include "civitas/deparse/table_definition.h"
#include "local_shards.h"
#include "shard_names.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

pg::Vec<LocalShard> local_shards(const catalog::Table& table)
{
	pg::Vec<LocalShard> shards;
	const GroupId here = catalog::local_group_id();
	for (int index = 0; index < table.shard_count; index++)
		for (const catalog::Placement& placement : table.placements_of(index))
			if (placement.group_id == here)
			{
				shards.push({index, table.shards[index].shard_id});
				break;
			}
	return shards;
}

namespace {

int index_of_shard(const catalog::Table& table, ShardId shard)
{
	for (int index = 0; index < table.shard_count; index++)
		if (table.shards[index].shard_id == shard)
			return index;
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("shard %ld does not belong to table \"%s\"", static_cast<long>(shard),
						   get_rel_name(table.relid))));
}

/* Runs the commands about the table on each of the shards. */
void run_on_shards(Oid relid, std::span<const ShardId> shard_ids, List *commands)
{
	const catalog::Table& table = catalog::get_table(relid);
	List *trees = NIL;
	ListCell *cell;
	foreach (cell, commands)
		trees = lappend(trees, parse_one(static_cast<const char *>(lfirst(cell))));

	const MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "shard creation", ALLOCSET_DEFAULT_SIZES);
	for (const ShardId shard : shard_ids)
	{
		const int index = index_of_shard(table, shard);
		const MemoryContext previous = MemoryContextSwitchTo(work);
		ListCell *tree_cell;
		ListCell *text_cell;
		forboth(tree_cell, trees, text_cell, commands)
		{
			auto *tree = static_cast<Node *>(copyObjectImpl(lfirst(tree_cell)));
			rename_to_shards(tree, index);
			execute_tree(tree, static_cast<const char *>(lfirst(text_cell)));
		}
		MemoryContextSwitchTo(previous);
		MemoryContextReset(work);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(work);
}

} // namespace

void create_local_shards(Oid relid, std::span<const ShardId> shard_ids)
{
	if (shard_ids.empty())
		return;
	List *commands = deparse::shard_commands(relid);
	char *attach = deparse::attach_partition_command(relid);
	commands = list_concat(commands, deparse::foreign_key_commands(relid));
	if (attach != nullptr)
		commands = lappend(commands, attach);
	run_on_shards(relid, shard_ids, commands);
}

namespace {

pg::Vec<ShardId> own_shard_ids(Oid relid)
{
	pg::Vec<ShardId> ids;
	for (const LocalShard& shard : local_shards(catalog::get_table(relid)))
		ids.push(shard.shard_id);
	return ids;
}

} // namespace

void create_own_shards(Oid relid)
{
	create_local_shards(relid, own_shard_ids(relid).span());
}

void create_part_of_own_shards(Oid relid, ShardPart part)
{
	List *commands = NIL;
	char *attach;
	switch (part)
	{
	case ShardPart::Table:
		commands = deparse::shard_table_commands(relid);
		break;
	case ShardPart::Indexes:
		commands = deparse::shard_index_commands(relid);
		break;
	case ShardPart::Attach:
		attach = deparse::attach_partition_command(relid);
		commands = attach != nullptr ? list_make1(attach) : NIL;
		break;
	case ShardPart::ForeignKeys:
		commands =
			list_concat(deparse::foreign_key_commands(relid), deparse::shard_guard_commands(relid));
		break;
	}
	run_on_shards(relid, own_shard_ids(relid).span(), commands);
}

void drop_shard_relation(const char *schema, const char *table, ShardId shard)
{
	const Oid namespace_id = get_namespace_oid(schema, true);
	if (!OidIsValid(namespace_id))
		return;
	const Oid relid = get_relname_relid(catalog::shard_relation_name(table, shard), namespace_id);
	if (!OidIsValid(relid))
		return;
	ObjectAddress address;
	ObjectAddressSet(address, RelationRelationId, relid);
	catalog::with_propagation_suspended([&] {
		performDeletion(&address, DROP_CASCADE,
						PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	});
	CommandCounterIncrement();
}

void drop_local_shards(Oid relid, std::span<const ShardId> shard_ids)
{
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	const char *name = get_rel_name(relid);
	for (const ShardId shard : shard_ids)
		drop_shard_relation(schema, name, shard);
}

void apply_tree_to_shards(Node *tree, const char *sql, Oid anchor)
{
	for (const LocalShard& shard : local_shards(catalog::get_table(anchor)))
	{
		auto *copy = static_cast<Node *>(copyObjectImpl(tree));
		rename_to_shards(copy, shard.index);
		execute_tree(copy, sql);
		CHECK_FOR_INTERRUPTS();
	}
}

} // namespace civitas::ddl
