/*
 * task_sql.cpp: the text of a task: a RemoteQuery's pieces with shard names between them.
 */
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/plan/remote_query.h"

CIVITAS_PG_BEGIN
#include "access/attnum.h"
#include "nodes/value.h"
CIVITAS_PG_END

namespace civitas::plan {

char *task_sql(const RemoteQuery *query, int shard_index, const char *values)
{
	pg::Str sql;
	ListCell *piece;
	int hole = 0;
	foreach (piece, query->pieces)
	{
		sql.raw(strVal(lfirst(piece)));
		if (hole >= list_length(query->holes))
			break;
		const Oid relid = list_nth_oid(query->holes, hole++);
		if (!OidIsValid(relid))
		{
			sql.raw(values ? values : "");
			continue;
		}
		const catalog::Table& table = catalog::get_table(relid);
		const int index = table.shard_count == 1 ? 0 : shard_index;
		if (index < 0 || index >= table.shard_count)
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("relation %u has no shard with index %d", relid, index)));
		sql.raw(catalog::qualified_shard_name(relid, table.shards[index].shard_id));
	}
	return sql.c_str();
}

} // namespace civitas::plan
