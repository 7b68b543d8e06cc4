/*
 * distribute.cpp: creating the shards of a table.
 *
 *   1. rows of pg_dist_partition, pg_dist_shard, pg_dist_placement here;
 *   2. on every other node, one text: what the table depends on, its shell, its foreign keys, the
 *      same metadata rows, and a call that creates the shards which the metadata puts on that node;
 *   3. the coordinator's own shards, by the same function;
 *   4. rows that the table holds already go through the COPY path into the shards, the shell's
 *      storage is replaced;
 *   5. partitions, one after the other, as tables of the same colocation group; attaching them
 *      attaches their shards.
 *
 * Any failure aborts the distributed transaction and nothing is left behind on any node.
 */
#include "distribute.h"

#include "../apply.h"
#include "../shards/local_shards.h"
#include "../tables/table_checks.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/relations.h"
#include "civitas/ddl/objects.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/core_call.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/shard/hash_range.h"
#include "civitas/shard/placement.h"
#include "civitas/txn/transaction.h"
#include "gather_rows.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "commands/tablespace.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::ddl {

using catalog::TableKind;

char *call_on_table(const char *function, Oid relid)
{
	pg::Str sql;
	sql.raw("SELECT ").raw(function).ch('(');
	sql.literal(quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
										   get_rel_name(relid)));
	return sql.raw("::pg_catalog.regclass);").c_str();
}

/* --- metadata ------------------------------------------------------------------------------- */

namespace {

pg::Vec<PlannedShard> shards_like(Oid like)
{
	const catalog::Table& model = catalog::get_table(like);
	pg::Vec<PlannedShard> shards;
	for (int index = 0; index < model.shard_count; index++)
	{
		const auto placements = model.placements_of(index);
		auto *groups = static_cast<GroupId *>(palloc(sizeof(GroupId) * (placements.size() + 1)));
		for (size_t i = 0; i < placements.size(); i++)
			groups[i] = placements[i].group_id;
		shards.push({model.shards[index].min_hash, model.shards[index].max_hash,
					 std::span<const GroupId>(groups, placements.size())});
	}
	return shards;
}

/* Nodes that are to have shards, but for those that lack reference tables. */
std::span<const GroupId> groups_for_shards()
{
	/* None joins or leaves from here on. */
	catalog::lock_nodes(catalog::NodeLock::Define);
	const std::span<const GroupId> wanted = catalog::shard_groups();
	auto *groups = static_cast<GroupId *>(palloc(sizeof(GroupId) * (wanted.size() + 1)));
	size_t count = 0;
	for (const GroupId group : wanted)
		if (catalog::has_reference_tables(group))
			groups[count++] = group;
	if (count == wanted.size())
		return wanted;
	constexpr const char *HINT =
		"rebalance_table_shards() and citus_rebalance_start() copy them there; so does "
		"create_distributed_table() in a transaction that has not written or locked anything "
		"before.";
	if (count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("no node that is to have shards has the reference tables"),
						errhint("%s", HINT)));
	ereport(NOTICE,
			(errmsg_plural("%d node gets no shards because it has no reference tables yet",
						   "%d nodes get no shards because they have no reference tables yet",
						   wanted.size() - count, static_cast<int>(wanted.size() - count)),
			 errhint("%s", HINT)));
	return {groups, count};
}

} // namespace

pg::Vec<PlannedShard> plan_shards(const Distribution& distribution)
{
	if (OidIsValid(distribution.like))
		return shards_like(distribution.like);
	static constexpr GroupId coordinator[] = {COORDINATOR_GROUP};
	std::span<const GroupId> groups;
	int replicas = distribution.replication_factor;
	switch (distribution.kind)
	{
	case TableKind::Local:
		groups = coordinator;
		replicas = 1;
		break;
	case TableKind::Reference:
		groups = catalog::all_groups();
		replicas = static_cast<int>(groups.size());
		break;
	default:
		groups = groups_for_shards();
	}
	const int count = distribution.shard_count;
	const size_t placement_count = static_cast<size_t>(count) * static_cast<size_t>(replicas);
	auto *chosen = static_cast<GroupId *>(palloc(sizeof(GroupId) * placement_count));
	bool enough = false;
	pg::call_core([&] {
		enough = shard::place_round_robin(count, replicas, distribution.first_place, groups,
										  {chosen, placement_count});
	});
	if (!enough)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("replication factor %d exceeds the number of nodes that hold shards, %d",
						replicas, static_cast<int>(groups.size())),
				 errhint("Add nodes or lower citus.shard_replication_factor.")));
	pg::Vec<PlannedShard> shards;
	for (int index = 0; index < count; index++)
	{
		const shard::HashRange range = shard::uniform_range(index, count);
		shards.push({range.min, range.max,
					 std::span<const GroupId>(chosen + static_cast<size_t>(index) * replicas,
											  static_cast<size_t>(replicas))});
	}
	return shards;
}

void insert_metadata(Oid relid, const Distribution& distribution,
					 std::span<const PlannedShard> shards, std::span<const ShardId> ids)
{
	const bool ranged = distribution.kind == TableKind::Hash;
	const char model = distribution.kind == TableKind::Reference ? 't'
					   : distribution.replication_factor > 1	 ? 'c'
																 : 's';
	catalog::insert_partition(relid, ranged ? 'h' : 'n', distribution.column,
							  distribution.colocation_id, model, distribution.autoconverted);
	for (size_t i = 0; i < shards.size(); i++)
	{
		const PlannedShard& shard = shards[i];
		const ShardId id = ids.empty() ? catalog::next_shard_id() : ids[i];
		catalog::insert_shard(relid, id, ranged ? &shard.min_hash : nullptr,
							  ranged ? &shard.max_hash : nullptr);
		for (const GroupId group : shard.groups)
			catalog::insert_placement(catalog::next_placement_id(), id, group);
	}
}

/* --- colocation ------------------------------------------------------------------------------- */

namespace {

Oid first_table_of(ColocationId id)
{
	List *tables = catalog::colocated_table_oids(id);
	return tables == NIL ? InvalidOid : linitial_oid(tables);
}

void colocate_with_table(Oid relid, Distribution *distribution, const char *with, bool count_given,
						 Oid type, Oid collation)
{
	const Oid other =
		RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(with))),
						 AccessShareLock, false);
	if (catalog::get_table(other).is_distributed())
		catalog::lock_colocation(catalog::get_table(other).colocation_id,
								 catalog::ColocationLock::Join);
	const catalog::Table& table = catalog::get_table(other);
	catalog::require_sound(table);
	const char *detail = nullptr;
	if (table.kind != distribution->kind)
		detail = "They are distributed in different ways.";
	else if (table.kind == TableKind::Hash && table.distribution_type != type)
		detail = "Their distribution columns have different types.";
	else if (table.kind == TableKind::Hash && table.distribution_collation != collation)
		detail = "Their distribution columns have different collations.";
	if (detail != nullptr)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot colocate table \"%s\" with table \"%s\"",
							   get_rel_name(relid), get_rel_name(other)),
						errdetail_internal("%s", detail)));
	if (count_given && table.shard_count != distribution->shard_count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot colocate table \"%s\" with table \"%s\"",
							   get_rel_name(relid), get_rel_name(other)),
						errdetail("shard_count is %d, but that table has %d shards.",
								  distribution->shard_count, table.shard_count),
						errhint("Leave shard_count out.")));
	distribution->colocation_id = table.colocation_id;
	distribution->shard_count = table.shard_count;
	distribution->like = other;
}

bool is_word(const char *with, const char *word)
{
	return pg_strcasecmp(with, word) == 0;
}

} // namespace

bool join_colocation(Oid relid, Distribution *distribution, const char *with, bool count_given,
					 Oid type, Oid collation)
{
	/* Two sessions that create the first table of a group must agree on it; held until commit. */
	LockRelationOid(catalog::relation_oid(catalog::Catalog::Colocation), ShareRowExclusiveLock);
	if (!is_word(with, "none") && !is_word(with, "default"))
	{
		colocate_with_table(relid, distribution, with, count_given, type, collation);
		return true;
	}
	/* Tables without a distribution column are spread over the nodes unless asked to be together.
	 */
	catalog::Colocation colocation = {};
	if (is_word(with, "none") || distribution->kind != TableKind::Hash ||
		!catalog::find_default_colocation(distribution->shard_count,
										  distribution->replication_factor, type, collation,
										  &colocation))
		return false;
	catalog::lock_colocation(colocation.id, catalog::ColocationLock::Join);
	distribution->colocation_id = colocation.id;
	distribution->like = first_table_of(colocation.id);
	return true;
}

void make_colocation(Distribution *distribution, const char *with, Oid type, Oid collation)
{
	catalog::Colocation colocation = {};
	colocation.id = catalog::next_colocation_id();
	colocation.shard_count = distribution->shard_count;
	colocation.replication_factor = distribution->replication_factor;
	colocation.distribution_type = type;
	colocation.distribution_collation = collation;
	colocation.isolated = is_word(with, "none") || distribution->kind != TableKind::Hash;
	catalog::insert_colocation(colocation);
	distribution->colocation_id = colocation.id;
}

void choose_colocation(Oid relid, Distribution *distribution, const char *with, bool count_given,
					   Oid type, Oid collation)
{
	if (join_colocation(relid, distribution, with, count_given, type, collation))
		return;
	make_colocation(distribution, with, type, collation);
	if (distribution->kind == TableKind::SingleShard)
		distribution->first_place = distribution->colocation_id;
}

void choose_reference_colocation(Distribution *distribution)
{
	LockRelationOid(catalog::relation_oid(catalog::Catalog::Colocation), ShareRowExclusiveLock);
	const catalog::Table *other = catalog::any_reference_table();
	if (other != nullptr)
	{
		/* On the nodes that have the others; not while these are being copied to one more. */
		catalog::lock_colocation(other->colocation_id, catalog::ColocationLock::Join);
		distribution->colocation_id = other->colocation_id;
		distribution->like = other->relid;
		return;
	}
	catalog::Colocation colocation = {};
	colocation.id = catalog::next_colocation_id();
	colocation.shard_count = 1;
	colocation.replication_factor = -1;
	colocation.isolated = true;
	catalog::insert_colocation(colocation);
	distribution->colocation_id = colocation.id;
}

/* --- the flow --------------------------------------------------------------------------------- */

namespace {

void append_commands(pg::Str *sql, List *commands)
{
	ListCell *cell;
	foreach (cell, commands)
		sql->raw(static_cast<const char *>(lfirst(cell))).raw(";\n");
}

} // namespace

char *definition_sql(Oid relid)
{
	pg::Str sql;
	List *objects = needed_objects(list_make1_oid(relid), NIL);
	const char *bring = bring_objects_sql(objects, false);
	if (bring != nullptr)
		sql.raw(bring).raw(";\n");
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		if (!catalog::object_is_distributed(object->classId, object->objectId))
			catalog::insert_object(object->classId, object->objectId, 0);
	}
	append_commands(&sql, deparse::shell_commands(relid));
	append_commands(&sql, deparse::foreign_key_commands(relid));
	const char *attach = deparse::attach_partition_command(relid);
	if (attach != nullptr)
		sql.raw(attach).raw(";\n");
	return sql.raw(catalog::table_metadata_sql(relid)).raw(";\n").c_str();
}

namespace {

/* Other nodes need not have it. */
void note_tablespace(Oid relid)
{
	const Oid tablespace = get_rel_tablespace(relid);
	if (OidIsValid(tablespace))
		ereport(NOTICE, (errmsg("shards of table \"%s\" are not in tablespace \"%s\"",
								get_rel_name(relid), get_tablespace_name(tablespace)),
						 errdetail("They are in the default tablespace of each node.")));
}

bool fires_for_rows(Oid relid)
{
	return pg::sql_text(
			   psprintf("SELECT 1 FROM pg_trigger WHERE tgrelid = %u AND tgtype & 1 = 1 AND "
						"NOT tgisinternal",
						relid)) != nullptr;
}

} // namespace

void say_rows_move(bool moving)
{
	catalog::set_moving_rows(moving);
	txn::run_on_other_nodes(
		psprintf("SELECT citus_internal.rows_move(%s)", moving ? "true" : "false"));
}

void create_part_of_shards(List *tables, ShardPart part)
{
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		pg::Str sql;
		sql.raw("SELECT citus_internal.create_part_of_shards(");
		sql.literal(qualified_table_name(relid)).raw("::pg_catalog.regclass, ");
		txn::run_on_other_nodes(sql.num(static_cast<int>(part)).raw(")").c_str());
		create_part_of_own_shards(relid, part);
	}
}

namespace {

/* Whether a CHECK is NOT VALID: rows that are there already need not satisfy it. */
bool has_unvalidated_check(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const TupleConstr *constraints = RelationGetDescr(relation)->constr;
	bool found = false;
	for (int i = 0; constraints != nullptr && i < constraints->num_check; i++)
		found = found || !constraints->check[i].ccvalid;
	table_close(relation, NoLock);
	return found;
}

void distribute_one(Oid relid, const Distribution& distribution)
{
	note_tablespace(relid);
	check_triggers(relid, distribution.kind == TableKind::Reference ||
							  distribution.replication_factor > 1);
	txn::require_one_session_per_node();
	insert_metadata(relid, distribution, plan_shards(distribution).span());
	const bool has_rows = get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE;
	const bool rows_first = has_rows && has_unvalidated_check(relid);
	pg::Str sql;
	sql.raw(definition_sql(relid));
	if (!rows_first)
		sql.raw(call_on_table("citus_internal.create_shards", relid));
	txn::run_on_other_nodes(sql.c_str());
	if (rows_first)
		create_part_of_shards(list_make1_oid(relid), ShardPart::Table);
	else
		create_own_shards(relid);
	if (!has_rows)
		return;
	if (fires_for_rows(relid))
		say_rows_move(true);
	move_rows_to_shards(relid);
	if (fires_for_rows(relid))
		say_rows_move(false);
	if (rows_first)
		for (const ShardPart part : {ShardPart::Indexes, ShardPart::Attach, ShardPart::ForeignKeys})
			create_part_of_shards(list_make1_oid(relid), part);
}

/* The metadata of a table goes, on all nodes; shells and shards stay. */
void forget_distribution(Oid relid)
{
	txn::run_on_other_nodes(call_on_table("citus_internal.delete_table_metadata", relid));
	catalog::delete_shards(relid);
	catalog::delete_partition(relid);
}

} // namespace

void redistribute(List *tables, const Distribution *distributions, bool committed)
{
	const pg::Vec<OldShard> old = shards_of(tables);
	wait_for_writers(old.span());
	ListCell *cell;
	if (!committed)
		foreach (cell, tables)
			if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
				save_rows(lfirst_oid(cell));
	for (int i = list_length(tables) - 1; i >= 0; i--)
		forget_distribution(list_nth_oid(tables, i));
	CommandCounterIncrement();
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		const Distribution& distribution = distributions[foreach_current_index(cell)];
		insert_metadata(relid, distribution, plan_shards(distribution).span());
		txn::run_on_other_nodes(catalog::table_metadata_sql(relid));
	}
	create_part_of_shards(tables, ShardPart::Table);
	if (committed)
		gather_on_all_nodes(tables, old.span());
	else
		foreach (cell, tables)
			if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
				move_saved_rows_to_shards(lfirst_oid(cell));
	drop_shards(old.span());
	/* After the rows: that is faster, and rows that reference each other need no order. */
	create_part_of_shards(tables, ShardPart::Indexes);
	create_part_of_shards(tables, ShardPart::Attach);
	create_part_of_shards(tables, ShardPart::ForeignKeys);
}

void distribute_table(Oid relid, const Distribution& distribution)
{
	distribute_one(relid, distribution);
	keep_dependents(list_make1_oid(relid));
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	List *partitions = find_inheritance_children(relid, AccessExclusiveLock);
	ListCell *cell;
	foreach (cell, partitions)
	{
		check_distributable(lfirst_oid(cell), true);
		Distribution child = distribution;
		child.like = relid;
		distribute_table(lfirst_oid(cell), child);
	}
}

void distribute_partition(Oid partition, Oid parent)
{
	const catalog::Table& table = catalog::get_table(parent);
	catalog::require_sound(table);
	Distribution distribution = {.kind = table.kind};
	distribution.column = catalog::distribution_column_name(table);
	distribution.colocation_id = table.colocation_id;
	distribution.shard_count = table.shard_count;
	distribution.replication_factor = table.repmodel == 'c' ? 2 : 1;
	distribution.like = parent;
	open_for_distribution(partition);
	check_distributable(partition, true);
	if (distribution.column != nullptr)
	{
		const DistributionColumn column = check_distribution_column(partition, distribution.column);
		check_unique_indexes(partition, column.attno);
		check_foreign_keys(partition, distribution.kind, distribution.colocation_id, column.attno);
	}
	distribute_table(partition, distribution);
}

} // namespace civitas::ddl
