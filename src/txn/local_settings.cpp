/*
 * local_settings.cpp: SET LOCAL, carried to the other nodes where citus.propagate_set_commands asks
 * for it, and SET CONSTRAINTS.
 *
 * What was set in this transaction is a list, oldest first. A participant is told what it has not
 * been told yet before its next statement (participants.cpp). A rolled back subtransaction takes
 * its settings out of the list, and whoever rolled back with it is told the rest anew.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
CIVITAS_PG_END

namespace civitas::txn {

namespace {

enum PropagateSet
{
	PROPAGATE_NONE,
	PROPAGATE_LOCAL
};

const config_enum_entry propagate_options[] = {
	{"none", PROPAGATE_NONE, false}, {"local", PROPAGATE_LOCAL, false}, {nullptr, 0, false}};

int propagate_set_commands;

struct LocalSetting
{
	SubTransactionId subtransaction;
	char *sql;
};

/* In TopTransactionContext; null: none. */
pg::Vec<LocalSetting> *local_settings;

/* Settings that mean this session, or what the sessions between nodes are known by. */
bool stays_here(const char *name)
{
	static constexpr const char *names[] = {"application_name", "client_encoding", "role",
											"session_authorization", "max_stack_depth"};
	for (const char *kept : names)
		if (pg_strcasecmp(name, kept) == 0)
			return true;
	return pg_strncasecmp(name, "citus.", 6) == 0 || pg_strncasecmp(name, "transaction_", 12) == 0;
}

void push_setting(const char *sql)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	if (local_settings == nullptr)
	{
		local_settings =
			static_cast<pg::Vec<LocalSetting> *>(palloc(sizeof(pg::Vec<LocalSetting>)));
		*local_settings = pg::Vec<LocalSetting>(TopTransactionContext);
	}
	local_settings->push({GetCurrentSubTransactionId(), pstrdup(sql)});
	MemoryContextSwitchTo(old);
}

} // namespace

void keep_constraints(const ConstraintsSetStmt *statement)
{
	const char *mode = statement->deferred ? " DEFERRED" : " IMMEDIATE";
	pg::Str sql;
	if (statement->constraints == NIL)
		sql.raw("SET CONSTRAINTS ALL").raw(mode);
	else
	{
		/* A constraint of a table that only this node has is no concern of the others. */
		sql.raw("DO $citus$ BEGIN ");
		ListCell *cell;
		foreach (cell, statement->constraints)
		{
			const RangeVar *name = lfirst_node(RangeVar, cell);
			sql.raw("BEGIN SET CONSTRAINTS ");
			sql.raw(quote_qualified_identifier(name->schemaname, name->relname)).raw(mode);
			sql.raw("; EXCEPTION WHEN undefined_object THEN NULL; END; ");
		}
		sql.raw("END $citus$");
	}
	push_setting(sql.c_str());
}

void note_set(const VariableSetStmt *statement)
{
	if (propagate_set_commands != PROPAGATE_LOCAL || !statement->is_local ||
		!IsTransactionBlock() || statement->name == nullptr || stays_here(statement->name) ||
		(statement->kind != VAR_SET_VALUE && statement->kind != VAR_SET_DEFAULT &&
		 statement->kind != VAR_SET_CURRENT))
		return;
	const char *value = GetConfigOption(statement->name, true, false);
	if (value == nullptr)
		return;
	pg::Str sql;
	sql.raw("SELECT pg_catalog.set_config(").literal(statement->name).raw(", ").literal(value);
	sql.raw(", true)");
	push_setting(sql.c_str());
}

List *untold_settings(Participant *participant)
{
	List *statements = NIL;
	while (local_settings != nullptr && participant->settings_told < local_settings->size())
		statements = lappend(statements, (*local_settings)[participant->settings_told++].sql);
	return statements;
}

bool has_untold_settings(const Participant *participant)
{
	return local_settings != nullptr && participant->settings_told < local_settings->size();
}

void keep_local_settings(SubTransactionId id, SubTransactionId parent)
{
	if (local_settings == nullptr)
		return;
	for (LocalSetting& setting : *local_settings)
		if (setting.subtransaction == id)
			setting.subtransaction = parent;
}

void drop_local_settings(SubTransactionId id)
{
	while (local_settings != nullptr && !local_settings->empty() &&
		   local_settings->back().subtransaction >= id)
		local_settings->pop();
}

void forget_local_settings()
{
	local_settings = nullptr;
}

void local_settings_init()
{
	DefineCustomEnumVariable(
		"citus.propagate_set_commands", "Which SET commands reach the other nodes.",
		"local sends each SET LOCAL of a transaction block to the nodes that take part in it.",
		&propagate_set_commands, PROPAGATE_NONE, propagate_options, PGC_USERSET, 0, nullptr,
		nullptr, nullptr);
}

} // namespace civitas::txn
