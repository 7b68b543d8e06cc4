/*
 * task_sql.cpp: the text of a task: a RemoteQuery's pieces with shard names between them.
 *
 * A prepared statement comes again and again, each time for one shard of a few: its texts are kept
 * beside the plan, a small table by shard index in which the newer text wins.
 */
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/plan/remote_query.h"

CIVITAS_PG_BEGIN
#include "access/attnum.h"
#include "nodes/value.h"
CIVITAS_PG_END

namespace civitas::plan {

/* By shard index modulo their number. */
struct KeptText
{
	int shard_index;
	char *sql; /* null: empty */
};
constexpr int KEPT_TEXTS = 64;

struct KeptTexts
{
	uint64 generation; /* of the names in them */
	KeptText texts[KEPT_TEXTS];
};

char *kept_sql(const RemoteQuery *query, int shard_index)
{
	const KeptTexts *kept = query->kept;
	if (kept == nullptr || kept->generation != catalog::names_generation())
		return nullptr;
	const KeptText& text = kept->texts[shard_index % KEPT_TEXTS];
	return text.sql != nullptr && text.shard_index == shard_index ? pstrdup(text.sql) : nullptr;
}

void keep_sql(const RemoteQuery *query, int shard_index, const char *sql, uint64 generation)
{
	if (!query->ran_before)
	{
		query->ran_before = true;
		return;
	}
	MemoryContext context = GetMemoryChunkContext(const_cast<RemoteQuery *>(query));
	if (query->kept == nullptr)
		query->kept = static_cast<KeptTexts *>(MemoryContextAllocZero(context, sizeof(KeptTexts)));
	KeptTexts *kept = query->kept;
	if (kept->generation != generation)
	{
		for (KeptText& text : kept->texts)
		{
			if (text.sql != nullptr)
				pfree(text.sql);
			text.sql = nullptr;
		}
		kept->generation = generation;
	}
	char *copy = MemoryContextStrdup(context, sql);
	KeptText& text = kept->texts[shard_index % KEPT_TEXTS];
	if (text.sql != nullptr)
		pfree(text.sql);
	text = {shard_index, copy};
}

char *task_sql(const RemoteQuery *query, const catalog::Table *const *tables, int shard_index,
			   const char *values)
{
	pg::Str sql;
	ListCell *piece;
	int hole = 0;
	foreach (piece, query->pieces)
	{
		sql.raw(strVal(lfirst(piece)));
		if (hole >= list_length(query->holes))
			break;
		const catalog::Table *table = tables[hole++];
		if (table == nullptr)
		{
			sql.raw(values ? values : "");
			continue;
		}
		const int index = table->shard_count == 1 ? 0 : shard_index;
		if (index < 0 || index >= table->shard_count)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("relation %u has no shard with index %d", table->relid, index)));
		sql.raw(catalog::qualified_shard_name(table->relid, table->shards[index].shard_id));
	}
	return sql.c_str();
}

} // namespace civitas::plan
