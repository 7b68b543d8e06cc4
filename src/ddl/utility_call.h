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

} // namespace civitas::ddl
