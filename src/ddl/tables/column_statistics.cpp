/*
 * column_statistics.cpp: what ANALYZE knows about the columns of a distributed table.
 *
 * The shell is empty, but the planner estimates from its statistics. So a sample of the rows of all
 * shards is read through the table itself and given to the same functions that PostgreSQL's ANALYZE
 * uses, type by type; what they find is stored as the shell's.
 *
 * The sample: TABLESAMPLE SYSTEM reads some blocks of every shard, several times as many rows as
 * are wanted, of which each is kept with the same probability, so that rows of one block do not
 * come all together.
 */
#include "column_statistics.h"

#include "civitas/pg/compat.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include <algorithm>

namespace civitas::ddl {

namespace {

/* Rows that are read for each one that is wanted. */
constexpr double READ_FOR_EACH = 4;
constexpr long FETCH_SIZE = 1000;

Datum fetch_value(VacAttrStatsP stats, int row, bool *is_null)
{
	return heap_getattr(stats->rows[row], stats->tupattnum, stats->tupDesc, is_null);
}

bool is_wanted(const char *name, List *names)
{
	ListCell *cell;
	foreach (cell, names)
		if (strcmp(strVal(lfirst(cell)), name) == 0)
			return true;
	return names == NIL;
}

/* Null where the column has no statistics, by its type or because its target is 0. */
VacAttrStats *examine_column(Relation relation, Form_pg_attribute attribute)
{
	if (attribute->attisdropped || pg::statistics_target(relation, attribute) == 0)
		return nullptr;
	auto *stats = static_cast<VacAttrStats *>(palloc0(sizeof(VacAttrStats)));
	pg::set_analyzed_column(stats, relation, attribute);
	stats->attrtypid = attribute->atttypid;
	stats->attrtypmod = attribute->atttypmod;
	stats->attrcollid = attribute->attcollation;
	HeapTuple type = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(stats->attrtypid));
	if (!HeapTupleIsValid(type))
		return nullptr;
	stats->attrtype = reinterpret_cast<Form_pg_type>(GETSTRUCT(type));
	stats->anl_context = CurrentMemoryContext;
	stats->tupattnum = attribute->attnum;
	for (int slot = 0; slot < STATISTIC_NUM_SLOTS; slot++)
	{
		stats->statypid[slot] = stats->attrtypid;
		stats->statyplen[slot] = stats->attrtype->typlen;
		stats->statypbyval[slot] = stats->attrtype->typbyval;
		stats->statypalign[slot] = stats->attrtype->typalign;
	}
	const bool good =
		OidIsValid(stats->attrtype->typanalyze)
			? DatumGetBool(OidFunctionCall1(stats->attrtype->typanalyze, PointerGetDatum(stats)))
			: std_typanalyze(stats);
	return good && stats->compute_stats != nullptr && stats->minrows > 0 ? stats : nullptr;
}

/* Columns of the table in the sample's rows: dropped ones are NULL, so that numbers agree. */
char *sample_query(Relation relation, double percent)
{
	pg::Str sql;
	const TupleDesc descriptor = RelationGetDescr(relation);
	for (int i = 0; i < descriptor->natts; i++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		sql.raw(i == 0 ? "SELECT " : ", ");
		if (attribute->attisdropped)
			sql.raw("NULL::pg_catalog.int4");
		else
			sql.ident(NameStr(attribute->attname));
	}
	sql.raw(" FROM ").raw(quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation)));
	if (percent < 100)
		sql.raw(psprintf(" TABLESAMPLE SYSTEM (%.12g)", percent));
	return sql.c_str();
}

/* Rows of the query in the caller's memory, each kept with the given probability, at most
 * `maximum`. */
void read_sample(const char *sql, double probability, int maximum, pg::Vec<HeapTuple> *rows)
{
	const MemoryContext caller = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read a sample")));
	Portal portal = SPI_cursor_open_with_args(nullptr, sql, 0, nullptr, nullptr, nullptr, true, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		const MemoryContext spi = MemoryContextSwitchTo(caller);
		for (uint64 i = 0; i < SPI_processed && static_cast<int>(rows->size()) < maximum; i++)
			if (probability >= 1 || pg_prng_double(&pg_global_prng_state) < probability)
				rows->push(heap_copytuple(SPI_tuptable->vals[i]));
		MemoryContextSwitchTo(spi);
		const bool more = SPI_processed > 0 && static_cast<int>(rows->size()) < maximum;
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
		if (!more)
			break;
	} while (true);
	SPI_cursor_close(portal);
	SPI_finish();
}

struct Row
{
	Datum values[Natts_pg_statistic];
	bool nulls[Natts_pg_statistic];
};

void set_value(Row *row, int attribute, Datum value)
{
	row->values[attribute - 1] = value;
	row->nulls[attribute - 1] = false;
}

void fill_slots(Row *row, const VacAttrStats *stats)
{
	for (int slot = 0; slot < STATISTIC_NUM_SLOTS; slot++)
	{
		set_value(row, Anum_pg_statistic_stakind1 + slot, Int16GetDatum(stats->stakind[slot]));
		set_value(row, Anum_pg_statistic_staop1 + slot, ObjectIdGetDatum(stats->staop[slot]));
		set_value(row, Anum_pg_statistic_stacoll1 + slot, ObjectIdGetDatum(stats->stacoll[slot]));
		if (stats->numnumbers[slot] > 0)
		{
			auto *numbers = static_cast<Datum *>(palloc(sizeof(Datum) * stats->numnumbers[slot]));
			for (int i = 0; i < stats->numnumbers[slot]; i++)
				numbers[i] = Float4GetDatum(stats->stanumbers[slot][i]);
			set_value(row, Anum_pg_statistic_stanumbers1 + slot,
					  PointerGetDatum(construct_array(numbers, stats->numnumbers[slot], FLOAT4OID,
													  sizeof(float4), true, TYPALIGN_INT)));
		}
		if (stats->numvalues[slot] > 0)
			set_value(row, Anum_pg_statistic_stavalues1 + slot,
					  PointerGetDatum(
						  construct_array(stats->stavalues[slot], stats->numvalues[slot],
										  stats->statypid[slot], stats->statyplen[slot],
										  stats->statypbyval[slot], stats->statypalign[slot])));
	}
}

void store_statistics(Relation statistics, Oid relid, bool inherited, const VacAttrStats *stats)
{
	Row row;
	memset(&row.nulls, true, sizeof(row.nulls));
	memset(&row.values, 0, sizeof(row.values));
	set_value(&row, Anum_pg_statistic_starelid, ObjectIdGetDatum(relid));
	set_value(&row, Anum_pg_statistic_staattnum, Int16GetDatum(stats->tupattnum));
	set_value(&row, Anum_pg_statistic_stainherit, BoolGetDatum(inherited));
	set_value(&row, Anum_pg_statistic_stanullfrac, Float4GetDatum(stats->stanullfrac));
	set_value(&row, Anum_pg_statistic_stawidth, Int32GetDatum(stats->stawidth));
	set_value(&row, Anum_pg_statistic_stadistinct, Float4GetDatum(stats->stadistinct));
	fill_slots(&row, stats);

	HeapTuple tuple = heap_form_tuple(RelationGetDescr(statistics), row.values, row.nulls);
	HeapTuple old = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
									Int16GetDatum(stats->tupattnum), BoolGetDatum(inherited));
	if (HeapTupleIsValid(old))
	{
		tuple->t_self = old->t_self;
		ReleaseSysCache(old);
		CatalogTupleUpdate(statistics, &tuple->t_self, tuple);
	}
	else
		CatalogTupleInsert(statistics, tuple);
}

/* All columns' statistics from one sample. The relation is locked by the caller. */
void analyze_columns(Relation relation, List *names, double total_rows)
{
	const TupleDesc descriptor = RelationGetDescr(relation);
	pg::Vec<VacAttrStats *> columns;
	int wanted_rows = 0;
	for (int i = 0; i < descriptor->natts; i++)
	{
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		if (!is_wanted(NameStr(attribute->attname), names))
			continue;
		VacAttrStats *stats = examine_column(relation, attribute);
		if (stats == nullptr)
			continue;
		columns.push(stats);
		wanted_rows = std::max(wanted_rows, stats->minrows);
	}
	if (columns.empty())
		return;

	const double read = wanted_rows * READ_FOR_EACH;
	const double percent = total_rows <= read ? 100 : 100 * read / total_rows;
	const double probability = wanted_rows / std::max(1.0, total_rows * percent / 100);
	pg::Vec<HeapTuple> rows;
	/* Twice as many as are wanted: chance, and a table that has grown since it was counted. */
	read_sample(sample_query(relation, percent), probability, 2 * wanted_rows, &rows);
	if (rows.empty())
		return;

	Relation statistics = table_open(StatisticRelationId, RowExclusiveLock);
	const MemoryContext work =
		AllocSetContextCreate(CurrentMemoryContext, "column statistics", ALLOCSET_DEFAULT_SIZES);
	for (VacAttrStats *stats : columns)
	{
		const MemoryContext previous = MemoryContextSwitchTo(work);
		stats->rows = rows.data();
		stats->tupDesc = descriptor;
		const int count = static_cast<int>(rows.size());
		stats->compute_stats(stats, fetch_value, count,
							 std::max(total_rows, static_cast<double>(count)));
		MemoryContextSwitchTo(previous);
		if (stats->stats_valid)
			store_statistics(statistics, RelationGetRelid(relation),
							 relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE, stats);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
	table_close(statistics, RowExclusiveLock);
}

} // namespace

void update_column_statistics(Relation relation, List *names, double total_rows)
{
	/* The sample is read with the caller's rights; whoever may analyze without them goes without.
	 */
	if (pg_class_aclcheck(RelationGetRelid(relation), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	const MemoryContext memory =
		AllocSetContextCreate(CurrentMemoryContext, "table sample", ALLOCSET_DEFAULT_SIZES);
	const MemoryContext previous = MemoryContextSwitchTo(memory);
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		analyze_columns(relation, names, total_rows);
		PopActiveSnapshot();
	}
	else
		analyze_columns(relation, names, total_rows);
	MemoryContextSwitchTo(previous);
	MemoryContextDelete(memory);
	CommandCounterIncrement();
}

} // namespace civitas::ddl
