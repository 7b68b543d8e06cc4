/*
 * gather_rows.cpp: rows go from a table's old shards straight to its new ones.
 *
 * Each node that has new shards asks the nodes that have old ones for the rows that belong to it,
 * one old shard after the other. A row comes with the number of its new shard, computed where it is
 * read, and leaves its node once; nothing is kept in between.
 *
 * The old shards are read by sessions of their own, which see what is committed. So all of this is
 * for transactions that have not written before (others_see_all_rows()), when nobody else gets at
 * the table. What a crash left prepared on a shard is waited for first.
 */
#include "gather_rows.h"

#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/propagation.h"
#include "civitas/executor/pull_rows.h"
#include "civitas/executor/shard_copy.h"
#include "civitas/pg/columns.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "access/xact.h"
#include "port/pg_bswap.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
CIVITAS_PG_END

#include <type_traits>

namespace civitas::ddl {

namespace {

/* Of a binary COPY: before the first row. */
constexpr int HEADER_LENGTH = 19;
/* A row's first field, when that is a number: count of fields, length, value. */
constexpr int NUMBER_END = 10;

bool has_rows(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_RELATION;
}

/* Calls visit(group, node) for this node, null where it is not registered, then for the others. */
template <typename Visit> void for_each_node(Visit&& visit)
{
	visit(catalog::local_group_id(), catalog::find_primary(catalog::local_group_id()));
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		visit(node.group_id, &node);
}

bool is_on(const OldShard& shard, GroupId group)
{
	for (const GroupId each : shard.groups)
		if (each == group)
			return true;
	return false;
}

/* Statements about old shards, on the nodes that have them: before, their names, after. */
void run_on_old_shards(std::span<const OldShard> shards, const char *before, const char *after)
{
	pg::Vec<txn::NodeCommand> others;
	const char *own = nullptr;
	for_each_node([&](GroupId group, const catalog::Node *node) {
		pg::Str names;
		for (const OldShard& shard : shards)
			if (is_on(shard, group))
				names.raw(names.empty() ? "" : ", ").raw(shard.name);
		if (names.empty())
			return;
		const char *sql = psprintf("%s%s%s", before, names.c_str(), after);
		if (group == catalog::local_group_id())
			own = sql;
		else
			others.push({node, psprintf("SET client_min_messages TO warning; %s; "
										"RESET client_min_messages",
										sql)});
	});
	txn::run_on_nodes(others.span());
	if (own == nullptr)
		return;
	const int level = NewGUCNestLevel();
	set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
					  true, 0, false);
	catalog::with_propagation_suspended([&] { pg::sql_run(own); });
	AtEOXact_GUC(true, level);
}

/* --- reading --------------------------------------------------------------------------------- */

/* A session to one node after the other. */
struct Reader
{
	remote::Session *session;
	NodeId node;
};

pg_noinline void end_reading(Reader *reader)
{
	if (reader->session != nullptr)
		remote::close(reader->session);
	reader->session = nullptr;
}

remote::Session *session_to(Reader *reader, NodeId id)
{
	if (reader->session != nullptr && reader->node == id)
		return reader->session;
	end_reading(reader);
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
	reader->session = remote::connect(txn::endpoint_of(*node));
	reader->node = id;
	remote::set_claimed(reader->session, true);
	remote::execute(reader->session, executor::PULL_SETTINGS);
	return reader->session;
}

pg_noinline void lend_reader(void (*body)(Reader *, void *), void *argument)
{
	Reader reader = {nullptr, 0};
	PG_TRY();
	{
		body(&reader, argument);
	}
	PG_CATCH();
	{
		end_reading(&reader);
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_reading(&reader);
}

/* Runs body(reader); its session does not outlive that. */
template <typename Body> void with_reader(Body&& body)
{
	lend_reader(
		[](Reader *reader, void *argument) {
			(*static_cast<std::remove_reference_t<Body> *>(argument))(reader);
		},
		&body);
}

/* --- on the coordinator ----------------------------------------------------------------------- */

/* Where the node `group` reads the shard: at home if it can. */
GroupId source_for(const OldShard& shard, GroupId group)
{
	return is_on(shard, group) ? group : shard.groups[0];
}

bool has_placement_on(Oid relid, GroupId group)
{
	const catalog::Table& table = catalog::get_table(relid);
	for (int index = 0; index < table.shard_count; index++)
		for (const catalog::Placement& placement : table.placements_of(index))
			if (placement.group_id == group)
				return true;
	return false;
}

/* visit(node id, name) for the old shards that the node `group` reads, source by source. */
template <typename Visit>
void for_each_source(Oid relid, std::span<const OldShard> shards, GroupId group, Visit&& visit)
{
	for_each_node([&](GroupId source, const catalog::Node *node) {
		for (const OldShard& shard : shards)
			if (shard.relid == relid && source_for(shard, group) == source)
				visit(node->node_id, shard.name);
	});
}

/* "SELECT gather_rows(..)" of one table for one node, its sources node by node. */
void append_gather_call(pg::Str *sql, Oid relid, std::span<const OldShard> shards, GroupId group)
{
	pg::Str nodes;
	pg::Str names;
	for_each_source(relid, shards, group, [&](NodeId node, const char *name) {
		nodes.raw(nodes.empty() ? "" : ", ").num(node);
		names.raw(names.empty() ? "" : ", ").literal(name);
	});
	sql->raw("SELECT citus_internal.gather_rows(").literal(qualified_table_name(relid));
	sql->raw("::pg_catalog.regclass, ARRAY[").raw(nodes.c_str());
	sql->raw("]::pg_catalog.int4[], ARRAY[").raw(names.c_str()).raw("]::pg_catalog.text[]);");
}

void gather_here(List *tables, std::span<const OldShard> shards)
{
	const GroupId group = catalog::local_group_id();
	ListCell *cell;
	foreach (cell, tables)
	{
		if (!has_rows(lfirst_oid(cell)) || !has_placement_on(lfirst_oid(cell), group))
			continue;
		pg::Vec<NodeId> nodes;
		pg::Vec<const char *> names;
		for_each_source(lfirst_oid(cell), shards, group, [&](NodeId node, const char *name) {
			nodes.push(node);
			names.push(name);
		});
		gather_rows(lfirst_oid(cell), nodes.span(), names.span());
	}
}

char *gather_sql(List *tables, std::span<const OldShard> shards, GroupId group)
{
	pg::Str sql;
	ListCell *cell;
	foreach (cell, tables)
		if (has_rows(lfirst_oid(cell)) && has_placement_on(lfirst_oid(cell), group))
			append_gather_call(&sql, lfirst_oid(cell), shards, group);
	return sql.empty() ? nullptr : sql.c_str();
}

/* --- on a node with new shards --------------------------------------------------------------- */

/* SQL for the number of the new shard that a row belongs to, from 1. */
char *number_sql(const catalog::Table& table)
{
	pg::Str sql;
	sql.raw("pg_catalog.width_bucket(");
	sql.raw(catalog::hash_value_sql(catalog::distribution_column_name(table),
									catalog::hash_function_name(table)));
	sql.raw(", '{");
	for (int index = 0; index < table.shard_count; index++)
		sql.raw(index > 0 ? "," : "").num(table.shards[index].min_hash);
	return sql.raw("}'::pg_catalog.int4[])").c_str();
}

/* SQL that is true of rows for this node; null: all. */
char *condition_sql(const catalog::Table& table, const char *number)
{
	pg::Str sql;
	bool all = true;
	sql.raw(" WHERE ('{");
	for (int index = 0; index < table.shard_count; index++)
	{
		bool here = false;
		for (const catalog::Placement& placement : table.placements_of(index))
			here = here || placement.group_id == catalog::local_group_id();
		sql.raw(index > 0 ? "," : "").raw(here ? "t" : "f");
		all = all && here;
	}
	sql.raw("}'::pg_catalog.bool[])[").raw(number).raw("] IS NOT FALSE");
	return all ? pstrdup("") : sql.c_str();
}

struct Gathering
{
	const catalog::Table *table;
	bool binary;
	const char *select; /* up to FROM */
	const char *where;
	executor::ShardCopy *copy;
};

[[noreturn]] void refuse_row()
{
	ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
					errmsg("a row of an old shard came without the number of its new shard")));
}

/* A row of a binary COPY; `at` is where it begins. */
void take_binary_row(const Gathering& gathering, StringInfo data, int at)
{
	int16 fields;
	int32 length;
	int32 number;
	if (data->len - at < static_cast<int>(sizeof(fields)))
		return; /* the header alone */
	memcpy(&fields, data->data + at, sizeof(fields));
	fields = static_cast<int16>(pg_ntoh16(static_cast<uint16>(fields)));
	if (fields < 0)
		return; /* the end */
	if (data->len - at < static_cast<int>(sizeof(fields) + sizeof(length)))
		refuse_row();
	memcpy(&length, data->data + at + sizeof(fields), sizeof(length));
	if (static_cast<int32>(pg_ntoh32(static_cast<uint32>(length))) < 0 ||
		data->len - at < NUMBER_END)
		refuse_row();
	memcpy(&number, data->data + at + sizeof(fields) + sizeof(length), sizeof(number));
	number = static_cast<int32>(pg_ntoh32(static_cast<uint32>(number)));
	/* The row without its first field: the count of the others goes right before them. */
	const uint16 others = pg_hton16(static_cast<uint16>(fields - 1));
	const int begin = at + NUMBER_END - static_cast<int>(sizeof(others));
	memcpy(data->data + begin, &others, sizeof(others));
	executor::shard_copy_row(gathering.copy, number - 1, data->data + begin, data->len - begin, 0);
}

void take_text_row(const Gathering& gathering, StringInfo data)
{
	char *rest;
	const long number = strtol(data->data, &rest, 10);
	if (*rest != '\t')
		refuse_row();
	rest++;
	executor::shard_copy_row(gathering.copy, static_cast<int>(number) - 1, rest,
							 data->len - static_cast<int>(rest - data->data), 0);
}

/* All rows of one old shard that are for us. */
void read_shard(const Gathering& gathering, remote::Session *session, const char *shard)
{
	executor::require_plain_table(session, shard);
	pg::Str sql;
	sql.raw("COPY (").raw(gathering.select).raw(" FROM ONLY ").raw(shard).raw(gathering.where);
	sql.raw(") TO STDOUT").raw(gathering.binary ? " WITH (FORMAT binary)" : "");
	remote::send_simple(session, sql.c_str());
	PGresult *start = remote::next_result(session);
	if (PQresultStatus(start) != PGRES_COPY_OUT)
		remote::raise_remote_error(session, start);
	PQclear(start);
	StringInfoData data;
	initStringInfo(&data);
	as_owner(gathering.table->relid, [&] {
		for (bool first = true; remote::receive_copy_data(session, &data); first = false)
		{
			CHECK_FOR_INTERRUPTS();
			if (gathering.binary)
				take_binary_row(gathering, &data, first ? HEADER_LENGTH : 0);
			else
				take_text_row(gathering, &data);
		}
	});
	pfree(data.data);
	remote::drain(session);
}

Gathering begin_gathering(const catalog::Table& table)
{
	Relation relation = table_open(table.relid, AccessShareLock);
	TupleDesc row_type = RelationGetDescr(relation);
	List *columns = pg::stored_columns(row_type);
	Gathering gathering = {&table, pg::stored_columns_travel_in_binary(row_type), nullptr, nullptr,
						   nullptr};
	table_close(relation, NoLock);
	const char *number = number_sql(table);
	pg::Str select;
	select.raw("SELECT ").raw(number);
	ListCell *cell;
	foreach (cell, columns)
		select.raw(", ").ident(strVal(lfirst(cell)));
	gathering.select = select.c_str();
	gathering.where = condition_sql(table, number);
	executor::ShardCopyFormat format;
	format.binary = gathering.binary;
	format.new_shards_here = true;
	gathering.copy = executor::shard_copy_begin(table, columns, format);
	return gathering;
}

} // namespace

bool others_see_all_rows()
{
	return !txn::has_written() && !TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		   catalog::find_primary(catalog::local_group_id()) != nullptr;
}

pg::Vec<OldShard> shards_of(List *tables)
{
	pg::Vec<OldShard> shards;
	/* Partitions first, and referencing tables: the order in which they can be dropped. */
	for (int i = list_length(tables) - 1; i >= 0; i--)
	{
		const catalog::Table& table = catalog::get_table(list_nth_oid(tables, i));
		for (int index = 0; index < table.shard_count; index++)
		{
			const auto placements = table.placements_of(index);
			auto *groups =
				static_cast<GroupId *>(palloc(sizeof(GroupId) * (placements.size() + 1)));
			for (size_t at = 0; at < placements.size(); at++)
				groups[at] = placements[at].group_id;
			shards.push({table.relid,
						 catalog::qualified_shard_name(table.relid, table.shards[index].shard_id),
						 std::span<const GroupId>(groups, placements.size())});
		}
	}
	return shards;
}

void wait_for_writers(std::span<const OldShard> shards)
{
	run_on_old_shards(shards, "LOCK TABLE ", " IN EXCLUSIVE MODE");
}

void drop_shards(std::span<const OldShard> shards)
{
	run_on_old_shards(shards, "DROP TABLE ", " CASCADE");
}

void gather_on_all_nodes(List *tables, std::span<const OldShard> shards)
{
	pg::Vec<txn::NodeCommand> others;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		const char *sql = gather_sql(tables, shards, node.group_id);
		if (sql != nullptr)
			others.push({&node, sql});
	}
	txn::run_on_nodes(others.span());
	gather_here(tables, shards);
}

void gather_rows(Oid relid, std::span<const NodeId> nodes, std::span<const char *const> shards)
{
	const Gathering gathering = begin_gathering(catalog::get_table(relid));
	with_reader([&](Reader *reader) {
		for (size_t i = 0; i < shards.size(); i++)
			read_shard(gathering, session_to(reader, nodes[i]), shards[i]);
	});
	as_owner(relid, [&] { executor::shard_copy_finish(gathering.copy); });
}

void pull_rows_home(std::span<const OldShard> shards)
{
	with_reader([&](Reader *reader) {
		for_each_node([&](GroupId source, const catalog::Node *node) {
			for (const OldShard& shard : shards)
				if (has_rows(shard.relid) && source_for(shard, catalog::local_group_id()) == source)
					executor::pull_rows(shard.relid, session_to(reader, node->node_id), shard.name,
										nullptr);
		});
	});
}

} // namespace civitas::ddl
