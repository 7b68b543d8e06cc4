/*
 * drops.cpp: following what is made and dropped, and what becomes a child of another table.
 *
 * DROP TABLE, DROP SCHEMA .. CASCADE, DROP OWNED, DROP TYPE .. CASCADE: every one ends in the
 * object access hook, once for each object, dependents first. The hook deletes a table's metadata
 * while the table still has its name and remembers what is to be dropped with it; after the
 * statement the remembered things go: the other nodes' shells and shards by one text, this node's
 * shards directly.
 *
 * Objects that the statement made, by itself or by an extension's script, are given to the other
 * nodes after it (new_objects.cpp).
 *
 * Whatever makes a table a partition or an inheritance child (CREATE TABLE, CREATE FOREIGN TABLE,
 * ALTER TABLE, on their own or inside CREATE SCHEMA) tells the same hook of the two tables. A new
 * partition of a table of the metadata is distributed after the statement; all else that would give
 * such a table children which its shards have not is refused.
 *
 * A type, collation or operator class may take the distribution column with it, or the way to hash
 * it. Whether the table goes too is not known before the end of the statement; if not, the
 * statement fails.
 */
#include "drops.h"
#include "../utility_call.h"
#include "kinds.h"
#include "new_objects.h"

#include "../apply.h"
#include "../distribute/distribute.h"
#include "../shards/local_shards.h"
#include "../shards/shard_names.h"
#include "../tables/key_types.h"
#include "../tables/table_checks.h"
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/shard_ddl.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* A dropped table's shards on this node. */
struct DroppedTable
{
	const char *schema;
	const char *name;
	ColocationId colocation_id;
	pg::Vec<LocalShard> shards;
};

/* A partition that was made of a table of the metadata. */
struct NewPartition
{
	Oid relid;
	Oid parent;
};

/* A table whose distribution column is gone, or cannot be hashed any more. */
struct LostColumn
{
	Oid relid;
	const char *detail;
};

/* A column or a statistics object that went while its table stayed. */
struct DroppedPart
{
	Oid relid;
	const char *schema; /* of statistics; null: a column */
	const char *name;
};

/* What one statement dropped, and what it made. */
struct Drops
{
	pg::Vec<DroppedTable> tables;
	pg::Str remote_sql;
	pg::Vec<NewPartition> partitions;
	pg::Vec<LostColumn> lost;
	pg::Vec<DroppedPart> parts;
	pg::Vec<ObjectAddress> made;
};

Drops *collecting = nullptr;
object_access_hook_type previous_hook = nullptr;

void table_dropped(Oid relid, const catalog::Table& table)
{
	catalog::require_coordinator();
	txn::require_one_session_per_node();
	DroppedTable dropped = {pstrdup(get_namespace_name(get_rel_namespace(relid))),
							pstrdup(get_rel_name(relid)), table.colocation_id, local_shards(table)};
	collecting->tables.push(dropped);
	collecting->remote_sql.raw("SELECT citus_internal.drop_table(pg_catalog.to_regclass(");
	collecting->remote_sql.literal(quote_qualified_identifier(dropped.schema, dropped.name))
		.raw("));");
	catalog::delete_shards(relid);
	catalog::delete_partition(relid);
}

/* The functions that read and write a type go after it, and cannot be called by their names any
 * more: on other nodes the type takes them along. */
bool names_dropped_type(Oid class_id, Oid object_id)
{
	return class_id == ProcedureRelationId &&
		   pg::sql_text(
			   psprintf("SELECT '' FROM pg_proc p, unnest(p.proargtypes) a WHERE p.oid = %u "
						"AND NOT EXISTS (SELECT FROM pg_type WHERE oid = a)",
						object_id)) != nullptr;
}

void object_dropped(Oid class_id, Oid object_id)
{
	if (!catalog::is_coordinator() || !has_object_kinds(class_id) ||
		!catalog::object_is_distributed(class_id, object_id))
		return;
	const ObjectKind *kind =
		names_dropped_type(class_id, object_id) ? nullptr : find_object_kind(class_id, object_id);
	if (kind != nullptr)
		collecting->remote_sql.raw("SELECT citus_internal.apply_ddl(")
			.literal(drop_object_sql(*kind, object_id))
			.raw(");");
	catalog::delete_object(class_id, object_id, 0);
}

void note_lost_hashes(List *tables, const char *detail)
{
	ListCell *cell;
	foreach (cell, tables)
		collecting->lost.push({lfirst_oid(cell), detail});
}

void column_dropped(Oid relid, AttrNumber attno)
{
	const catalog::Table *table = catalog::find_table(relid);
	if (table == nullptr)
	{
		if (get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE)
			note_lost_hashes(tables_keyed_by_attributes_of(get_rel_type_id(relid)),
							 "Values of the column would lose an attribute.");
		return;
	}
	catalog::require_coordinator();
	if (table->distribution_attno == attno)
		collecting->lost.push({relid, "The column depends on what was to be dropped."});
	else if (!get_rel_relispartition(relid))
		collecting->parts.push({relid, nullptr, get_attname(relid, attno, false)});
}

void statistics_dropped(Oid statistics)
{
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	if (!HeapTupleIsValid(tuple))
		return;
	const auto *form = reinterpret_cast<Form_pg_statistic_ext>(GETSTRUCT(tuple));
	if (catalog::is_coordinator() && catalog::find_table(form->stxrelid) != nullptr)
		collecting->parts.push({form->stxrelid, get_namespace_name(form->stxnamespace),
								pstrdup(NameStr(form->stxname))});
	ReleaseSysCache(tuple);
}

/* The default operator class of a type for hashing. */
void operator_class_dropped(Oid operator_class)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(operator_class));
	if (!HeapTupleIsValid(tuple))
		return;
	const auto *form = reinterpret_cast<Form_pg_opclass>(GETSTRUCT(tuple));
	const Oid type =
		form->opcmethod == HASH_AM_OID && form->opcdefault ? form->opcintype : InvalidOid;
	ReleaseSysCache(tuple);
	if (!OidIsValid(type))
		return;
	note_lost_hashes(tables_keyed_by(type), "Values of the column could no longer be hashed.");
}

/* A support function of a class, which goes before the class does: what is not known yet of tables that
 * are hashed with it can only be found out now. */
void hash_function_dropped(Oid function)
{
	const char *operator_class = pg::sql_text(
		psprintf("SELECT o.oid FROM pg_amproc p JOIN pg_opclass o ON o.opcfamily = p.amprocfamily "
				 "AND o.opcintype = p.amproclefttype WHERE p.oid = %u AND p.amprocnum = 1 AND "
				 "o.opcdefault",
				 function));
	if (operator_class != nullptr)
		operator_class_dropped(atooid(operator_class));
}

[[noreturn]] void refuse_loss(Oid relid, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("dropping the distribution column is not supported on distributed table \"%s\"",
					get_rel_name(relid)),
			 errdetail_internal("%s", detail),
			 errhint("Drop the table in the same statement or before, or use undistribute_table() "
					 "first.")));
}

/* Tables that stay must still know where their rows are. */
void check_nothing_lost(const Drops& drops)
{
	for (const LostColumn& lost : drops.lost)
		if (get_rel_name(lost.relid) != nullptr)
			refuse_loss(lost.relid, lost.detail);
}

[[noreturn]] void refuse_drop_of_extension()
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop extension citus: tables are distributed"),
			 errhint("Drop them or call undistribute_table() for each table in citus_tables.")));
}

void child_linked(Oid child, Oid parent)
{
	if (catalog::propagation_suspended || txn::is_internal_session() ||
		!catalog::extension_installed())
		return;
	if (catalog::find_table(parent) == nullptr)
	{
		if (catalog::find_table(child) != nullptr)
			refuse_plain_parent(child);
		return;
	}
	check_kind_of_child(child, parent);
	if (collecting == nullptr)
		refuse_child(child, parent, "It is not made by a statement.",
					 "Use CREATE TABLE .. PARTITION OF.");
	catalog::require_coordinator();
	collecting->partitions.push({child, parent});
}

void object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *argument)
{
	if (previous_hook != nullptr)
		previous_hook(access, class_id, object_id, sub_id, argument);
	if (access == OAT_POST_ALTER && class_id == InheritsRelationId)
	{
		/* PostgreSQL passes the child's oid as the object's. */
		child_linked(object_id, static_cast<ObjectAccessPostAlter *>(argument)->auxiliary_id);
		return;
	}
	if (access == OAT_POST_CREATE && class_id == OperatorClassRelationId &&
		catalog::extension_installed())
		catalog::check_new_operator_class(object_id);
	/* On other nodes, which are told what to drop. */
	if (access == OAT_DROP && sub_id == 0 && has_object_kinds(class_id) &&
		catalog::extension_installed() && !catalog::is_coordinator() &&
		catalog::object_is_distributed(class_id, object_id))
		catalog::delete_object(class_id, object_id, 0);
	if (collecting == nullptr || catalog::propagation_suspended)
		return;
	if (access == OAT_POST_CREATE && sub_id == 0 && has_object_kinds(class_id))
		collecting->made.push({class_id, object_id, 0});
	if (access != OAT_DROP)
		return;
	if (sub_id != 0)
	{
		if (class_id == RelationRelationId && catalog::extension_installed())
			column_dropped(object_id, static_cast<AttrNumber>(sub_id));
		return;
	}
	if (class_id == ExtensionRelationId)
	{
		const char *name = get_extension_name(object_id);
		const bool own = name != nullptr && strcmp(name, "citus") == 0;
		if (own && catalog::all_table_oids() != NIL)
			refuse_drop_of_extension();
		if (own)
			return;
	}
	if (!catalog::extension_installed())
		return;
	if (class_id == StatisticExtRelationId)
	{
		statistics_dropped(object_id);
		return;
	}
	if (class_id == OperatorClassRelationId)
		operator_class_dropped(object_id);
	if (class_id == AccessMethodProcedureRelationId)
	{
		hash_function_dropped(object_id);
		return;
	}
	if (class_id != RelationRelationId)
	{
		object_dropped(class_id, object_id);
		return;
	}
	const catalog::Table *table = catalog::find_table(object_id);
	if (table != nullptr)
		table_dropped(object_id, *table);
	else
		object_dropped(class_id, object_id);
}

/* Of the table's shell and shards, wherever they are. */
char *drop_statistics_sql(const DroppedPart& part)
{
	const catalog::Table& table = catalog::get_table(part.relid);
	pg::Str sql;
	sql.raw("DROP STATISTICS IF EXISTS ").qualified(part.schema, part.name);
	for (int index = 0; index < table.shard_count; index++)
		sql.raw(", ").qualified(
			part.schema, catalog::shard_relation_name(part.name, table.shards[index].shard_id));
	return sql.c_str();
}

/* What a cascade took from tables that stay goes from their shards and from the other nodes, where
 * what it began with need not exist. */
void drop_parts(const Drops& drops)
{
	txn::require_one_session_per_node();
	pg::Str remote;
	remote.raw("SET client_min_messages TO warning;");
	for (const DroppedPart& part : drops.parts)
	{
		if (get_rel_name(part.relid) == nullptr)
			continue;
		if (part.schema != nullptr)
		{
			const char *sql = drop_statistics_sql(part);
			remote.raw(sql).raw(";");
			execute_tree(parse_one(sql), sql);
			continue;
		}
		pg::Str sql;
		sql.raw("ALTER TABLE ").raw(qualified_table_name(part.relid));
		sql.raw(" DROP COLUMN IF EXISTS ").ident(part.name).raw(" CASCADE");
		remote.raw(apply_call(sql.c_str(), NIL)).raw(";");
		apply_to_local_shards(sql.c_str());
	}
	txn::run_on_other_nodes(remote.raw("RESET client_min_messages").c_str());
}

void finish(const Drops& drops)
{
	if (!catalog::extension_installed())
	{
		/* DROP EXTENSION .. CASCADE: who is to drop the shards now? */
		if (!drops.tables.empty())
			refuse_drop_of_extension();
		return;
	}
	check_nothing_lost(drops);
	if (drops.remote_sql.length() > 0)
	{
		List *names = NIL;
		for (const DroppedTable& table : drops.tables)
			names = lappend(names, quote_qualified_identifier(table.schema, table.name));
		lock_shells_elsewhere(names, "ACCESS EXCLUSIVE");
		/* The user has this node's notices. */
		pg::Str sql;
		sql.raw("SET client_min_messages TO warning;").raw(drops.remote_sql.c_str());
		txn::run_on_other_nodes(sql.raw("RESET client_min_messages").c_str());
	}
	if (!drops.parts.empty())
		drop_parts(drops);
	for (const DroppedTable& table : drops.tables)
	{
		for (const LocalShard& shard : table.shards)
			drop_shard_relation(table.schema, table.name, shard.shard_id);
		if (table.colocation_id != INVALID_COLOCATION_ID)
			catalog::delete_colocation_if_empty(table.colocation_id);
	}
	if (!drops.partitions.empty() || !drops.made.empty())
		CommandCounterIncrement();
	for (const NewPartition& partition : drops.partitions)
		distribute_partition(partition.relid, partition.parent);
	if (!drops.made.empty())
		keep_new_objects(drops.made.span());
}

} // namespace

void run_following(void (*statement)(void *), void *argument)
{
	Drops *outer = collecting;
	Drops drops;
	collecting = &drops;
	PG_TRY();
	{
		statement(argument);
	}
	PG_FINALLY();
	{
		collecting = outer;
	}
	PG_END_TRY();
	finish(drops);
}

void drop_shards_in_schema(Oid schema)
{
	List *tables = catalog::all_table_oids();
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		if (get_rel_namespace(relid) != schema)
			continue;
		pg::Vec<ShardId> ids;
		for (const LocalShard& shard : local_shards(catalog::get_table(relid)))
			ids.push(shard.shard_id);
		drop_local_shards(relid, ids.span());
	}
}

void drops_init()
{
	previous_hook = object_access_hook;
	object_access_hook = object_access;
}

} // namespace civitas::ddl
