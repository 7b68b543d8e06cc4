/*
 * apply_changes.cpp: rows that changed at the source of a move or split follow into the new shards.
 *
 * apply_changes() runs on the node that has the new shards. It streams the changes of the published
 * tables from a slot of the source, up to a mark, and carries out those whose row belongs into one
 * of the targets: all of them, or by the hash of the distribution column. That column is part of
 * every replica identity, so a change always tells it; updating it, as a statement on the table
 * being distributed or on one shard may, takes the row from one target to another. The slot's
 * snapshot was copied before, so every change finds its row exactly once; one that does not is an
 * error.
 *
 * The coordinator calls it again and again in one transaction, the last time while writes are
 * blocked. The stream and all that was prepared live as long as that transaction: what a call
 * costs beyond the changes is a round trip, and the source decodes while nobody asks.
 *
 * Why not subscriptions: see docs/decisions.
 *
 * Changes are carried out as the table's owner, for CHECK constraints and generated columns run
 * code of the owner's choice; without triggers and foreign keys, which were run at the source.
 */
#include "change_stream.h"
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/shard/hash_range.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* A new shard: which rows of which published table it takes. Without a distribution column: all. */
struct Target
{
	const char *source; /* qualified and quoted */
	Oid relid;
	Oid owner;
	shard::HashRange range;
	shard::HashRange whole;	   /* of all targets of the source */
	const char *hash_column;   /* empty: all rows */
	const char *hash_function; /* what that is hashed with */
	int64 inserts;
	int64 deletes;
	int64 updates;
};

/* How many changes of a published table the stream has told, whatever target they concern. */
struct Told
{
	const char *source;
	int64 inserts;
	int64 deletes;
	int64 updates;
};

/* How text becomes a column's value. */
struct ColumnInput
{
	Oid type;
	Oid io_parameter;
	int32 typmod;
	FmgrInfo input;
};

/* A published table and the targets that its rows go to. All of these have the same columns. */
struct Route
{
	ChangedTable *table;
	pg::Vec<Target *> targets;
	Told *told;			  /* of all of them */
	ColumnInput *columns; /* by position in the stream */
	Oid *types;
	int hash_column; /* -1: all rows go to the one target */
	FmgrInfo *hash;
	Oid collation;
	pg::Vec<SPIPlanPtr> inserts; /* by target; null: not prepared yet */
	pg::Vec<SPIPlanPtr> updates; /* of all columns */
	pg::Vec<SPIPlanPtr> deletes;
};

struct Applier
{
	MemoryContext context;
	const char *slot;
	ChangeStream stream;
	pg::Vec<Target> targets;
	pg::Vec<Route *> routes;
	pg::Vec<Told> told;
};

/* That of this transaction; goes with it. */
Applier *current;

/* --- routes ---------------------------------------------------------------------------------- */

void read_columns(Route *route)
{
	const Oid relid = route->targets[0]->relid;
	const char *hash_column = route->targets[0]->hash_column;
	const int count = route->table->columns.size();
	route->columns = static_cast<ColumnInput *>(palloc0(sizeof(ColumnInput) * (count + 1)));
	route->types = static_cast<Oid *>(palloc0(sizeof(Oid) * (count + 1) * 2));
	route->hash_column = -1;
	for (int i = 0; i < count; i++)
	{
		const AttrNumber attno = get_attnum(relid, route->table->columns[i]);
		if (attno <= 0)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("shard \"%s\" has no column \"%s\"", get_rel_name(relid),
								   route->table->columns[i])));
		ColumnInput& column = route->columns[i];
		Oid collation;
		get_atttypetypmodcoll(relid, attno, &column.type, &column.typmod, &collation);
		Oid function;
		getTypeInputInfo(column.type, &function, &column.io_parameter);
		fmgr_info_cxt(function, &column.input, CurrentMemoryContext);
		route->types[i] = route->types[count + i] = column.type;
		if (strcmp(route->table->columns[i], hash_column) == 0)
		{
			route->hash_column = i;
			route->collation = collation;
			catalog::check_hash_function(column.type, collation, route->targets[0]->hash_function);
			route->hash = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo)));
			fmgr_info_cxt(catalog::find_hash_function(column.type), route->hash,
						  CurrentMemoryContext);
		}
	}
	if (hash_column[0] != '\0' && route->hash_column < 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" is not in the stream of changes", hash_column)));
}

Told *told_of(Applier *applier, const char *source)
{
	for (Told& told : applier->told)
		if (strcmp(told.source, source) == 0)
			return &told;
	return nullptr;
}

void add_route(Applier *applier, ChangedTable *table)
{
	const MemoryContext previous = MemoryContextSwitchTo(applier->context);
	auto *route = static_cast<Route *>(palloc0(sizeof(Route)));
	*route = Route();
	route->table = table;
	for (Target& target : applier->targets)
		if (strcmp(target.source, table->name) == 0)
		{
			route->targets.push(&target);
			route->told = told_of(applier, table->name);
			route->inserts.push(nullptr);
			route->updates.push(nullptr);
			route->deletes.push(nullptr);
		}
	if (!route->targets.empty())
		read_columns(route);
	for (Route *& known : applier->routes)
		if (known->table->id == table->id)
		{
			known = route;
			MemoryContextSwitchTo(previous);
			return;
		}
	applier->routes.push(route);
	MemoryContextSwitchTo(previous);
}

Route *find_route(Applier *applier, uint32 id)
{
	for (Route *route : applier->routes)
		if (route->table->id == id)
			return route;
	ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
					errmsg("a change of a table that the stream did not describe")));
}

Datum value_of(const Route& route, const ChangeValue& value, int column, bool *is_null)
{
	*is_null = value.kind == ChangeValue::Kind::Null;
	ColumnInput& input = route.columns[column];
	return InputFunctionCall(&input.input, *is_null ? nullptr : value.text, input.io_parameter,
							 input.typmod);
}

/* The row's value of the distribution column, if it is told. */
const ChangeValue *key_of(const Route& route, std::span<const ChangeValue> row)
{
	const auto at = static_cast<size_t>(route.hash_column);
	return row.size() > at && row[at].kind != ChangeValue::Kind::Unchanged ? &row[at] : nullptr;
}

/* The position of the target that a row belongs to; -1: none here. What an update leaves out of one
 * of its two rows the other one tells. */
int target_of(const Route& route, std::span<const ChangeValue> row,
			  std::span<const ChangeValue> other)
{
	if (route.hash_column < 0)
		return 0;
	const ChangeValue *value = key_of(route, row);
	if (value == nullptr)
		value = key_of(route, other);
	if (value == nullptr)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("a change does not tell the value of the distribution column \"%s\"",
							   route.table->columns[route.hash_column])));
	bool is_null;
	const Datum key = value_of(route, *value, route.hash_column, &is_null);
	const int32 hash = is_null ? catalog::NULL_HASH
							   : DatumGetInt32(FunctionCall1Coll(route.hash, route.collation, key));
	const auto is_in = [hash](const shard::HashRange& range) {
		return hash >= range.min && hash <= range.max;
	};
	for (int i = 0; i < route.targets.size(); i++)
		if (is_in(route.targets[i]->range))
			return i;
	/* Another node has its target. */
	if (is_in(route.targets[0]->whole))
		return -1;
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("a changed row of table %s belongs to none of the new shards",
						   route.table->name),
					errdetail("Its distribution column's hash is %d, those of the shard are %d to "
							  "%d.",
							  hash, route.targets[0]->whole.min, route.targets[0]->whole.max)));
}

/* --- statements ------------------------------------------------------------------------------ */

void append_target(pg::Str& sql, const Target& target)
{
	sql.qualified(get_namespace_name(get_rel_namespace(target.relid)), get_rel_name(target.relid));
}

char *insert_sql(const Route& route, const Target& target)
{
	pg::Str names;
	pg::Str values;
	for (int i = 0; i < route.table->columns.size(); i++)
	{
		names.raw(i > 0 ? ", " : "").ident(route.table->columns[i]);
		values.raw(i > 0 ? ", $" : "$").num(i + 1);
	}
	pg::Str sql;
	append_target(sql.raw("INSERT INTO "), target);
	if (names.empty())
		return sql.raw(" DEFAULT VALUES").c_str();
	sql.raw(" (").raw(names.c_str()).raw(") VALUES (").raw(values.c_str());
	return sql.ch(')').c_str();
}

/* " OPERATOR(schema.=)" of a type, whatever the search path. */
void append_equality(pg::Str& sql, Oid type)
{
	const Oid equality = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(equality));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("type %s has no equality operator", format_type_be(type))));
	const auto *form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
	sql.raw(" OPERATOR(").ident(get_namespace_name(form->oprnamespace)).ch('.');
	sql.raw(NameStr(form->oprname)).ch(')');
	ReleaseSysCache(tuple);
}

/* " WHERE ..": the row, by the columns of its replica identity, or by all of them. Parameters from
 * `first` on. */
void append_identity(pg::Str& sql, const Route& route, const Target& target, int first)
{
	if (!route.table->full_identity)
	{
		bool any = false;
		for (int i = 0; i < route.table->columns.size(); i++)
		{
			if (!route.table->is_key[i])
				continue;
			sql.raw(any ? " AND " : " WHERE ").ident(route.table->columns[i]);
			append_equality(sql, route.columns[i].type);
			sql.raw(" $").num(first + i);
			any = true;
		}
		return;
	}
	/* Of several equal rows one is as good as another. */
	sql.raw(" WHERE ctid = (SELECT ctid FROM ONLY ");
	append_target(sql, target);
	sql.raw(" WHERE ROW(");
	for (int i = 0; i < route.table->columns.size(); i++)
		sql.raw(i > 0 ? ", " : "").ident(route.table->columns[i]);
	sql.raw(")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(");
	for (int i = 0; i < route.table->columns.size(); i++)
		sql.raw(i > 0 ? ", $" : "$").num(first + i);
	sql.raw(")::pg_catalog.record LIMIT 1)");
}

/* Sets the columns that the change tells. */
char *update_sql(const Route& route, const Target& target, const Change& change)
{
	const int count = route.table->columns.size();
	pg::Str sql;
	append_target(sql.raw("UPDATE ONLY "), target);
	bool any = false;
	for (int i = 0; i < count; i++)
	{
		if (change.new_row[static_cast<size_t>(i)].kind == ChangeValue::Kind::Unchanged)
			continue;
		sql.raw(any ? ", " : " SET ").ident(route.table->columns[i]).raw(" = $").num(i + 1);
		any = true;
	}
	append_identity(sql, route, target, count + 1);
	return sql.c_str();
}

char *delete_sql(const Route& route, const Target& target)
{
	pg::Str sql;
	append_target(sql.raw("DELETE FROM ONLY "), target);
	append_identity(sql, route, target, 1);
	return sql.c_str();
}

SPIPlanPtr prepare(const Route& route, const char *sql, int parameters, bool keep)
{
	SPIPlanPtr plan = SPI_prepare(sql, parameters, route.types);
	if (plan == nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("cannot prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result))));
	if (keep)
		SPI_keepplan(plan);
	return plan;
}

/* --- changes --------------------------------------------------------------------------------- */

/* Values of a row as parameters, from `first` (0-based) on. */
void bind_row(const Route& route, std::span<const ChangeValue> row, int first, Datum *values,
			  char *nulls)
{
	for (size_t i = 0; i < row.size(); i++)
	{
		const int at = first + static_cast<int>(i);
		nulls[at] = 'n';
		values[at] = 0;
		if (row[i].kind == ChangeValue::Kind::Unchanged)
			continue;
		bool is_null;
		values[at] = value_of(route, row[i], static_cast<int>(i), &is_null);
		nulls[at] = is_null ? 'n' : ' ';
	}
}

bool tells_all(std::span<const ChangeValue> row)
{
	for (const ChangeValue& value : row)
		if (value.kind == ChangeValue::Kind::Unchanged)
			return false;
	return true;
}

void run_change(Route *route, int at, const Change& change)
{
	const Target& target = *route->targets[at];
	const int count = route->table->columns.size();
	auto *values = static_cast<Datum *>(palloc0(sizeof(Datum) * (2 * count + 1)));
	auto *nulls = static_cast<char *>(palloc0(2 * count + 1));
	SPIPlanPtr plan = nullptr;
	const bool cached = change.kind != Change::Kind::Update || tells_all(change.new_row);
	switch (change.kind)
	{
	case Change::Kind::Insert:
		bind_row(*route, change.new_row, 0, values, nulls);
		if (route->inserts[at] == nullptr)
			route->inserts[at] = prepare(*route, insert_sql(*route, target), count, true);
		plan = route->inserts[at];
		break;
	case Change::Kind::Update:
		bind_row(*route, change.new_row, 0, values, nulls);
		bind_row(*route, change.old_row.empty() ? change.new_row : change.old_row, count, values,
				 nulls);
		plan = cached ? route->updates[at] : nullptr;
		if (plan == nullptr)
			plan = prepare(*route, update_sql(*route, target, change), 2 * count, cached);
		if (cached)
			route->updates[at] = plan;
		break;
	default:
		bind_row(*route, change.old_row, 0, values, nulls);
		if (route->deletes[at] == nullptr)
			route->deletes[at] = prepare(*route, delete_sql(*route, target), count, true);
		plan = route->deletes[at];
	}
	const int code = SPI_execute_plan(plan, values, nulls, false, 0);
	if (code < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("cannot apply a change: %s", SPI_result_code_string(code))));
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("a change of table %s met " UINT64_FORMAT " rows of shard \"%s\"",
							   route->table->name, static_cast<uint64>(SPI_processed),
							   get_rel_name(target.relid))));
	if (!cached)
		SPI_freeplan(plan);
}

/* The row after an update, with what the update left alone taken from the row before, where that
 * tells it. */
std::span<const ChangeValue> completed(std::span<const ChangeValue> after,
									   std::span<const ChangeValue> before)
{
	if (tells_all(after) || before.size() != after.size())
		return after;
	auto *row = static_cast<ChangeValue *>(palloc(sizeof(ChangeValue) * after.size()));
	for (size_t i = 0; i < after.size(); i++)
	{
		const bool told = after[i].kind != ChangeValue::Kind::Unchanged ||
						  before[i].kind != ChangeValue::Kind::Text;
		row[i] = told ? after[i] : before[i];
	}
	return {row, after.size()};
}

/* A row has a value for each column that the stream described, or is not told at all. */
void check_width(const Route& route, const Change& change)
{
	if (!change.message.has_width(route.table->columns.size()))
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("a change of table %s does not have the table's columns",
							   route.table->name)));
}

/* Carries out what is to be done here. */
void apply_row(Route *route, const Change& change)
{
	using Kind = Change::Kind;
	check_width(*route, change);
	const auto before = change.old_row.empty() ? change.new_row : change.old_row;
	const auto after = change.new_row.empty() ? change.old_row : change.new_row;
	const int from = change.kind == Kind::Insert ? -1 : target_of(*route, before, after);
	const int to = change.kind == Kind::Delete ? -1 : target_of(*route, after, before);
	if (from >= 0 && from == to)
	{
		run_change(route, from, change);
		route->targets[from]->updates++;
		return;
	}
	/* The row's new key belongs to another target. */
	if (from >= 0)
	{
		run_change(route, from, {Kind::Delete, nullptr, change.table_id, before, {}});
		route->targets[from]->deletes++;
		route->targets[from]->updates += change.kind == Kind::Update ? 1 : 0;
	}
	if (to >= 0)
	{
		const std::span<const ChangeValue> row = completed(after, before);
		if (!tells_all(row))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the distribution column of a row with a long value was updated in "
							"table %s while it was distributed or split",
							route->table->name),
					 errhint("Try again, or set REPLICA IDENTITY FULL meanwhile.")));
		run_change(route, to, {Kind::Insert, nullptr, change.table_id, {}, row});
		route->targets[to]->inserts++;
	}
}

void count_told(Told *told, Change::Kind kind)
{
	told->inserts += kind == Change::Kind::Insert ? 1 : 0;
	told->deletes += kind == Change::Kind::Delete ? 1 : 0;
	told->updates += kind == Change::Kind::Update ? 1 : 0;
}

void apply(Applier *applier, const Change& change)
{
	if (change.kind == Change::Kind::Table)
	{
		add_route(applier, change.table);
		return;
	}
	if (change.kind == Change::Kind::Truncate)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a table was truncated while its shard was moved or split")));
	if (change.kind == Change::Kind::Other || change.kind == Change::Kind::Mark)
		return;
	Route *route = find_route(applier, change.table_id);
	if (route->targets.empty())
		return;
	count_told(route->told, change.kind);
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(route->targets[0]->owner, context | SECURITY_RESTRICTED_OPERATION);
	apply_row(route, change);
	SetUserIdAndSecContext(user, context);
}

/* All changes up to the mark. */
pg_noinline void apply_up_to(Applier *applier, const char *mark)
{
	const MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "row changes", ALLOCSET_DEFAULT_SIZES);
	for (bool reached = false; !reached;)
	{
		const MemoryContext previous = MemoryContextSwitchTo(work);
		const Change change = next_change(&applier->stream, applier->context);
		apply(applier, change);
		reached = change.kind == Change::Kind::Mark && strcmp(change.mark, mark) == 0;
		MemoryContextSwitchTo(previous);
		MemoryContextReset(work);
		CHECK_FOR_INTERRUPTS();
	}
	confirm_changes(&applier->stream);
}

/* --- arguments ------------------------------------------------------------------------------- */

pg::Vec<const char *> texts_argument(Datum array)
{
	Datum *values;
	int count;
	pg::Vec<const char *> texts;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, nullptr,
					  &count);
	for (int i = 0; i < count; i++)
		texts.push(TextDatumGetCString(values[i]));
	return texts;
}

pg::Vec<int32> numbers_argument(Datum array)
{
	Datum *values;
	int count;
	pg::Vec<int32> numbers;
	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, 4, true, TYPALIGN_INT, &values, nullptr,
					  &count);
	for (int i = 0; i < count; i++)
		numbers.push(DatumGetInt32(values[i]));
	return numbers;
}

Oid owner_of(Oid relid)
{
	Oid owner = InvalidOid;
	Relation relation = RelationIdGetRelation(relid);
	if (RelationIsValid(relation))
	{
		owner = relation->rd_rel->relowner;
		RelationClose(relation);
	}
	return owner;
}

void set_for_now(const char *setting, const char *value)
{
	set_config_option(setting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

pg::Vec<Target> targets_argument(FunctionCallInfo fcinfo)
{
	const pg::Vec<const char *> published = texts_argument(PG_GETARG_DATUM(5));
	const pg::Vec<const char *> shards = texts_argument(PG_GETARG_DATUM(6));
	const pg::Vec<int32> minima = numbers_argument(PG_GETARG_DATUM(7));
	const pg::Vec<int32> whole_minima = numbers_argument(PG_GETARG_DATUM(8));
	const pg::Vec<int32> maxima = numbers_argument(PG_GETARG_DATUM(9));
	const pg::Vec<int32> whole_maxima = numbers_argument(PG_GETARG_DATUM(10));
	const pg::Vec<const char *> columns = texts_argument(PG_GETARG_DATUM(11));
	const pg::Vec<const char *> functions = texts_argument(PG_GETARG_DATUM(12));
	pg::Vec<Target> targets;
	for (int i = 0; i < published.size(); i++)
	{
		const Oid relid = RangeVarGetRelid(
			makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(shards[i]))),
			RowExclusiveLock, false);
		targets.push({published[i],
					  relid,
					  owner_of(relid),
					  {minima[i], maxima[i]},
					  {whole_minima[i], whole_maxima[i]},
					  columns[i],
					  functions[i],
					  0,
					  0,
					  0});
	}
	return targets;
}

/* Sets `current`: to that of the last call, or to a new one, whose stream begins. */
void find_applier(FunctionCallInfo fcinfo)
{
	const char *slot = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (current != nullptr && strcmp(current->slot, slot) == 0)
		return;
	if (current != nullptr)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("this transaction applies the changes of another slot")));
	const catalog::Node *source = catalog::find_node(PG_GETARG_INT32(0));
	if (source == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node %d does not exist", PG_GETARG_INT32(0))));
	const MemoryContext context =
		AllocSetContextCreate(TopTransactionContext, "applied changes", ALLOCSET_DEFAULT_SIZES);
	const MemoryContext previous = MemoryContextSwitchTo(context);
	auto *applier = static_cast<Applier *>(palloc(sizeof(Applier)));
	*applier = {context, pstrdup(slot), {}, targets_argument(fcinfo), {}, {}};
	/* One for each, so that they stay where they are; those of equal tables are the first one. */
	for (const Target& target : applier->targets)
		applier->told.push({target.source, 0, 0, 0});
	applier->stream =
		open_changes(txn::endpoint_of(*source), slot, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	auto *callback = static_cast<MemoryContextCallback *>(palloc(sizeof(MemoryContextCallback)));
	*callback = {[](void *) { current = nullptr; }, nullptr, nullptr};
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(previous);
	current = applier;
}

/* Of each target: inserts, deletes and updates of its source's table that were told, and what it
 * took of them. */
ArrayType *counts_of(Applier *applier)
{
	pg::Vec<Datum> counts;
	for (const Target& target : applier->targets)
	{
		const Told& told = *told_of(applier, target.source);
		for (const int64 count : {told.inserts, told.deletes, told.updates, target.inserts,
								  target.deletes, target.updates})
			counts.push(Int64GetDatum(count));
	}
	return construct_array(counts.data(), counts.size(), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
						   TYPALIGN_DOUBLE);
}

void end_applier()
{
	remote::close(current->stream.session);
	MemoryContextDelete(current->context);
}

} // namespace

CIVITAS_PG_BEGIN

/* apply_changes(source node, slot, publication, mark, last, published tables, shards, least hashes,
 * those of the source, greatest hashes, those of the source, distribution columns, hash functions):
 * the last eight go together; an empty column: all rows. Returns what counts_of() says, of this
 * transaction. */
PG_FUNCTION_INFO_V1(citus_internal_apply_changes);
PGDLLEXPORT Datum citus_internal_apply_changes(PG_FUNCTION_ARGS)
{
	find_applier(fcinfo);
	const int level = NewGUCNestLevel();
	set_for_now("session_replication_role", "replica");
	/* Rather an error than rows that a policy hides from the owner. */
	set_for_now("row_security", "off");
	SPI_connect();
	PG_TRY();
	{
		apply_up_to(current, text_to_cstring(PG_GETARG_TEXT_PP(3)));
	}
	PG_CATCH();
	{
		end_applier();
		PG_RE_THROW();
	}
	PG_END_TRY();
	SPI_finish();
	AtEOXact_GUC(true, level);
	ArrayType *counts = counts_of(current);
	if (PG_GETARG_BOOL(4))
		end_applier();
	PG_RETURN_ARRAYTYPE_P(counts);
}

CIVITAS_PG_END

} // namespace civitas::cluster
