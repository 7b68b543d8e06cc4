/*
 * utility_call.h: one call of the utility hook, as a value.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/plannodes.h"
#include "tcop/utility.h"
CIVITAS_PG_END

namespace civitas::ddl {

struct UtilityCall
{
	PlannedStmt *statement;
	const char *sql;
	bool read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo parameters;
	QueryEnvironment *environment;
	DestReceiver *destination;
	QueryCompletion *completion;
};
CIVITAS_SERVER_STATE(UtilityCall);

/* As on a plain server: the hook that was there before ours, or PostgreSQL's own. */
void run_plain(const UtilityCall& call);
/* The statement's own text, without what stands before and after it in a multi-statement query. */
char *statement_text(const UtilityCall& call);
/* SQL that has another node carry out a statement; names: see apply.h. */
char *apply_call(const char *text, List *chosen);

/* Makes what a statement had the tables need, types and functions for one, on the other nodes. */
void send_new_dependencies(List *tables);

/*
 * Locks the tables' shells on the other nodes, before anything there touches shards. A statement
 * asked of a worker locks the shell there first and shards on any node after; DDL that took the
 * shards of one node before the shell of another would wait for it in a circle. names: qualified
 * and quoted; mode null or names NIL: nothing.
 */
void lock_shells_elsewhere(List *chosen, const char *mode);

} // namespace civitas::ddl
