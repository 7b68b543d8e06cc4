/*
 * sql_text.cpp: SPI for catalog queries, under a search_path of pg_catalog; a user's temporary
 * tables come last, so that none of them can pass for a catalog.
 *
 * The setting is made for one nesting level of GUCs, so that an error inside puts it back as well.
 */
#include "civitas/pg/sql_text.h"

CIVITAS_PG_BEGIN
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
CIVITAS_PG_END

namespace civitas::pg {

void (*own_query_hook)();

namespace {

List *run_query(const char *sql, bool collect, bool latest = false)
{
	const MemoryContext caller = CurrentMemoryContext;
	List *texts = NIL;

	SPI_connect();
	const int level = NewGUCNestLevel();
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	/* These are our own questions: what is hidden from the session's user is not hidden from us. */
	if (own_query_hook != nullptr)
		own_query_hook();
	if (latest)
		PushActiveSnapshot(GetLatestSnapshot());
	const int code = SPI_execute(sql, latest, 0);
	if (latest)
		PopActiveSnapshot();
	if (code < 0)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("catalog query failed: %s", SPI_result_code_string(code))));
	if (collect && SPI_tuptable != nullptr)
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			const char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
			if (value == nullptr)
				continue;
			const MemoryContext previous = MemoryContextSwitchTo(caller);
			texts = lappend(texts, pstrdup(value));
			MemoryContextSwitchTo(previous);
		}
	AtEOXact_GUC(true, level);
	SPI_finish();
	return texts;
}

} // namespace

List *sql_texts(const char *sql)
{
	return run_query(sql, true);
}

List *sql_texts_latest(const char *sql)
{
	return run_query(sql, true, true);
}

char *sql_text(const char *sql)
{
	List *texts = run_query(sql, true);
	return texts == NIL ? nullptr : static_cast<char *>(linitial(texts));
}

void sql_run(const char *sql)
{
	run_query(sql, false);
}

} // namespace civitas::pg
